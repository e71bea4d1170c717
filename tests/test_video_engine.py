"""The video engine: what it settles and refuses, its models' states, and how a run joins model and encoder."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from zeus_plugins.video import PROCEDURAL, Model, VideoArgs, VideoEngine
from zeus_plugins.video.engine import VideoSettings

from zeus.engine import Cancelled, Completed, Demand, MediaInfo, ModelState, Span, Stream
from zeus.errors import BadInput, ConfigError, NotReady, OutputInvalid, TaskFailed, WorkerDied, ZeusError


class Job:
    """What a function gets that runs in the executor."""

    def __init__(self, report: Callable[[Any], None]) -> None:
        self.report = report
        self.cancelled = threading.Event()

    def check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled


class Node:
    """Tools and the context of one run: functions run in threads, the encoder only counts bytes."""

    def __init__(self, folder: Path, args: VideoArgs | None = None) -> None:
        self.cache = self.folder = folder
        self.out = folder / "out"
        self.out.mkdir(exist_ok=True)
        self.args = args or VideoArgs(prompt="a fox")
        self.span: Span | None = None
        self.input: Path | None = None
        self.device: int | None = None
        self.warm = True
        self.notes: list[str] = []
        self.progress: list[tuple[float, str, int | None]] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        self.calls: list[dict[str, Any]] = []
        self.encode_fails: ZeusError | None = None
        self.encoded: dict[str, Any] = {}

    def on(self, engine: str, demand: Demand) -> Node:
        return self

    async def compute(
        self, function: str, arguments: Mapping[str, Any], *, report: Callable[[Any], None] | None = None
    ) -> Any:
        self.calls.append(dict(arguments))
        loop = asyncio.get_running_loop()
        job = Job(lambda value: loop.call_soon_threadsafe(report, value) if report else None)
        work = asyncio.ensure_future(asyncio.to_thread(self._function(function), job, **arguments))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            job.cancelled.set()
            await asyncio.gather(work, return_exceptions=True)
            raise

    def _function(self, name: str) -> Callable[..., Any]:
        if name in self.functions:
            return self.functions[name]
        module, function = name.split(":")
        __import__(module)
        found: Callable[..., Any] = getattr(sys.modules[module], function)
        return found

    async def encode(
        self, frames: Path, target: Path, *, width: int, height: int, fps: float, count: int, **said: Any
    ) -> MediaInfo:
        self.encoded = said
        if self.encode_fails:
            raise self.encode_fails
        process = await asyncio.create_subprocess_exec("cat", str(frames), stdout=subprocess.PIPE)
        try:
            data, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if len(data) != width * height * 3 * count:
            raise OutputInvalid(f"{len(data)} bytes arrived")
        await asyncio.to_thread(target.write_bytes, data)
        return await self.verify(target)

    async def verify(self, path: Path, *, duration: float | None = None, frames: int | None = None) -> MediaInfo:
        size = (await asyncio.to_thread(path.stat)).st_size
        return MediaInfo("mp4", size, duration, (Stream("video", "h264", frames=frames),))

    async def probe(self, path: Path) -> MediaInfo:
        return await self.verify(path)

    async def spawn(self, argv: Sequence[str], **options: Any) -> Completed:
        raise NotImplementedError

    def report(self, fraction: float, note: str = "", frame: int | None = None) -> None:
        self.progress.append((fraction, note, frame))

    def note(self, line: str) -> None:
        self.notes.append(line)


class Crowded(VideoEngine):
    """An engine with a model that loads, as a plugin of another person would make one."""

    name = "crowded"
    built_in = {  # noqa: RUF012
        "procedural": PROCEDURAL,
        "real": Model(
            name="real",
            description="a model for tests",
            load="real:load",
            generate="real:generate",
            honours=PROCEDURAL.honours | {"negative_prompt"},
            sizes=(64, 512),
        ),
    }


class Pinned(Crowded):
    """One whose model says which commit of its weights it has."""

    name = "pinned"
    built_in = {"pinned": dataclasses.replace(Crowded.built_in["real"], name="pinned", revision="abc123")}  # noqa: RUF012


def crowded() -> Crowded:
    return Crowded(VideoSettings(model="real"))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path, VideoArgs(prompt="a fox\nin snow", width=32, height=16, num_frames=4, seed=1))
    yield made
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    assert not [task for task in rest if (task.get_name() or "").startswith("load ")]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


# What a job may say


def test_the_server_side_imports_no_numpy() -> None:
    script = "import sys, zeus_plugins.video; print([m for m in ('numpy', 'av', 'PIL', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settle_fixes_all_that_must_not_differ() -> None:
    settled, span = VideoEngine(VideoSettings()).settle(VideoArgs(prompt="a fox"), None)
    assert (settled.model, settled.width, settled.height) == ("procedural", 512, 288)
    assert (settled.num_frames, settled.fps, settled.export_format) == (73, 24, "mp4")
    assert isinstance(settled.seed, int)
    assert span == Span(1, 73)


def test_settle_draws_another_seed_each_time_and_keeps_a_given_one() -> None:
    engine = VideoEngine(VideoSettings())
    assert len({engine.settle(VideoArgs(prompt="a"), None)[0].seed for _ in range(8)}) > 1
    assert engine.settle(VideoArgs(prompt="a", seed=0), None)[0].seed == 0


def test_settled_arguments_settle_to_themselves() -> None:
    engine = VideoEngine(VideoSettings())
    settled, span = engine.settle(VideoArgs(prompt="a fox"), None)
    assert engine.settle(settled, span) == (settled, span)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"negative_prompt": "blurry"}, 'the model "procedural" does not use negative_prompt'),
        ({"num_inference_steps": 30}, 'the model "procedural" does not use num_inference_steps'),
        ({"guidance_scale": 0.0}, 'the model "procedural" does not use guidance_scale'),
        ({"image": "fox.png"}, 'the model "procedural" does not use image'),
        ({"model": "sora"}, "known are .*procedural"),
        ({"width": 511}, "even number, such as 512"),
        ({"height": 8}, "16 to 4096"),
        ({"width": 5000}, "16 to 4096"),
        ({"num_frames": 1}, "2 to 36000"),
        ({"fps": 0.5}, "1 to 240"),
        ({"fps": float("nan")}, "1 to 240"),
        ({"export_format": "avi"}, 'cannot make "avi", only mp4, gif, webp, png'),
    ],
)
def test_what_a_model_cannot_do_is_refused(said: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        VideoEngine(VideoSettings()).settle(VideoArgs(prompt="a fox", **said), None)


@pytest.mark.parametrize("form", ["gif", "WebP", "png"])
def test_only_mp4_needs_even_sizes(form: str) -> None:
    args = VideoArgs(prompt="a fox", width=65, height=33, export_format=form)
    settled, _ = VideoEngine(VideoSettings()).settle(args, None)
    assert (settled.width, settled.height, settled.export_format) == (65, 33, form.lower())


def test_a_range_of_frames_is_refused() -> None:
    with pytest.raises(BadInput, match="num_frames"):
        VideoEngine(VideoSettings()).settle(VideoArgs(prompt="a fox"), Span(5, 9))


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"prompt": ""}',
        b'{"prompt": "  "}',
        b'{"prompt": "a\\u0000b"}',
        b'{"prompt": "a\\u001b[0m"}',
        b'{"prompt": "a", "negative_prompt": "\\u0007"}',
        b'{"prompt": "' + b"a" * 10_001 + b'"}',
        b'{"prompt": "a", "seed": -1}',
        b'{"prompt": "a", "seed": 9223372036854775808}',
        b'{"prompt": "a", "width": 0}',
        b'{"prompt": "a", "fps": 1000}',
        b'{"prompt": "a", "colour": "red"}',
    ],
)
def test_arguments_that_cannot_be_right(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=VideoArgs)


def test_arguments_that_are_right() -> None:
    body = '{"prompt": "狐 🦊\\nin\\tsnow", "seed": 9223372036854775807, "fps": 23.976}'
    assert msgspec.json.decode(body, type=VideoArgs).prompt == "狐 🦊\nin\tsnow"


def test_the_schema_tells_bounds_and_what_each_argument_is() -> None:
    (schema,) = msgspec.json.schema_components([VideoArgs])[1].values()
    assert all(field.get("description") for field in schema["properties"].values())
    assert '"maximum":240' in msgspec.json.encode(schema).decode()


def test_an_unknown_default_model_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="procedural"):
        VideoEngine(VideoSettings(model="sora"))


# The states of a model


async def test_the_procedural_model_is_ready_at_once() -> None:
    engine = VideoEngine(VideoSettings())
    assert engine.model_state() == ModelState(True, False, "procedural is ready")
    with pytest.raises(BadInput):
        engine.model_state("sora")


async def test_a_model_that_loads(node: Node) -> None:
    go = threading.Event()

    def load(job: Job) -> None:
        job.report({"message": "fetching weights", "fraction": 0.25})
        go.wait(5)

    node.functions["real:load"] = load
    engine = crowded()
    assert engine.model_state().building
    starting = asyncio.create_task(engine.start(node))
    await until(lambda: "fetching weights (25%)" in engine.model_state().message)
    assert engine.model_state().building and not engine.model_state().ready
    assert engine.model_state("procedural").ready
    go.set()
    await starting
    assert engine.model_state() == ModelState(True, False, "real is ready")


async def test_a_model_that_fails_to_load(node: Node) -> None:
    def load(job: Job) -> None:
        raise TaskFailed("the weights are damaged")

    node.functions["real:load"] = load
    engine = crowded()
    await engine.start(node)
    state = engine.model_state()
    assert (state.ready, state.building) == (False, False)
    assert "the weights are damaged" in state.message


async def test_a_gpu_that_another_engine_has_is_left_to_it(node: Node) -> None:
    calls: list[str] = []

    def load(job: Job) -> None:
        calls.append("load")
        if len(calls) == 1:
            raise NotReady("The GPU is taken by a job of blender.")

    _real(node, _writes)
    node.functions["real:load"] = load
    engine = crowded()
    await engine.start(node)
    waiting = ModelState(True, False, "real is loaded when a job asks for it")
    assert engine.model_state() == waiting and calls == ["load"], "it is not tried again and again"
    await engine.run(node)
    assert engine.model_state() == ModelState(True, False, "real is ready")
    node.warm = False
    assert engine.model_state() == waiting, "it was unloaded meanwhile"


async def test_a_model_that_dies_twice_while_it_loads(node: Node) -> None:
    tries: list[int] = []

    def load(job: Job) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise WorkerDied

    node.functions["real:load"] = load
    engine = crowded()
    await engine.start(node)
    assert engine.model_state().ready and len(tries) == 3


async def test_a_model_that_always_dies_while_it_loads(node: Node) -> None:
    tries: list[int] = []

    def load(job: Job) -> None:
        tries.append(1)
        raise WorkerDied

    node.functions["real:load"] = load
    engine = crowded()
    await engine.start(node)
    state = engine.model_state()
    assert (state.ready, state.building, len(tries)) == (False, False, 3)
    assert "crashed 3 times in a row" in state.message


def _dies(job: Job, **arguments: Any) -> None:
    raise WorkerDied


def _writes(job: Job, *, target: str, width: int, height: int, num_frames: int, **rest: Any) -> None:
    with Path(target).open("wb") as frames:
        for number in range(num_frames):
            frames.write(bytes(width * height * 3))
            job.report(number + 1)


def _real(node: Node, generate: Callable[..., None]) -> None:
    node.functions |= {"real:load": lambda job: None, "real:generate": generate}
    node.args = VideoArgs(prompt="a fox", model="real", width=64, height=64, num_frames=3, negative_prompt="blurry")


async def test_a_worker_that_dies_is_loaded_again_in_the_background(node: Node) -> None:
    _real(node, _dies)
    engine = crowded()
    await engine.start(node)
    go = threading.Event()
    node.functions["real:load"] = lambda job: go.wait(5)
    with pytest.raises(WorkerDied):
        await engine.run(node)
    assert engine.model_state().building
    go.set()
    await until(lambda: engine.model_state().ready)


async def test_three_crashes_in_a_row_are_a_fault(node: Node) -> None:
    _real(node, _dies)
    engine = crowded()
    await engine.start(node)
    for attempt in range(3):
        (node.folder / "frames.pipe").unlink(missing_ok=True)
        with pytest.raises(WorkerDied):
            await engine.run(node)
        if attempt < 2:
            await until(lambda: engine.model_state().ready)
    assert not engine.model_state().building and "3 times" in engine.model_state().message
    with pytest.raises(TaskFailed) as caught:
        await engine.run(node)
    assert not caught.value.retry and caught.value.code == "model_fault"


async def test_a_success_between_forgives_the_crashes(node: Node) -> None:
    _real(node, _dies)
    engine = crowded()
    await engine.start(node)
    for generate in (_dies, _dies, _writes, _dies, _dies):
        (node.folder / "frames.pipe").unlink(missing_ok=True)
        node.functions["real:generate"] = generate
        try:
            await engine.run(node)
        except WorkerDied:
            await until(lambda: engine.model_state().ready)
    assert engine.model_state().ready


async def test_a_model_that_is_not_the_default_is_loaded_when_it_is_needed(node: Node) -> None:
    _real(node, _writes)
    engine = Crowded(VideoSettings(model="procedural"))
    await engine.start(node)
    await engine.run(node)
    assert engine.model_state("real").ready
    assert node.calls[-1]["negative_prompt"] == "blurry"


# A run


async def test_a_run_joins_model_and_encoder(node: Node) -> None:
    await VideoEngine(VideoSettings()).run(node)
    assert (node.out / "out.mp4").stat().st_size == 32 * 16 * 3 * 4
    await until(lambda: bool(node.progress) and node.progress[-1] == (1.0, "frame 4 of 4", 4))
    assert any("needs no download" in line for line in node.notes)
    assert set(node.calls[0]) == {"prompt", "seed", "width", "height", "num_frames", "fps", "target"}


async def test_a_file_says_what_made_it(node: Node) -> None:
    _real(node, _writes)
    node.args = msgspec.structs.replace(node.args, model="pinned")
    await Pinned(VideoSettings(model="pinned", crf=30)).run(node)
    assert (node.encoded["crf"], node.encoded["title"]) == (30, "a fox")
    made = node.encoded["metadata"]
    assert (made["prompt"], made["negative_prompt"], made["revision"]) == ("a fox", "blurry", "abc123")
    assert (made["width"], made["height"], made["num_frames"], made["fps"]) == (64, 64, 3, 24.0)
    assert isinstance(made["seed"], int) and "guidance_scale" not in made and made["zeus"]


async def test_a_file_says_nothing_where_the_owner_wants_that(node: Node) -> None:
    await VideoEngine(VideoSettings(metadata=False)).run(node)
    assert node.encoded == {"crf": 18}


async def test_an_encoder_that_fails_before_it_opened_the_pipe(node: Node) -> None:
    node.encode_fails = WorkerDied("the media worker ended")
    begun = time.monotonic()
    with pytest.raises(WorkerDied, match="media worker"):
        await VideoEngine(VideoSettings()).run(node)
    assert time.monotonic() - begun < 6


async def test_a_model_that_fails_halfway_is_the_cause(node: Node) -> None:
    def generate(job: Job, *, target: str, **rest: Any) -> None:
        with Path(target).open("wb") as frames:
            frames.write(b"half")
        time.sleep(0.2)  # the encoder sees the short stream first
        raise TaskFailed("out of memory")

    _real(node, generate)
    engine = crowded()
    with pytest.raises(TaskFailed, match="out of memory"):
        await engine.run(node)
    assert engine.model_state().ready


async def test_a_lost_reader_is_not_the_cause(node: Node) -> None:
    def generate(job: Job, **rest: Any) -> None:
        raise TaskFailed("the encoder stopped reading", code="reader_gone")

    async def encode(*args: Any, **options: Any) -> MediaInfo:
        await asyncio.sleep(0.1)
        raise OutputInvalid("the disk is full")

    _real(node, generate)
    node.encode = encode  # type: ignore[method-assign]
    with pytest.raises(OutputInvalid, match="disk is full"):
        await crowded().run(node)


async def test_a_cancel_ends_both_sides(node: Node) -> None:
    node.args = VideoArgs(prompt="a fox", width=256, height=144, num_frames=5000)
    running = asyncio.create_task(VideoEngine(VideoSettings()).run(node))
    await until(lambda: len(node.progress) > 2)
    running.cancel()
    begun = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - begun < 2
    assert not (node.out / "out.mp4").exists()
