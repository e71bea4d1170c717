"""What an engine may use of the node, for any purpose and for one attempt at one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from zeus.engine.facts import MediaInfo, Span, Version
from zeus.model import Demand


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

    @property
    def warm(self) -> bool:
        """Whether what earlier calls of `compute` for the same engine have loaded may still be in memory."""

    def on(self, engine: str, demand: Demand) -> Tools:
        """The same tools for work of an engine that is no attempt, such as loading a model: on the attempt's device, or
        before any on the GPU that suits the demand best. `compute` raises NotReady while another engine's job has it.
        """

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
        """Decode a whole media file, or a folder of pictures of one size as the frames of a file.

        `duration` in seconds and `frames` are what the first video stream (or, without one, the audio) must have,
        within a tolerance of half a second or two percent and exactly; `width` and `height` in pixels are the first
        video stream's, exactly.

        Raises OutputInvalid, saying what differs.
        """

    async def encode(
        self,
        frames: Path,
        target: Path,
        *,
        width: int,
        height: int,
        fps: float,
        count: int,
        title: str = "",
        crf: int = 18,
        metadata: Mapping[str, str | int | float] = MappingProxyType({}),
    ) -> MediaInfo:
        """Encode raw frames as they arrive: to H.264 in .mp4 (yuv420p, playable while it downloads), to an animated
        .gif or .webp, or, where the target is an empty folder, to pictures in it: frame_0001.png and so on.

        `frames` is a named pipe or file of `count` frames of `height` × `width` × 3 bytes (RGB, row by row). `crf` is
        H.264's from 0, the best, to 51. A GIF shows each frame for 2 hundredths of a second or more, and so it may
        last longer than it should. `title` and `metadata` are any text and numbers; the file has the latter as a JSON
        object in its comment, each text cut to 8 KiB. Everything is decoded once more, counted and measured.

        Raises OutputInvalid when fewer frames arrive; BadInput for another ending, odd sizes of an mp4, sides of more
        than 16383 pixels of a WebP or 65535 of others, or a folder that is not empty.
        """

    async def still(
        self, path: Path, *, target: Path | None = None, width: int | None = None, height: int | None = None
    ) -> tuple[int, int]:
        """Decode a single picture whole; its width and height in pixels, upright.

        With `target` it is written there as PNG (8 bits of red, green and blue) in `width` × `height`: as large as
        covers that, the rest cut off evenly, in sRGB, on black where it is transparent.
        Raises BadInput for a movie, an animation, a picture of more than 100 million pixels, and what does not decode.
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
        self,
        function: str,
        arguments: Mapping[str, Any],
        *,
        report: Callable[[Any], None] | None = None,
        apart: bool = False,
    ) -> Any:
        """Call `"package.module:function"` in the inference executor, a process apart from the server; with `apart` in
        a process of its own, which ends with the call and neither waits for a device nor holds one up.

        The function is called as `function(job, **arguments)`. `job.report(value)` reaches `report` here, and
        `job.check()` raises Cancelled in there once the caller was cancelled. Arguments, reports and the result are
        plain data (msgpack). Each GPU has a process of its own, which sees no other one.

        Raises WorkerDied when the process ended, and the function's own ZeusError as it was.
        """


A = TypeVar("A", bound=msgspec.Struct)


class RunContext(Tools, Protocol[A]):
    """One attempt at one task."""

    args: A
    version: Version | None
    """What the job's `renderer_version` means here: the one of the engine's `versions` that shall do the work. None
    where the engine lists none."""
    span: Span | None
    device: int | None
    """The number of the GPU that the attempt has to itself, by what `demand` said; None: the processor. Tools that are
    spawned and functions that compute see no other one."""
    input: Path | None
    """The job's input file, or None. Not to be changed."""
    folder: Path
    """A folder of this attempt alone; it goes when the attempt has ended."""
    out: Path
    """The folder whose files are published once `run` has returned. Names beginning with "." are left out."""
    preview: Path
    """Where a JPEG may lie that shows how far the work is, until there are files in `out` that do. To be replaced by
    rename, as often as is worth it; it is what the job's thumbnail shows meanwhile, and never an output."""

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

    async def set_span(self, span: Span, step: int = 1) -> None:
        """Tell the job which frames it makes, where only its attempt could find them out: each `step`-th of a span."""

    def note(self, line: str) -> None:
        """Write a line to the job's log."""
