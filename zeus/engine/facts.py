"""What engines say of files, versions and models."""

from __future__ import annotations

import msgspec


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


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One generation model of an engine.

    `state`: absent, pulling, here, loading, ready or fault; `message` says more. `source` is where its weights come
    from: builtin (it needs none), configured (a folder of the owner's) or synced (from `repository`); None where nobody
    has said it. `done` of `size` bytes are here, as far as that is known; `memory` in GiB is what its device needs.
    """

    name: str
    description: str
    state: str
    message: str
    is_default: bool = False
    source: str | None = None
    repository: str | None = None
    revision: str | None = None
    done: int | None = None
    size: int | None = None
    memory: float | None = None


class ModelState(msgspec.Struct, frozen=True):
    """Whether a generation model can be used. Neither ready nor building means a fault or a shutdown."""

    ready: bool
    building: bool
    message: str
