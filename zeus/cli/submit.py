"""`zeus submit`: one job, from a file or a prompt, followed to its end where that is asked."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from zeus.cli import follow
from zeus.cli.output import JsonOption, at_terminal, clean, note, print_json
from zeus.cli.target import ServerOption, TokenOption, chosen, client, full_ids
from zeus.errors import BadInput

if TYPE_CHECKING:
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import JobView


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the options ask for."""

    file: Path | None
    prompt: str | None
    fields: dict[str, Any]
    follow: bool
    folder: Path | None
    as_json: bool


def command(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to work on.", show_default=False)
    ] = None,
    prompt: Annotated[str | None, typer.Option(metavar="TEXT", help="What the generated video shows.")] = None,
    renderer: Annotated[str | None, typer.Option(metavar="R", help="The engine; else the file's name decides.")] = None,
    frames: Annotated[str | None, typer.Option(metavar="A-B", help="The frames to make.")] = None,
    split: Annotated[bool, typer.Option("--split", help="Let several tasks share the frames.")] = False,
    arg: Annotated[list[str] | None, typer.Option(metavar="K=V", help="An argument of the engine.")] = None,
    project_file: Annotated[
        str | None, typer.Option(metavar="NAME", help="The project in a zip that holds several.")
    ] = None,
    priority: Annotated[int | None, typer.Option(metavar="N", min=0, max=100, help="Higher runs first; 50.")] = None,
    preset: Annotated[str | None, typer.Option(metavar="P", help="A preset of the server.")] = None,
    depends_on: Annotated[list[str] | None, typer.Option(metavar="ID", help="A job that must finish first.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Not before then: 22:30, or 2026-05-01T22:30.")] = None,
    follow_it: Annotated[bool, typer.Option("--follow", help="Wait for the job's end.")] = False,
    folder: Annotated[Path | None, typer.Option("--download", metavar="DIR", help="Fetch its files, too.")] = None,
    server: ServerOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit one job: a file to work on, or a prompt to make a video from."""
    if (file is None) == (prompt is None):
        raise BadInput("Name a FILE, or a prompt with --prompt TEXT: one of the two.")
    if file is not None and not file.is_file():
        raise BadInput(f"There is no file {file}.")
    fields = _fields(renderer, frames, split, arg or [], priority)
    fields |= {"preset": preset} if preset is not None else {}
    fields |= {"project_file": project_file} if project_file is not None else {}
    fields |= {"not_before": start_time(at, datetime.now().astimezone()).isoformat()} if at is not None else {}
    fields |= {"depends_on": depends_on} if depends_on else {}
    order = Order(
        file=file, prompt=prompt, fields=fields, follow=follow_it or bool(folder), folder=folder, as_json=as_json
    )
    # Apart from the rest: Ctrl-C at the question which node it shall be leaves no job to ask about.
    server = asyncio.run(chosen(server, token))
    made: list[str] = []
    try:
        code = asyncio.run(_run(order, server, token, made))
    except KeyboardInterrupt:
        code = _interrupted(server, token, made)
    raise typer.Exit(code)


def _fields(
    renderer: str | None, frames: str | None, split: bool, pairs: list[str], priority: int | None
) -> dict[str, Any]:
    """The fields of add_job that were given."""
    fields: dict[str, Any] = {"args": dict(_pair(pair) for pair in pairs)} if pairs else {}
    if frames is not None:
        fields["start_frame"], fields["end_frame"] = _frame_range(frames)
    if split:
        fields["enable_split_jobs"] = True
    given = {"renderer": renderer, "priority": priority}
    return fields | {name: value for name, value in given.items() if value is not None}


def _pair(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise BadInput(f'--arg "{pair}" is not of the form NAME=VALUE.')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _frame_range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(-?\d+)(?:-(-?\d+))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise BadInput(f'--frames "{text}" is no range; one looks like 1-250.')
    return int(match[1]), int(match[2] or match[1])


def start_time(text: str, now: datetime) -> datetime:
    """A time of day, the next there is; or a date and time, of this machine's time zone unless it says another."""
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = text.split(":")
            found = now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
            return found if found > now else found + timedelta(days=1)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as error:
        raise BadInput(f'--at "{text}" is no time; one looks like 22:30 or 2026-05-01T22:30.') from error


async def _run(order: Order, server: str | None, token: str | None, made: list[str]) -> int:
    async with client(server, token) as proxy:
        # A script that only submits gets the id and nothing else.
        silent = order.as_json or not (order.follow or at_terminal())
        with follow.display(silent=silent) as shown:
            job = await _submit(proxy, order, shown)
            made.append(job.id)
            if order.follow:
                if not order.as_json:
                    note(f"Job {job.id}")
                job = await follow.follow(proxy, job.id, shown)
            paths = []
            if order.folder and job.status == "finished":
                paths = await follow.download_all(proxy, job.id, order.folder, shown)
    if order.as_json:
        print_json(job)
    else:
        print(follow.sentence(job) if order.follow else job.id)
        for path in paths:
            print(clean(follow.described(path)))
    return 1 if job.status in ("failed", "cancelled") else 0


async def _submit(proxy: RenderServerProxy, order: Order, shown: follow.Display) -> JobView:
    fields = order.fields
    if "depends_on" in fields:
        fields = {**fields, "depends_on": await full_ids(proxy, fields["depends_on"])}
    if order.file:
        progress = partial(shown.show, f"Sending {clean(order.file.name)}")
        return await proxy.create_job(fields, order.file, progress)
    args = fields.get("args", {})
    if fields.keys() <= {"args"}:
        accepted = await proxy.generate(order.prompt or "", **args)
        return await proxy.get_job(accepted.job_id)
    # What /api/generate does not know, such as a priority, add_job does.
    chosen = {} if "preset" in fields else {"renderer": "video"}
    return await proxy.create_job({**chosen, **fields, "args": {**args, "prompt": order.prompt}})


def _interrupted(server: str | None, token: str | None, made: list[str]) -> int:
    """After Ctrl-C: the person decides what becomes of the job."""
    if not made:
        note("\nzeus: interrupted before the server answered; `zeus jobs` tells whether it made a job")
        return 130
    if _wants_cancel():
        asyncio.run(_cancel(server, token, made[0]))
    else:
        note(f"Job {made[0]} runs on; `zeus jobs cancel {made[0][:8]}` ends it.")
    return 130


def _wants_cancel() -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return input("\nCancel the job (c), or leave it running (Enter)? ").strip().lower() in ("c", "cancel")
    except (EOFError, KeyboardInterrupt):
        print()
        return False


async def _cancel(server: str | None, token: str | None, job_id: str) -> None:
    async with client(server, token) as proxy:
        note(follow.sentence(await proxy.cancel_job(job_id)))
