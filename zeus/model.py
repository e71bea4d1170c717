"""The words of the trade: jobs, tasks, places, and which status may follow which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from zeus.errors import BadInput


class Status(StrEnum):
    """Where a job or a task stands."""

    QUEUED = "queued"
    WAITING = "waiting"
    RUNNING = "running"
    WAITING_FOR_SUBJOBS = "waiting_for_subjobs"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({Status.FINISHED, Status.FAILED, Status.CANCELLED})

MOVES: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELLED, Status.PAUSED, Status.FINISHED}),
    Status.WAITING: frozenset({Status.QUEUED, Status.CANCELLED, Status.PAUSED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.FINISHED, Status.FAILED, Status.CANCELLED, Status.PAUSED}),
    Status.PAUSED: frozenset({Status.QUEUED, Status.WAITING, Status.CANCELLED}),
    Status.FAILED: frozenset({Status.QUEUED, Status.WAITING}),
    Status.CANCELLED: frozenset({Status.QUEUED, Status.WAITING}),
}
"""The legal moves of a task. docs/states.md draws them; the store refuses every other one."""


class Wish(StrEnum):
    """What a user wants of a task that is running, until it has come true."""

    NONE = ""
    CANCEL = "cancel"
    PAUSE = "pause"


COMES_TRUE = {Wish.CANCEL: Status.CANCELLED, Wish.PAUSE: Status.PAUSED}

OLDER_WORDS = {
    "not_started": Status.QUEUED,
    "scheduled": Status.WAITING,
    "completed": Status.FINISHED,
    "error": Status.FAILED,
}


def sources(target: Status) -> list[Status]:
    """The statuses from which `target` may be reached."""
    return [status for status, targets in MOVES.items() if target in targets]


def string_to_status(word: str) -> Status:
    """The status that a word means, the farm API's older words included. Raises BadInput for any other word."""
    lowered = word.strip().lower()
    if lowered in OLDER_WORDS:
        return OLDER_WORDS[lowered]
    try:
        return Status(lowered)
    except ValueError:
        known = ", ".join([*Status, *OLDER_WORDS])
        raise BadInput(f'"{word[:80]}" is no status; known are: {known}.', code="invalid_status") from None


class Demand(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a task asks of the place where it runs. Raises ValueError for another word in `gpu`.

    It has the GPU to itself. A place without any runs it on the processor, unless it asks for a certain one.
    """

    gpu: str = ""
    """"": none; "gpu": any; "gpu:1": the one with that number."""
    memory: int = 0
    """Bytes of the GPU's memory with which it works as it should; 0: unknown."""
    least: int = 0
    """Bytes without which it cannot work at all; between the two it offloads what it does not need at the moment."""
    version: str = ""
    """The version of its engine, as `renderer_version` says it; "" and "latest": any."""
    model: str = ""
    """The generation model that must be ready there."""
    tags: tuple[str, ...] = ()
    """The tags that a place must have, each of them."""
    here: bool = False
    """Whether it runs on no other machine than this one: its files are here, or another node gave it to this one."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(gpu(:\d{1,3})?)?", self.gpu):
            raise ValueError(f'gpu is "{self.gpu[:80]}", not "", "gpu" or "gpu:" and a number')

    @property
    def number(self) -> int | None:
        """The number of the one GPU that it asks for."""
        _, _, number = self.gpu.partition(":")
        return int(number) if number else None


class Share(msgspec.Struct, frozen=True):
    """Whose job a job of this node is a share of: the other node's id, and the job and attempt there."""

    node: str
    job_id: str
    attempt: int


class NewJob(msgspec.Struct, frozen=True):
    """A job as it is submitted, checked and complete."""

    id: str
    name: str
    renderer: str
    renderer_version: str
    args: bytes
    """JSON, as the engine's Args settled them."""
    created: float
    priority: int = 50
    max_attempts: int = 1
    start_frame: int | None = None
    end_frame: int | None = None
    enable_split_jobs: bool = False
    input: str | None = None
    """The input file's name in the job's own input folder."""
    local_path: str | None = None
    """An input file of the owner's, outside the storage folder; never changed, never deleted."""
    notes: str = ""
    """Lines for the head of every attempt's log."""
    parent: str | None = None
    """The job that this one is a piece of."""
    not_before: float = 0.0
    """The earliest start, in seconds since 1970."""
    depends_on: tuple[str, ...] = ()
    """The jobs that have to finish first."""
    frame_step: int = 1
    """Of the frames from start to end, each so many-th is made."""
    publishes: str = "whole"
    """As its engine does it: all outputs at the end, or "each" frame when it is made."""
    demand: Demand = Demand()
    tags: tuple[str, ...] = ()
    """The tags that a node must have to run it."""
    splits: str = ""
    """How it is shared out among nodes: "" not at all, "frames" in ranges of frames, "parts" in parts of its input."""
    share: Share | None = None
    """Whose job it is a share of, where another node gave it to this one."""
    project: str = ""
    """The file of its input that is its project, where that is an archive which is unpacked where the job runs."""
    piece_args: bytes = b""
    """What its pieces have in place of `args`; nothing: the same."""
    joins: bool = False
    """Whether files are made of all its frames, or of its pieces' files, once those are there."""
    input_of: str | None = None
    """The job in whose input folder its input lies, where that is not its own: of a piece, its parent."""

    @property
    def frames(self) -> range:
        """The numbers of the frames that it makes; none while it is not known which."""
        if self.start_frame is None or self.end_frame is None:
            return range(0)
        return range(self.start_frame, self.end_frame + 1, self.frame_step)


class Job(NewJob, frozen=True, kw_only=True):
    """A job as the store holds it. Times are seconds since 1970."""

    seq: int
    status: Status
    attempt: int
    percent: int
    completed_frames: int
    node: str | None
    started: float | None
    ended: float | None
    error_code: str | None
    error_message: str | None
    file_count: int
    revision: int
    has_children: bool


class Role(StrEnum):
    """What a task does for its job."""

    WORK = "work"
    """All of it, or one piece."""
    DEAL = "deal"
    """It is what has not been dealt yet of a split job: pieces are taken off its front while places are free."""
    CUT = "cut"
    """It makes the pieces' inputs, and runs where its job was submitted."""
    JOIN = "join"
    """It makes the job's files of what its pieces made, once they have finished, where its job was submitted."""


class Task(msgspec.Struct, frozen=True):
    """One piece of a job: what is placed, attempted and fenced by its attempt's number."""

    id: int
    job_id: str
    renderer: str
    priority: int
    attempt: int
    start_frame: int | None = None
    end_frame: int | None = None
    failures: int = 0
    not_before: float = 0.0
    wish: Wish = Wish.NONE
    demand: Demand = Demand()
    role: Role = Role.WORK
    frame_step: int = 1
    age: float = 0.0
    """Of two tasks of one priority, the one with the lower number comes first."""
    avoid: tuple[tuple[str, str], ...] = ()
    """The ids of the nodes that lost or failed it, or pieces of the same job, too often, each with why at last."""
    failed_on: str = ""
    """The node where it has failed, if its next attempt is the last."""

    @property
    def frames(self) -> range:
        """The frames that it makes, or that are not dealt yet; none while it is not known which."""
        if self.start_frame is None or self.end_frame is None:
            return range(0)
        return range(self.start_frame, self.end_frame + 1, self.frame_step)


class Child(msgspec.Struct, frozen=True, array_like=True):
    """What is seen of a subjob where its parent is shown."""

    id: str
    node: str | None
    start_frame: int | None
    end_frame: int | None
    frame_step: int
    status: Status
    percent: int
    completed_frames: int
    file_count: int
    attempt: int
    publishes: str

    @property
    def frames(self) -> range:
        """The numbers of the frames that it makes; none while it is not known which."""
        if self.start_frame is None or self.end_frame is None:
            return range(0)
        return range(self.start_frame, self.end_frame + 1, self.frame_step)


class Sent(msgspec.Struct, frozen=True):
    """Where a task's present attempt is: the id of a node, and of the job there that is its share."""

    task_id: int
    attempt: int
    node: str
    job_id: str


class Debt(msgspec.Struct, frozen=True):
    """A share that is not wanted any more, and that its node has not heard of yet: the job `job_id` there.

    `wish` says why: "delete" when its result is here, "cancel" when nobody wants it. `of_job` is the job here.
    """

    node: str
    job_id: str
    wish: str
    since: float
    of_job: str


class Key(msgspec.Struct, frozen=True):
    """An Idempotency-Key and the digest of what was sent with it."""

    text: str
    digest: str


class Changes(msgspec.Struct, frozen=True):
    """What became of the jobs after a revision: those that changed, the oldest change first, and the removed ones.

    `whole` says that so much was removed since that only the whole list tells it; then `jobs` is just that.
    """

    jobs: tuple[Job, ...]
    removed: tuple[tuple[int, str], ...]
    whole: bool


class Filter(msgspec.Struct, frozen=True):
    """Which jobs are asked for; `after` is the id of the job that the last page ended with. The newest come first."""

    status: Status | None = None
    renderer: str | None = None
    limit: int | None = None
    after: str | None = None
    oldest_first: bool = False


ALL = Filter()


class Output(msgspec.Struct, frozen=True):
    """A published file. `size` in bytes, `sha256` in hex."""

    name: str
    size: int
    sha256: str
    job_id: str = ""
    """The job that made it, once it is stored."""
    stored: str = ""
    """Its name in that job's folder, where several subjobs made files of one name and it had to get another."""
    frame: int | None = None
    """The frame with which it was published; None for what came at the end of an attempt."""


class Frame(msgspec.Struct, frozen=True):
    """A frame that has been published, or could not be made: then `error` says why. `seconds` it took."""

    number: int
    node: str
    seconds: float | None = None
    error: str | None = None


class Place(msgspec.Struct, frozen=True):
    """Somewhere tasks can run: how many more at once, in all and of each engine.

    `gpus`: the bytes of memory of each GPU by its number, 0 where that is unknown; `taken`: the jobs that have one.
    """

    node: str
    """Its name, by which no other place is called."""
    free: int
    engines: Mapping[str, int]
    gpus: Mapping[int, int] = msgspec.field(default_factory=dict)
    taken: Mapping[int, str] = msgspec.field(default_factory=dict)
    peer: str = ""
    """The id of the node that it is; "" for this machine."""
    versions: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """The versions of each engine that are installed there."""
    models: frozenset[str] = frozenset()
    """The generation models that are ready there."""
    tags: frozenset[str] = frozenset()
    pace: Mapping[str, float] = msgspec.field(default_factory=dict)
    """The seconds that a frame took there of late, by engine, as far as that was measured."""
    setup: Mapping[str, float] = msgspec.field(default_factory=dict)
    """The seconds that a piece cost there beyond its frames, by engine, as far as that was measured."""
    unable: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Of the engines that cannot run there, each with the reason."""
    score: float = 0.0
    """What its processor did in the benchmark, of which the ratio between two places counts; 0: not measured."""
    memory: int = 0
    """Bytes of main memory in all; 0: unknown."""


def suitable(demand: Demand, gpus: Mapping[int, int]) -> list[int | None]:
    """Where a task may compute that has such GPUs before it, taken or not, the best first: numbers of GPUs, or None for
    the processor. Nothing, where they cannot meet its demand.

    GPUs with the memory that it asks for come alone, the smallest first. Where there is none, it has to do with those
    that have the least that it needs, the largest first.
    """
    if not demand.gpu or (not gpus and demand.number is None):
        return [None]
    asked = {number: size for number, size in gpus.items() if demand.number in (None, number)}
    if enough := [number for number, size in asked.items() if not size or size >= demand.memory]:
        return [*sorted(enough, key=lambda number: (asked[number], number))]
    lacking = [number for number, size in asked.items() if size >= demand.least]
    return [*sorted(lacking, key=lambda number: (-asked[number], number))]


class Snapshot(msgspec.Struct, frozen=True):
    """All that a decision is made from. `tasks` are those that may start now, in any order."""

    tasks: tuple[Task, ...]
    places: tuple[Place, ...]
    pieces: tuple[Underway, ...] = ()
    paces: Mapping[str, Mapping[str, float]] = msgspec.field(default_factory=dict)
    """The seconds that a frame of a split job took, by the job's id and the place's node."""
    chunk_seconds: float = 60.0
    """How long a piece is to take."""


class Underway(msgspec.Struct, frozen=True):
    """A running piece of a split job. `left`: the frames behind the one that is in work, of `seconds` each."""

    task: Task
    job_id: str
    """The split job's."""
    node: str
    left: range
    seconds: float | None = None


class Assignment(msgspec.Struct, frozen=True):
    """A task, the place where it is to run, and the GPU there that it is to have, or None.

    With a `span`, the frames from its first to its last become a piece of their own, which runs there: they are taken
    off the front of what is not dealt yet, or off the end of a piece that is running elsewhere.
    """

    task: Task
    place: Place
    device: int | None = None
    span: tuple[int, int] | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a running job is. `percent` never falls within an attempt; `eta` in seconds, None when unknown."""

    percent: int = 0
    completed_frames: int = 0
    eta: int | None = None
    note: str = ""
    revision: int = 0
