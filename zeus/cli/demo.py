"""`zeus demo`: the main job on this machine, from a prompt to a checked and transcoded video."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zeus.cli import follow
from zeus.cli.output import JsonOption, note, print_json, print_table, size_text
from zeus.config import Config, HttpConfig, NodeConfig
from zeus.errors import OutputInvalid, TaskFailed, ZeusError

if TYPE_CHECKING:
    from zeus.api.app import Node
    from zeus.engine import MediaInfo
    from zeus.peers.client import RenderServerProxy
    from zeus.wire import JobView

PROMPT = "a red fox running through snow at dusk"
WIDTH = 256
TRANSCODE: dict[str, Any] = {"container": "webm", "video_codec": "vp9", "width": WIDTH, "speed": "fastest"}


def command(
    prompt: Annotated[str, typer.Argument(help="What the video shows.")] = PROMPT,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the video goes.")] = Path("fox.mp4"),
    as_json: JsonOption = False,
) -> None:
    """Generate a video on this machine, transcode it, check both. No network, no GPU, no downloads."""
    try:
        if not out.parent.is_dir():
            raise ZeusError(f"there is no folder {out.parent}.")
        asyncio.run(_demo(prompt, out, as_json))
    except (ZeusError, OSError) as error:
        note(f"zeus: the demo failed: {error}")
        raise typer.Exit(1) from error
    except asyncio.CancelledError as error:
        raise typer.Exit(128 + signal.SIGTERM) from error


async def _demo(prompt: str, out: Path, as_json: bool) -> None:
    task = asyncio.current_task()
    assert task
    # Asked to end, it ends what it started and takes its folder away.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    from zeus.api.app import running_node

    with tempfile.TemporaryDirectory(prefix="zeus-demo-") as folder:
        first, second = Path(folder, "first.mp4"), Path(folder, "second.webm")
        config = Config(node=NodeConfig(name="demo", storage=f"{folder}/node"), http=HttpConfig(port=0))
        async with running_node(config) as node:
            await _make(node, prompt, first, second, silent=as_json)
            original = await node.zeus.media.verify(first)
            transcoded = await node.zeus.media.verify(second, duration=original.duration)
        _compare(original, transcoded)
        beside = out.with_name(f"{out.stem}-transcoded.webm")
        _place(first, out)
        _place(second, beside)
    if as_json:
        print_json({"files": [{"path": str(out), **_facts(original)}, {"path": str(beside), **_facts(transcoded)}]})
        return
    print_table(("file", "size", "codec", "picture", "seconds"), [_row(out, original), _row(beside, transcoded)])


async def _make(node: Node, prompt: str, first: Path, second: Path, *, silent: bool) -> None:
    from zeus.peers.client import RenderServerProxy

    async with RenderServerProxy(node.url) as server:
        with follow.display(silent=silent) as shown:
            await _wait_for_model(server)
            accepted = await server.generate(prompt)
            made = _finished(await follow.follow(server, accepted.job_id, shown, "Generating"))
            await server.download_generated(made.id, first)
            job = await server.create_job({"renderer": "ffmpeg", "args": TRANSCODE}, first)
            other = _finished(await follow.follow(server, job.id, shown, "Transcoding"))
            await server.download_job_file(other.id, await _only_file(server, other), second)


async def _wait_for_model(server: RenderServerProxy) -> None:
    while not (status := await server.get_model_status()).ready:
        if not status.building:
            raise TaskFailed(f"the model is not ready: {status.message}")
        await asyncio.sleep(0.1)


def _finished(job: JobView) -> JobView:
    if job.status != "finished":
        raise TaskFailed(f"job {follow.sentence(job)}")
    return job


async def _only_file(server: RenderServerProxy, job: JobView) -> str:
    names = await server.get_job_files(job.id)
    if len(names) != 1:
        raise OutputInvalid(f"the transcoding made {len(names)} files instead of one: {', '.join(names)}")
    return names[0]


def _compare(original: MediaInfo, transcoded: MediaInfo) -> None:
    """Both decoded; now whether they are what was asked for. Raises OutputInvalid."""
    first, second = original.first("video"), transcoded.first("video")
    if first is None or second is None or not first.width or not first.height:
        raise OutputInvalid("there is no picture in the video.")
    if (first.codec, second.codec) != ("h264", "vp9"):
        raise OutputInvalid(f"the codecs are {first.codec} and {second.codec}; h264 and vp9 were asked for.")
    height = first.height * WIDTH / first.width
    if second.width != WIDTH or abs((second.height or 0) - height) > 2:
        raise OutputInvalid(f"the transcoded picture is {second.width}×{second.height}, not {WIDTH}×{height:.0f}.")
    if first.frames and second.frames and first.frames != second.frames:
        raise OutputInvalid(f"the video has {first.frames} frames, and the transcoded one {second.frames}.")


def _place(made: Path, target: Path) -> None:
    """Put a checked file where the person wants it; what was there before goes only when all of it is."""
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(made, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _row(path: Path, info: MediaInfo) -> tuple[str, ...]:
    stream = info.first("video")
    assert stream
    picture = f"{stream.width}×{stream.height}"
    return str(path), size_text(info.size), stream.codec, picture, f"{info.duration or 0:.1f}"


def _facts(info: MediaInfo) -> dict[str, Any]:
    stream = info.first("video")
    assert stream
    seen = {"codec": stream.codec, "width": stream.width, "height": stream.height}
    return {"size": info.size, **seen, "seconds": info.duration}
