"""The plugin interface: all that an engine may import of Zeus, with `zeus.errors`.

An engine is one way of turning arguments into files. It is a class derived from `Engine`, in a folder of the
configured plugin folders or behind an entry point of the group `zeus.engines`. See docs/plugins.md.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

API_VERSION = 1


class Span(msgspec.Struct, frozen=True):
    """A range of frames, both ends included."""

    start: int
    end: int

    @property
    def count(self) -> int:
        return self.end - self.start + 1


class Version(msgspec.Struct, frozen=True):
    """One installed version of an engine's tool. `source`: configured, managed, bundled, path or builtin."""

    version: str
    source: str
    path: str | None = None


class Archive(msgspec.Struct, frozen=True):
    """The archives that hold an engine's tool for one system (linux, windows, macos) and processor (x64, arm64)."""

    system: str
    cpu: str
    file: str
    """A regular expression of the whole file name, with a group `version`. Name only what ends in .zip, .tar, .tar.gz,
    .tar.bz2 or .tar.xz: Zeus unpacks nothing else."""
    executable: str
    """Where the tool lies in what is unpacked: a path in which `*` stands for one folder, such as "*/bin/ffmpeg"."""


class ReleaseSource(msgspec.Struct, frozen=True):
    """Where the versions of an engine's tool are published that Zeus may install, verify and remove."""

    index: str
    """The URL of a folder, with its slash at the end; `[engines.NAME] mirror` takes its place."""
    archives: tuple[Archive, ...]
    sums: str
    """The file beside an archive with its sha256, as `sha256sum` writes it; "{version}" in it stands for the version.
    Where no version is in it, it is the list of the archives too, and no listing of the folder is asked for."""
    version_line: str
    """A regular expression of what the tool prints about itself, with a group `version`."""
    version_arguments: tuple[str, ...] = ("--version",)
    """What the tool is called with to print it."""
    folder: str | None = None
    """A regular expression of the names in the index that are folders of archives, with a group `series` such as 4.2;
    None where the archives lie in the index itself."""
    lts: tuple[str, ...] = ()
    """The series with long-term support."""


class Stream(msgspec.Struct, frozen=True):
    """One stream of a media file. Sizes in pixels, `fps` in frames a second, `duration` in seconds."""

    kind: str
    codec: str
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    frames: int | None = None
    duration: float | None = None
    pixel_format: str | None = None
    sample_rate: int | None = None
    channels: int | None = None


class MediaInfo(msgspec.Struct, frozen=True):
    """What a decoder says of a media file. `duration` in seconds, `size` in bytes."""

    container: str
    size: int
    duration: float | None
    streams: tuple[Stream, ...]

    def first(self, kind: str) -> Stream | None:
        """The first stream of a kind (video, audio), or None."""
        return next((stream for stream in self.streams if stream.kind == kind), None)


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One scene of a project file, as it was saved.

    `width` and `height` in pixels before `resolution_percentage`; `camera`: the one that it shows, or None.
    """

    name: str
    span: Span
    frame_step: int = 1
    fps: float
    width: int
    height: int
    resolution_percentage: int = 100
    cameras: tuple[str, ...] = ()
    camera: str | None = None
    needs_camera: bool = True
    engine: str = ""
    export_format: str = ""
    samples: int | None = None


class Facts(msgspec.Struct, frozen=True):
    """What an engine found out about an input file, without working on it.

    Of a project with several scenes: `scene` is the one that is shown first, and the fields above it are that one's.
    `made_by`: the version of the program that wrote it.
    """

    span: Span | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    cameras: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()
    scene: str | None = None
    scenes: tuple[Scene, ...] = ()
    made_by: str | None = None


class ModelState(msgspec.Struct, frozen=True):
    """Whether a generation model can be used. Neither ready nor building means a fault or a shutdown."""

    ready: bool
    building: bool
    message: str


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an engine that has none."""


class Completed(msgspec.Struct, frozen=True):
    """How a tool ended: its exit code (negative: the signal that ended it) and the last lines that it printed."""

    exit: int
    tail: tuple[str, ...]


class Computation(Protocol):
    """What a function that runs in the inference executor gets as its first argument."""

    def report(self, value: Any) -> None:
        """Send plain data to the caller's `report`."""

    def check(self) -> None:
        """Raise Cancelled when the caller was cancelled. Call it at least once a frame or step."""


class Cancelled(Exception):
    """The caller of a computation was cancelled."""


Line = Callable[[str], bool | None]
"""Gets a line of a tool's output; True means that it was progress alone and is kept out of the job's log."""


Quality = Literal["low", "medium", "high"]
"""How much of a picture a movie keeps; high can hardly be told from the picture."""


class Tools(Protocol):
    """What an engine may use of the node. Everything started here ends when the caller is cancelled."""

    cache: Path
    """A folder that the engine may keep files in between tasks."""

    def managed(self, engine: str) -> list[Version]:
        """The versions of an engine that Zeus installed from its `releases`, the newest first; from memory."""

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        parse: Line | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Run a tool to its end; `parse` gets each line of its output (stdout and stderr together).

        Raises ToolFailed when it cannot be started, ran for more than `timeout` seconds or, unless `check` is False,
        ended with another exit code than 0.
        """

    async def probe(self, path: Path) -> MediaInfo:
        """Read a media file's headers. Raises BadInput when it is no media file that can be read."""

    async def verify(
        self,
        path: Path,
        *,
        duration: float | None = None,
        frames: int | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> MediaInfo:
        """Decode a whole media file. `duration` in seconds and `frames` are what the first video stream (or, without
        one, the audio) must have, within a tolerance of half a second or two percent and exactly; `width` and `height`
        in pixels are the first video stream's, exactly.

        Raises OutputInvalid, saying what differs.
        """

    async def encode(
        self, frames: Path, target: Path, *, width: int, height: int, fps: float, count: int, title: str = ""
    ) -> MediaInfo:
        """Encode raw frames to H.264 in mp4 (yuv420p, playable while it downloads).

        `frames` is a named pipe or file of `count` frames of `height` × `width` × 3 bytes (RGB, row by row).
        Raises OutputInvalid when fewer arrive.
        """

    async def movie(
        self,
        pictures: Sequence[Path],
        target: Path,
        *,
        fps: float,
        quality: Quality = "high",
        title: str = "",
        report: Callable[[float], None] | None = None,
    ) -> MediaInfo:
        """Make a movie of pictures of one size, one frame each: H.264 in .mp4 and .mov, VP9 in .webm, all yuv420p.

        Pictures in linear light (EXR) become sRGB, transparent ones stand on black, and the last line or column is
        doubled where their number is odd. `fps` near 23.976, 29.97 and the like is taken as 24000/1001, 30000/1001 and
        the like. `report` gets fractions from 0 to 1. Everything is decoded once more and counted.

        Raises OutputInvalid, which names the picture, when one does not decode or has another size than the first;
        BadInput for another ending, no pictures, or an `fps` that is not above 0 and at most 1000.
        """

    async def compute(
        self, function: str, arguments: Mapping[str, Any], *, report: Callable[[Any], None] | None = None
    ) -> Any:
        """Call `"package.module:function"` in the inference executor, a process apart from the server.

        The function is called as `function(job, **arguments)`. `job.report(value)` reaches `report` here, and
        `job.check()` raises Cancelled in there once the caller was cancelled. Arguments, reports and the result are
        plain data (msgpack). Raises WorkerDied when the process ended, and the function's own ZeusError as it was.
        """


A = TypeVar("A", bound=msgspec.Struct)


class RunContext(Tools, Protocol[A]):
    """One attempt at one task."""

    args: A
    version: Version | None
    """What the job's `renderer_version` means here: the one of the engine's `versions` that shall do the work. None
    where the engine lists none."""
    span: Span | None
    input: Path | None
    """The job's input file, or None. Not to be changed."""
    folder: Path
    """A folder of this attempt alone; it goes when the attempt has ended."""
    out: Path
    """The folder whose files are published once `run` has returned. Names beginning with "." are left out."""

    done: frozenset[int]
    """The frames that earlier attempts have published: they are not to be made again."""
    published: Path
    """The folder of what the job has published so far. Not to be changed; there is none before the first frame."""

    def report(self, fraction: float, note: str = "", frame: int | None = None) -> None:
        """Progress: a fraction from 0 to 1, what is being done, and how many frames are complete."""

    async def publish(self, frame: int, paths: Sequence[Path], seconds: float | None = None) -> None:
        """Make whole, checked files of the attempt's folder outputs of the job: those of one frame.

        For engines that publish "each". Durable when this returns, and never made again; `seconds` is how long the
        frame took. Raises OutputInvalid when a file is empty, no file, or has a name that was published before.
        """

    async def frame_failed(self, frame: int, reason: str) -> None:
        """Put on record that a frame could not be made. Go on with the others, and raise TaskFailed at the end."""

    async def set_span(self, span: Span) -> None:
        """Tell the job which frames it makes, where only its attempt could find them out."""

    def note(self, line: str) -> None:
        """Write a line to the job's log."""


class Engine(ABC, Generic[A]):
    """One way of turning arguments into files. One instance serves all tasks."""

    api: ClassVar[int] = API_VERSION
    """The version of this interface that the engine was written for."""
    name: ClassVar[str]
    """How jobs name it, such as "ffmpeg"."""
    extensions: ClassVar[frozenset[str]] = frozenset()
    """Of the input files that it takes, in small letters without the dot; used to choose an engine for a file."""
    export_formats: ClassVar[Sequence[str]] = ()
    """What it can make, for people to choose from."""
    projects: ClassVar[frozenset[str]] = frozenset()
    """Endings of the files that a zip may be sent for: it is unpacked, and the one such file in it is the input."""
    needs_input: ClassVar[bool] = True
    """Whether a job without an input file is refused."""
    publishes: ClassVar[Literal["whole", "each"]] = "whole"
    """"whole": all outputs appear together, when `run` has returned. "each": `run` publishes every frame as soon as it
    is made; what is in `out` when it returns comes last."""
    inspects: ClassVar[bool] = False
    """Whether `inspect` looks at a job's input before the job is taken, for `settle` to check the job against."""
    Args: ClassVar[type[msgspec.Struct]]
    """A frozen Struct: what a job may say in `args`; its `__post_init__` raises ValueError where values disagree.
    A `frame_step` in it says that only each so many-th frame is made."""
    Settings: ClassVar[type[msgspec.Struct]] = NoSettings
    """A frozen Struct: what the configuration may say in `[engines.NAME]`, beside what Zeus itself takes from there."""
    releases: ClassVar[ReleaseSource | None] = None
    """Where versions of its tool can be had that Zeus may install; None where there are none to manage."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    async def start(self, tools: Tools) -> None:
        """Prepare what takes long (load a model). Called once, in the background, after the node answers."""

    async def ready(self, tools: Tools) -> str | None:
        """None when this machine can run the engine, else the reason why it cannot."""
        return None

    @abstractmethod
    async def versions(self, tools: Tools) -> list[Version]:
        """The installed versions, the preferred one first; with `tools.managed(self.name)` among them where the engine
        has `releases`. Asked before each attempt: look at a tool once, not each time."""

    async def help(self, tools: Tools) -> str:
        """A help text for people: that of the engine's tool, or what the engine is and which arguments it takes."""
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(self.Args)) or "none"
        return f"{self.name}: {inspect.getdoc(type(self)) or 'no description.'}\n\nArguments: {fields}.\n"

    async def system_info(self, tools: Tools) -> dict[str, str]:
        """What the engine found on this machine, for people to read: versions, hardware, models."""
        return {}

    def settle(self, args: A, span: Span | None, facts: Facts | None = None) -> tuple[A, Span | None]:
        """Fix at submission what must not differ between attempts, such as a seed or the number of frames.

        `facts` are what `inspect` said of the input, None where it was not or could not be asked.
        Raises BadInput where the arguments ask for what this engine cannot do. Pure but for random choices.
        """
        return args, span

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        """What an input file holds. Raises BadInput when it is none of this engine's."""
        return Facts()

    @abstractmethod
    async def run(self, context: RunContext[A]) -> None:
        """Make the files of one task in `context.out`; return only when each was checked to be whole.

        Raises TaskFailed, whose `retry` says whether another attempt makes sense, or BadInput, which ends the job.
        """


class GenerationEngine(Engine[A]):
    """An engine that makes pictures from a prompt and stands behind `/api/generate`."""

    needs_input = False

    @abstractmethod
    def model_state(self, model: str | None = None) -> ModelState:
        """The state of a model, or of the default one. Raises BadInput for one that is not known."""
