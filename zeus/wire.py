"""The JSON shapes that a node and its clients exchange, as docs/api.md names them.

A client ignores fields that it does not know. Times are RFC 3339 UTC strings, sizes bytes, percentages 0 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MOST = (1 << 31) - 1
"""Of what another node counts."""
FRAME_LIMIT = 1_048_574
"""The highest frame number that Blender knows."""
FrameNumber = Annotated[int, Meta(ge=-FRAME_LIMIT, le=FRAME_LIMIT)]
Id = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9-]{1,64}$(?!\n)",
        title="an id: up to 64 letters, digits and hyphens",
        examples=["5f0c2d0e-8a53-4d43-9d0b-6c6f1b8a7a11"],
    ),
]
NodeUrl = Annotated[
    str,
    Meta(
        pattern=r"^https?://[A-Za-z0-9.:_%\[\]-]{1,255}/?$(?!\n)",
        title="a node's URL: http:// or https://, its name or address, and its port",
        examples=["http://render-1:8080"],
    ),
]
Hex = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{1,512}$(?!\n)", title="up to 512 digits and letters from a to f", examples=["0a1b"])
]


def time_text(seconds: float | None) -> str | None:
    """A time since 1970 as RFC 3339 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error: str
    message: str


class OpenAIProblem(msgspec.Struct, frozen=True):
    """Why a request under `/v1` was refused; `param` is the field that is wrong, where it is one."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAIError(msgspec.Struct, frozen=True):
    """The body of every refusal under `/v1`."""

    error: OpenAIProblem


class ErrorView(msgspec.Struct, frozen=True):
    """Why a job failed or was cancelled."""

    code: str
    message: str


class ChildView(msgspec.Struct, frozen=True):
    """A piece of a split job: where it runs and which frames it makes."""

    id: str
    node: str | None
    start_frame: int | None
    end_frame: int | None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One job."""

    id: str
    job_id: str
    name: str
    renderer: str
    renderer_version: str
    status: str
    percent_complete: int
    handled_by: str
    node: str | None
    start_frame: int | None
    end_frame: int | None
    total_frames: int | None
    completed_frames: int
    args: Mapping[str, Any]
    enable_split_jobs: bool
    parent: str | None
    children: Sequence[ChildView]
    priority: int
    depends_on: Sequence[str]
    attempt: int
    date_created: str
    start_time: str | None
    end_time: str | None
    eta_seconds: float | None
    error: ErrorView | None
    file_count: int
    revision: int


class JobList(msgspec.Struct, frozen=True):
    """Jobs, and the token that a long poll waits with for a change after them."""

    jobs: Sequence[JobView]
    token: str


class FrameView(msgspec.Struct, frozen=True):
    """One frame of a job, or of the subjob `job_id`: its state in the words of a job's status.

    `node` made it or is at it, in `seconds`; `error` says why it could not be made.
    """

    frame: int
    state: str
    node: str | None
    seconds: float | None
    error: str | None
    job_id: str


class FrameList(msgspec.Struct, frozen=True):
    """The frames of a job from `start` on, by number; `total` counts all of them."""

    frames: Sequence[FrameView]
    total: int


class FileView(msgspec.Struct, frozen=True):
    """One output: `frame` is the one with which it was published, in `seconds`; None for what came at the end."""

    name: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str
    frame: int | None = None
    seconds: float | None = None


class JobChanges(msgspec.Struct, frozen=True):
    """The jobs that changed since a token, and the ids of those that were removed."""

    jobs: Sequence[JobView]
    removed: Sequence[str]
    token: str


class SubjobUpdate(msgspec.Struct, frozen=True):
    """What a parent's node reads of a subjob's job object."""

    id: str
    status: str
    attempt: Annotated[int, Meta(ge=0, le=MOST)]
    percent_complete: Annotated[int, Meta(ge=0, le=100)]
    completed_frames: Annotated[int, Meta(ge=0, le=MOST)] = 0


class Refusal(msgspec.Struct, frozen=True):
    """A node, and the rules by which a job does not run there now; none: it runs, or will at once."""

    node: str
    reasons: Sequence[str]


class WhyView(msgspec.Struct, frozen=True):
    """Why a job is not running yet: of itself, then node by node."""

    status: str
    reasons: Sequence[str]
    nodes: Sequence[Refusal]


class DemandView(msgspec.Struct, frozen=True):
    """What a job asks of its place: "gpu", "gpu:N" or "", the bytes of GPU memory that it wants and needs at least, and
    the generation model that must be ready there.
    """

    gpu: Annotated[str, Meta(pattern=r"^(gpu(:\d{1,3})?)?$", title="gpu, gpu:N or nothing")] = ""
    memory: Annotated[int, Meta(ge=0, le=1 << 50)] = 0
    least: Annotated[int, Meta(ge=0, le=1 << 50)] = 0
    model: Annotated[str, Meta(max_length=200)] = ""


class DryRun(msgspec.Struct, frozen=True):
    """What a job would be, and which nodes could run it.

    `renderer_version`: where it is shared out, the one of all pieces. `publishes`: "whole" or "each" frame. `splits`:
    "" or how it is shared out; `can_split`: how it would be, did it ask for that; `joins`: whether files are made of
    all its frames, or of its pieces' files. `project_file`: of an archive, the file that is meant.
    """

    valid: bool
    renderer: Annotated[str, Meta(max_length=64)]
    args: Mapping[str, Any]
    start_frame: FrameNumber | None
    end_frame: FrameNumber | None
    nodes: Sequence[Refusal]
    renderer_version: Annotated[str, Meta(max_length=64)] = ""
    frame_step: Annotated[int, Meta(ge=1, le=MOST)] = 1
    publishes: Literal["whole", "each"] = "whole"
    splits: Literal["", "frames", "parts"] = ""
    can_split: Literal["", "frames", "parts"] = ""
    joins: bool = False
    demand: DemandView = DemandView()
    project_file: Annotated[str, Meta(max_length=1024)] | None = None


class SharedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file in a folder that two nodes share: the folder's name, the path in it with slashes, and of the file as the
    sender sees it the size and the time of its last change, in seconds since 1970.
    """

    share: Annotated[
        str,
        Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$(?!\n)", title="the name of a section of [paths]"),
    ]
    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    size: Annotated[int, Meta(ge=0)] | None = None
    modified: float | None = None


class JobAccepted(msgspec.Struct, frozen=True):
    """The answer to a request for a video."""

    job_id: str
    status: str
    percent_complete: int
    handled_by: str


class ModelStatus(msgspec.Struct, frozen=True):
    """Whether the generation model can be used. Neither ready nor building: a fault or a shutdown."""

    ready: bool
    building: bool
    message: str


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """One generation model: its `state` is absent, pulling, here, loading, ready or fault, `message` is for people.

    `source`: builtin, configured (a folder of the owner's), synced (from `repository`), or None where nobody said it.
    `done` of `size` bytes are here, None where that is not known; `memory` in GiB is what its device needs.
    """

    name: str
    description: str
    state: str
    message: str
    is_default: bool
    source: str | None
    repository: str | None
    revision: str | None
    done: int | None
    size: int | None
    memory: float | None


class ModelList(msgspec.Struct, frozen=True):
    """All generation models."""

    models: Sequence[ModelView]


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """A job of the generation engine as OpenAI's clients know it. Times are whole seconds since 1970.

    `status`: queued, in_progress, completed or failed. `seconds` and `size` are those of the video that is made.
    """

    id: str
    object: str = "video"
    model: str
    status: str
    progress: int
    prompt: str | None
    seconds: str
    size: str
    created_at: int
    completed_at: int | None
    expires_at: int | None = None
    error: ErrorView | None
    remixed_from_video_id: str | None = None


class VideoList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of videos; `last_id` is what the next page goes on `after`."""

    object: str = "list"
    data: Sequence[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class VideoDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a video and its files are gone."""

    id: str
    object: str = "video.deleted"
    deleted: bool = True


class GpuView(msgspec.Struct, frozen=True, kw_only=True):
    """One graphics card, as far as its driver tells. `job` has it to itself now."""

    name: str
    index: int | None = None
    job: str | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    percent: float | None = None


class DiskView(msgspec.Struct, frozen=True):
    """The disk that holds the storage folder."""

    total: int
    free: int


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """A node: its machine, its load and its versions. `job_counts` is keyed by status."""

    timestamp: str
    system_os: str
    system_os_version: str
    cpu_brand: str
    cpu_count: int
    cpu_percent: float
    memory_total: int
    memory_available: int
    memory_percent: float
    gpus: Sequence[GpuView]
    disk: DiskView
    job_counts: Mapping[str, int]
    hostname: str
    port: int
    app_version: str
    api_version: str


class VersionView(msgspec.Struct, frozen=True):
    """An installed version of an engine's tool. `source`: configured, managed, bundled, path or builtin."""

    version: str
    source: str


class DownloadView(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is on its way, or why it did not come. `size` is None until it is known."""

    version: str
    state: str
    percent: int
    bytes: int
    size: int | None
    reason: str | None = None


class ReleaseView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a version can be had for a system; `versions` are all that were meant, the newest first."""

    engine: str
    version: str | None
    available: bool
    installed: bool
    system_os: str
    cpu: str
    file: str | None = None
    url: str | None = None
    versions: Sequence[str] = ()
    reason: str | None = None


class NewestView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version that can be had for a system, and the newest with long-term support."""

    engine: str
    version: str
    lts: str | None
    system_os: str
    cpu: str


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """One engine, and whether this machine can run it; `reason` says why not."""

    available: bool
    reason: str | None = None
    versions: Sequence[VersionView] = ()
    downloads: Sequence[DownloadView] = ()


class EngineDetails(EngineView, frozen=True, kw_only=True):
    """All about one engine. `ui_options` is the JSON Schema of its arguments."""

    supported_extensions: Sequence[str] = ()
    export_formats: Sequence[str] = ()
    system_info: Mapping[str, str] = {}
    ui_options: Mapping[str, Any] = {}


class GpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that jobs may use, and the one that has it to itself now."""

    index: int
    job: str | None = None


class EngineAvailability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a node can run an engine, and how many of its tasks could start there now, GPUs apart."""

    engine: str
    available: bool
    cpu_count: int
    versions: Sequence[VersionView]
    hostname: str
    reason: str | None
    free_slots: int
    slots: int
    gpus: Sequence[GpuUse] = ()


Word = Annotated[str, Meta(max_length=256)]
Words = Annotated[Sequence[Word], Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=MOST)]


class NodeEngine(msgspec.Struct, frozen=True, kw_only=True):
    """What a node can do with one engine, of which `free` of at most `slots` tasks could start now.

    `seconds`: what a frame took there of late, None where none was made. `models`: those whose weights are there;
    `model`: the one of jobs that name none. `inspects`: whether it looks into a job's input before it takes the job.
    """

    available: bool
    reason: str | None = None
    slots: Count = 0
    free: Count = 0
    versions: Annotated[Sequence[VersionView], Meta(max_length=256)] = ()
    publishes: Word = "whole"
    needs_input: bool = True
    extensions: Words = ()
    export_formats: Words = ()
    models: Words = ()
    model: Word | None = None
    inspects: bool = False
    seconds: Annotated[float, Meta(gt=0)] | None = None


class NodeTask(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is at: a running job; `origin` is the id of the node whose job it is a share of."""

    job_id: Word
    name: str
    renderer: Word
    percent_complete: Annotated[int, Meta(ge=0, le=100)]
    origin: Word | None = None


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself to others: who it is, what it can do and what it is at.

    `start` names this run of it. `free` of `slots` tasks could start now. `benchmark` is its processor's score.
    `shares`: the folders of `[paths]` that are there, each by its name with its mark.
    """

    id: Id
    name: Annotated[str, Meta(min_length=1, max_length=63)]
    start: Word
    status: StatusView
    engines: Annotated[Mapping[Word, NodeEngine], Meta(max_length=256)]
    slots: Count
    free: Count
    tasks: Annotated[Sequence[NodeTask], Meta(max_length=1024)] = ()
    tags: Words = ()
    benchmark: Annotated[float, Meta(ge=0)] | None = None
    shares: Annotated[Mapping[Word, Word], Meta(max_length=256)] = {}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment: percentages of its processor, memory and GPU, and how many tasks it ran."""

    timestamp: str
    cpu_percent: float
    memory_percent: float
    gpu_percent: float | None = None
    running: int = 0


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is known here. `state`: self, online, offline, unpaired (seen, but not to be used), or refused (it
    does not take this node's token, or is not who it says); `message` says more.

    `name` is this node's word for it, unlike any other's. `portrait` is what it said of itself last.
    """

    id: str | None
    name: str
    url: str
    state: str
    message: str = ""
    last_seen: str | None = None
    portrait: Portrait | None = None
    history: Sequence[Load] = ()


class NodeList(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, this one first."""

    nodes: Sequence[NodeView]
    timestamp: str


class PairingCode(msgspec.Struct, frozen=True):
    """A code for people to type at another node, good once and for so many seconds."""

    code: str
    seconds: float


class Introduction(msgspec.Struct, frozen=True):
    """Who a node is and where it can be reached, as it says itself when it is paired."""

    id: Id
    name: Annotated[str, Meta(min_length=1, max_length=63)]
    urls: Annotated[Sequence[NodeUrl], Meta(max_length=16)] = ()


class PairOffer(Introduction, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node that knows a code begins to show it: `place` are the code's first digits, `public` its share of a key."""

    place: Annotated[str, Meta(pattern=r"^[0-9]{2}$(?!\n)", title="two digits", examples=["42"])]
    public: Hex


class PairConfirm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """It ends with the proof that it has the same key."""

    proof: Hex


class PairReply(msgspec.Struct, frozen=True):
    """The other node, its share of the key, and its proof that it has it."""

    exchange: Hex
    node: Introduction
    public: Hex
    proof: Hex


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks a node to prove that it is the one that `node` was paired with. `address` is where it was asked: HOST:PORT,
    or "" where only the owner can know whether that is one of its own.
    """

    node: Id
    nonce: Annotated[
        str,
        Meta(pattern=r"^[0-9a-f]{32,64}$(?!\n)", title="32 to 64 digits and letters from a to f", examples=["0" * 32]),
    ]
    address: Annotated[str, Meta(max_length=64)] = ""


class Proof(msgspec.Struct, frozen=True):
    """Who a node is; `proof` is None where it was not paired with the one that asks. `open`: it asks for no token."""

    id: Id
    name: Annotated[str, Meta(max_length=63)]
    open: bool
    proof: Hex | None = None


class SessionView(msgspec.Struct, frozen=True):
    """Whom a session belongs to."""

    name: str
    scopes: Sequence[str]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A node and its jobs at one moment, the newest job first."""

    status: StatusView
    jobs: Sequence[JobView]
    timestamp: str


class ServerSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A node as another one knows it; of one that does not answer, `offline`, there is nothing more to say."""

    status: StatusView | None
    jobs: Sequence[JobView]
    timestamp: str
    offline: bool = False


class FullStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Every node that this one uses, by this one's word for it."""

    timestamp: str
    servers: Mapping[str, ServerSnapshot]


class PresetView(msgspec.Struct, frozen=True):
    """Arguments for an engine under a name; `available`: whether this node has the engine."""

    description: str
    renderer: str
    args: Mapping[str, Any]
    available: bool


class PresetList(msgspec.Struct, frozen=True, kw_only=True):
    """All presets by name, and what is wrong with the files that they come from."""

    presets: Mapping[str, PresetView]
    problems: Sequence[str]


class UploadView(msgspec.Struct, frozen=True):
    """A file on its way, or arrived: `offset` of its `size` bytes are there for good."""

    id: str
    name: str
    size: int
    offset: int
    sha256: str | None
    complete: bool


class SceneView(msgspec.Struct, frozen=True, kw_only=True):
    """One scene of a project file, as it was saved; its size in pixels is before the percentage."""

    name: str
    start_frame: int
    end_frame: int
    frame_step: int
    fps: float
    width: int
    height: int
    resolution_percentage: int
    cameras: Sequence[str]
    camera: str | None
    engine: str
    export_format: str
    samples: int | None


class UploadFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine that takes files of its name found in an upload."""

    engine: str | None
    start_frame: int | None
    end_frame: int | None
    fps: float | None
    width: int | None
    height: int | None
    duration: float | None
    cameras: Sequence[str]
    missing_files: Sequence[str]
    scene: str | None
    scenes: Sequence[SceneView]
    made_by: str | None


class DiskSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """The speed of a disk, in millions of bytes a second."""

    write_mb_s: float
    read_mb_s: float
