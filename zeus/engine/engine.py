"""The class that every engine is derived from."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal

import msgspec

from zeus.engine.facts import Facts, ModelFacts, ModelState, Span, Version
from zeus.engine.models import ModelSettings
from zeus.engine.pieces import Made, Piece
from zeus.engine.releases import ReleaseSource
from zeus.engine.tools import A, RunContext, Tools
from zeus.errors import BadInput, Conflict
from zeus.model import Demand

API_VERSION = 1
"""The version of this interface."""


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of an engine that has none."""


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
    splits: ClassVar[Literal["", "frames", "parts"]] = ""
    """How nodes may share a job that asks for it: "" not at all; "frames": each makes ranges of its frames, for engines
    that publish "each"; "parts": each works on an input of its own that `cut` has made of the job's."""
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

    def demand(self, args: A) -> Demand:
        """The GPU that a job with these arguments, settled, works on where the node has one; none by default. Pure.

        Give the same few answers for all jobs: those with the same one stand in one line.
        """
        return Demand()

    def part_args(self, args: A) -> A | None:
        """The arguments of one piece of a job with these, settled, which say what pieces make for `join`; None where
        such a job is not to be split. Pure."""
        return args

    def joins(self, args: A) -> bool:
        """Whether `join` makes the job's files of those of its pieces, rather than leaving it at these. Pure."""
        return self.splits == "parts"

    async def cut(self, context: RunContext[A], weights: Sequence[float]) -> Sequence[Piece[A]]:
        """Make the inputs of the pieces of a job in `context.out`, in the order of what `join` makes of them.

        `weights` says how much of the work each piece shall be in proportion to the others: as many pieces, about as
        large as that, or more of what would take very long. Fewer than two where the job cannot be split soundly, with
        a `note` that says why: it then runs whole. For engines that split in "parts"; runs where the job was submitted.
        """
        return ()

    async def join(self, context: RunContext[A], made: Sequence[Made]) -> None:
        """Make the job's files in `context.out` of what all of its pieces made; return only when each was checked to be
        whole. `made` is in the order of `cut`, or of the frames. Runs where the job was submitted, for jobs that
        `joins`; raises as `run` does.
        """
        raise NotImplementedError(f'the engine "{self.name}" joins, but has no `join`')

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

    def __init__(self, settings: Any, models: Mapping[str, ModelSettings] = MappingProxyType({})) -> None:
        super().__init__(settings)
        self.model_settings = models

    def open(self, folder: Path) -> None:
        """Take up what is here: weights are kept in `folder`/MODEL. Blocks: called once in a thread, before `start`."""

    async def close(self) -> None:
        """End what is under way: the node stops."""

    def model_facts(self) -> Sequence[ModelFacts]:
        """All models and their states; from memory."""
        return ()

    async def pull_model(self, model: str, tools: Tools) -> None:
        """Begin to bring a model's weights here. Raises Conflict `cannot_pull`, which says why that is not possible."""
        raise Conflict(f'the engine "{self.name}" fetches no models', code="cannot_pull")

    async def remove_model(self, model: str, tools: Tools) -> None:
        """Remove the weights that were pulled, or are on their way. Raises BadInput `not_managed` for a model whose
        weights are the owner's own, Conflict `model_in_use` while a job uses it."""
        raise BadInput(f'the engine "{self.name}" has fetched no models', code="not_managed")

    async def use_model(self, model: str, tools: Tools) -> None:
        """Make a model the default one, for good. Raises Conflict where the configuration says which it is."""
        raise Conflict(f'the engine "{self.name}" has one default model', code="model_configured")

    @abstractmethod
    def model_state(self, model: str | None = None) -> ModelState:
        """The state of a model, or of the default one. Raises BadInput for one that is not known."""

    def lasting(self, seconds: float, model: str | None = None) -> Mapping[str, Any]:
        """The arguments that make a video of this length with a model, or with the default one.

        Raises BadInput for a model that is not known, or where lengths are not the engine's to choose.
        """
        raise BadInput(f'the engine "{self.name}" does not take a length in seconds', code="unsupported_field")
