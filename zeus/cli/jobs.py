"""`zeus jobs`: list, show, logs, cancel, delete and download."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli import follow
from zeus.cli.output import JsonOption, at_terminal, clean, clean_log, print_json, print_table
from zeus.cli.target import ServerOption, TokenOption, connect, full_ids

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import JobView

app = typer.Typer(help="List jobs, show, cancel or delete them, read their logs, fetch their files.")
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Job ids; their first letters will do.")]
ForEach = Callable[["RenderServerProxy", str], Awaitable[None]]


def _each(server: str | None, token: str | None, ids: list[str], action: ForEach) -> None:
    async def run() -> None:
        async with connect(server, token) as proxy:
            for job_id in await full_ids(proxy, ids):
                await action(proxy, job_id)

    asyncio.run(run())


@app.callback(invoke_without_command=True)
def _default(
    context: typer.Context, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        return list_jobs(server, token, as_json)
    # What stands before the subcommand holds as if it stood behind it.
    given = {"server": server, "token": token, "as_json": as_json}
    context.default_map = {context.invoked_subcommand: {name: value for name, value in given.items() if value}}


@app.command("list")
def list_jobs(server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the jobs."""

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.get_jobs()
        if as_json:
            print_json(found)
        elif found.jobs or not at_terminal():
            print_table(("id", "status", "done", "engine", "name", "node"), [_row(job) for job in found.jobs])
        else:
            print("There are no jobs.")

    asyncio.run(run())


def _row(job: JobView) -> tuple[str, ...]:
    job_id = job.id[:8] if at_terminal() else job.id
    return job_id, job.status, f"{job.percent_complete}%", job.renderer, job.name, job.node or ""


@app.command()
def show(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show all that is known of jobs."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        job = await proxy.get_job(job_id)
        if as_json:
            print_json(job)
            return
        fields = msgspec.to_builtins(job).items()
        print_table(("field", "value"), [(name, _text(value)) for name, value in fields if name != "job_id"])

    _each(server, token, ids, action)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()


@app.command()
def logs(ids: Ids, server: ServerOption = None, token: TokenOption = None) -> None:
    """Print the log of each job's newest attempt."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        text = await proxy.get_job_logs(job_id)
        sys.stdout.write(clean_log(text) if at_terminal() else text)

    _each(server, token, ids, action)


@app.command()
def cancel(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Cancel jobs; each is told once nothing of it runs any more."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        job = await proxy.cancel_job(job_id)
        print_json(job) if as_json else print(follow.sentence(job), flush=True)

    _each(server, token, ids, action)


@app.command()
def delete(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Delete jobs with their files, stopping them first."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        await proxy.delete_job(job_id)
        print_json({"deleted": job_id}) if as_json else print(f"{job_id} deleted", flush=True)

    _each(server, token, ids, action)


@app.command()
def download(
    ids: Ids,
    folder: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the files go.")] = Path(),
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the jobs' files; those of several jobs go into a folder for each."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        target = folder / job_id[:8] if len(ids) > 1 else folder
        with follow.display(silent=as_json) as shown:
            paths = await follow.download_all(proxy, job_id, target, shown)
        if as_json:
            print_json({"id": job_id, "files": [str(path) for path in paths]})
        else:
            print("\n".join(clean(follow.described(path)) for path in paths) or f"{job_id} has no files", flush=True)

    _each(server, token, ids, action)
