"""`zeus jobs`: list them, look at them, steer them, fetch what they made."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from zeus.cli import follow
from zeus.cli.output import JsonOption, at_terminal, clean, clean_log, print_json, print_table
from zeus.cli.target import ServerOption, TokenOption, connect, full_ids
from zeus.errors import BadInput

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import JobView

app = typer.Typer(help="List jobs, look at them, hold them up, end them, read their logs, fetch their files.")
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
        return list_jobs(server=server, token=token, as_json=as_json)
    # What stands before the subcommand holds as if it stood behind it.
    given = {"server": server, "token": token, "as_json": as_json}
    context.default_map = {context.invoked_subcommand: {name: value for name, value in given.items() if value}}


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(metavar="S", help="Only those of this status.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, max=10_000, help="Only the newest N.")] = None,
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs, the newest first."""
    filters = {"status": status, "limit": None if limit is None else str(limit)}

    async def run() -> None:
        async with connect(server, token) as proxy:
            found = await proxy.get_jobs(**{name: value for name, value in filters.items() if value is not None})
        if as_json:
            print_json(found)
        elif found.jobs or not at_terminal():
            print_table(("id", "status", "done", "engine", "name", "node"), [_row(job) for job in found.jobs])
        else:
            print("There are no jobs." if status is None else f"No job is {status}.")

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
def why(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Say why jobs are not running yet."""

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        told = await proxy.why(job_id)
        if as_json:
            print_json({"id": job_id, **msgspec.to_builtins(told)})
            return
        lines = [*told.reasons, *(f"{each.node}: {reason}" for each in told.nodes for reason in each.reasons)]
        free = [each.node for each in told.nodes if not each.reasons]
        if not told.reasons and free:
            lines.append(f"It can run on {', '.join(free)} and will start at once.")
        print("\n  ".join([f"{job_id} {told.status}", *map(clean, lines)]), flush=True)

    _each(server, token, ids, action)


@app.command()
def logs(
    ids: Ids,
    follow_it: Annotated[bool, typer.Option("--follow", help="Print on as it grows, until the job has ended.")] = False,
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of each job's newest attempt."""
    if follow_it and as_json:
        raise BadInput("--follow prints a log as it grows, --json a whole one: give one of the two.")

    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        if follow_it:
            await _print_log(proxy.follow_job_logs(job_id))
            return
        text = await proxy.get_job_logs(job_id)
        print_json({"id": job_id, "log": text}) if as_json else _write_log(text)

    _each(server, token, ids, action)


async def _print_log(pieces: AsyncIterator[str]) -> None:
    async for piece in pieces:
        _write_log(piece)


def _write_log(text: str) -> None:
    sys.stdout.write(clean_log(text) if at_terminal() else text)
    sys.stdout.flush()


def _steer(verb: str, ids: list[str], server: str | None, token: str | None, as_json: bool) -> None:
    async def action(proxy: RenderServerProxy, job_id: str) -> None:
        job = await getattr(proxy, f"{verb}_job")(job_id)
        print_json(job) if as_json else print(follow.sentence(job), flush=True)

    _each(server, token, ids, action)


@app.command()
def cancel(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Cancel jobs; each is told once nothing of it runs any more."""
    _steer("cancel", ids, server, token, as_json)


@app.command()
def pause(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Hold jobs up; what they have published stays."""
    _steer("pause", ids, server, token, as_json)


@app.command()
def resume(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Let paused jobs go on."""
    _steer("resume", ids, server, token, as_json)


@app.command()
def retry(ids: Ids, server: ServerOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Run failed or cancelled jobs again."""
    _steer("retry", ids, server, token, as_json)


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
