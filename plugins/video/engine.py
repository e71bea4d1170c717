"""The video engine: joins the frames that a model makes of a job to the encoder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from zeus.engine import (
    Demand,
    Facts,
    GenerationEngine,
    ModelFacts,
    ModelSettings,
    ModelState,
    RunContext,
    Span,
    Tools,
    Version,
)  # fmt: skip
from zeus.errors import BadInput, ConfigError, TaskFailed, WorkerDied, ZeusError

from .arguments import VideoArgs
from .checkpoints import checkpoints
from .files import TARGETS, note_rate, told
from .library import Library
from .models import PROCEDURAL, Model
from .settling import settled

_GRACE: Final = 2.0
"""Seconds that one side has to say why it failed, once the other one has."""


class VideoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[engines.video]`."""

    model: str | None = None
    """The model of jobs that name none; None: the one that was chosen by `use_model`, at first `procedural`."""
    hub: Annotated[
        str, Meta(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$", title="a URL that begins with https:// or http://")
    ] = "https://huggingface.co"
    """Where repositories are published, or a mirror of it that speaks the same protocol."""
    offline: bool = False
    """Whether nothing is asked of the hub."""
    crf: Annotated[int, Meta(ge=0, le=51)] = 18
    """How much an mp4 loses: less is better and larger."""
    metadata: bool = True
    """Whether files say what made them: the prompt, the seed, the model."""


class VideoEngine(GenerationEngine[VideoArgs]):
    """Makes videos from prompts, with a model out of `models`."""

    name = "video"
    inspects = True
    export_formats = tuple(TARGETS)
    Args = VideoArgs
    Settings = VideoSettings
    built_in: ClassVar[Mapping[str, Model]] = MappingProxyType({PROCEDURAL.name: PROCEDURAL})
    """Those that need no weights, by name. Another engine may derive from this one and put others in."""

    def __init__(self, settings: VideoSettings, models: Mapping[str, ModelSettings] = MappingProxyType({})) -> None:
        super().__init__(settings, models)
        self.models = self.known(models)
        self._library = Library(
            self.models, engine=self.name, chosen=settings.model, hub=None if settings.offline else settings.hub
        )

    def known(self, settings: Mapping[str, ModelSettings]) -> Mapping[str, Model]:
        """All models by name, with what the configuration says. Raises ConfigError."""
        if taken := sorted({*self.built_in} & {*settings}):
            raise ConfigError(f"models.{taken[0]}: this model comes with the engine and has no settings")
        return {**self.built_in, **{model.name: model for model in checkpoints(settings)}}

    def open(self, folder: Path) -> None:
        self._library.open(folder)

    async def start(self, tools: Tools) -> None:
        """Pull and load the default model."""
        await self._library.start(tools)

    async def close(self) -> None:
        await self._library.close()

    async def ready(self, tools: Tools) -> str | None:
        return None if find_spec("numpy") else "numpy is not installed"

    async def versions(self, tools: Tools) -> list[Version]:
        sources = {True: "builtin", False: "configured"}
        return [Version(version=name, source=sources[name in self.built_in]) for name in self._library.here()]

    async def help(self, tools: Tools) -> str:
        models = "\n".join(f"  {model.name}: {model.description}" for model in self.models.values())
        return f"{await super().help(tools)}\nModels, of which {self._library.default} is the default:\n{models}\n"

    async def system_info(self, tools: Tools) -> dict[str, str]:
        return {each.name: f"{each.message}; {each.description}" for each in self._library.facts()}

    def model_state(self, model: str | None = None) -> ModelState:
        return self._library.get(model).state

    def model_facts(self) -> Sequence[ModelFacts]:
        return self._library.facts()

    async def pull_model(self, model: str, tools: Tools) -> None:
        self._library.pull(model, tools)

    async def remove_model(self, model: str, tools: Tools) -> None:
        await self._library.remove(model)

    async def use_model(self, model: str, tools: Tools) -> None:
        await self._library.use(model, tools)

    def lasting(self, seconds: float, model: str | None = None) -> Mapping[str, Any]:
        return {"num_frames": round(seconds * self._model(model).fps)}

    async def inspect(self, tools: Tools, path: Path) -> Facts:
        """The size of the picture that a video shall begin with."""
        try:
            width, height = await tools.still(path)
        except BadInput as error:
            raise BadInput(f"image: {error.message}", code="invalid_image") from error
        return Facts(width=width, height=height)

    def settle(self, args: VideoArgs, span: Span | None, facts: Facts | None = None) -> tuple[VideoArgs, Span | None]:
        made = settled(self._model(args.model), args, self._format(args.export_format))
        whole = Span(1, made.num_frames or 1)
        if span not in (None, whole):
            raise BadInput("a video has no start_frame or end_frame: say its length with num_frames")
        return made, whole

    def demand(self, args: VideoArgs) -> Demand:
        return self._model(args.model).demand

    async def run(self, context: RunContext[VideoArgs]) -> None:
        model = self._model(context.args.model)
        args, _ = self.settle(context.args, None)
        state = self._library.get(model.name)
        context.note(f"model {model.name}: {model.description}")
        if model.size_multiple:
            context.note(
                f"sizes are rounded to multiples of {model.size_multiple}, "
                f"and frames to one more than a multiple of {model.frame_multiple}: what this model can make"
            )
        context.note(f"seed {args.seed}, {args.width}×{args.height}, {args.num_frames} frames at {args.fps:g} a second")
        tools = context.on(self.name, model.demand)
        with state.used():
            await state.wait(tools)
            try:
                await self._make(context, state.model, args)
            except WorkerDied as error:
                state.crashed(error, tools)
                raise
        state.worked()

    async def _make(self, context: RunContext[VideoArgs], model: Model, args: VideoArgs) -> None:
        """Generate and encode at once, in two processes with a named pipe between them."""
        assert args.num_frames
        count, pipe = args.num_frames, context.folder / "frames.pipe"
        arguments = {**_arguments(model, args, pipe), **await _pictures(context, model, args)}
        os.mkfifo(pipe, 0o600)

        def report(value: Any) -> None:
            match value:
                case int():
                    context.report(min(value / count, 1.0), f"frame {value} of {count}", value)
                case {"note": str(line)}:
                    context.note(line)
                case {"message": str(message), "fraction": float(fraction)}:
                    context.report(fraction, message, value.get("frame"))

        await _joined(
            context.compute(model.generate, arguments, report=report),
            self._encode(context, model, args, pipe),
        )

    async def _encode(self, context: RunContext[VideoArgs], model: Model, args: VideoArgs, pipe: Path) -> None:
        assert args.width and args.height and args.num_frames and args.fps
        made = await context.encode(
            pipe,
            context.out / TARGETS[self._format(args.export_format)],
            width=args.width,
            height=args.height,
            fps=args.fps,
            count=args.num_frames,
            crf=self.settings.crf,
            **told(model, args) if self.settings.metadata else {},
        )
        note_rate(context.note, args.fps, made)

    def _model(self, name: str | None) -> Model:
        return self.models[self._library.get(name).name]

    def _format(self, wanted: str | None) -> str:
        chosen = (wanted or self.export_formats[0]).lower()
        if chosen not in self.export_formats:
            known = ", ".join(self.export_formats)
            raise BadInput(f'export_format: the video engine cannot make "{chosen[:80]}", only {known}')
        return chosen


def _arguments(model: Model, args: VideoArgs, target: Path) -> dict[str, Any]:
    """What `generate` is called with."""
    said = {field: getattr(args, field) for field in model.honours - {"export_format"}}
    return {**model.arguments, **said, "target": str(target)}


async def _pictures(context: RunContext[VideoArgs], model: Model, args: VideoArgs) -> dict[str, Any]:
    """What `generate` is told of pictures: the one to begin with, in the video's size, and where to show one."""
    told: dict[str, Any] = {"preview": str(context.preview)} if model.previews else {}
    if args.image:
        if context.input is None:
            raise TaskFailed(f"the picture {args.image} is not there", retry=False)
        target = context.folder / "image.png"
        await context.still(context.input, target=target, width=args.width, height=args.height)
        told["image"] = str(target)
    return told


async def _outcome(side: Coroutine[Any, Any, Any]) -> Exception | None:
    try:
        await side
    except Exception as error:
        return error
    return None


def _lost_reader(error: Exception | None) -> bool:
    return isinstance(error, ZeusError) and error.code == "reader_gone"


async def _joined(making: Coroutine[Any, Any, Any], encoding: Coroutine[Any, Any, Any]) -> None:
    """Run both to their end; when one fails, end the other, and raise the error of the one that failed first.

    A generator that ends early leaves the encoder a short stream, and an encoder that ends leaves the generator
    without a reader. So where the error may be such a consequence, the other side has a moment to say what it knows.
    """
    async with asyncio.TaskGroup() as group:
        maker, encoder = group.create_task(_outcome(making)), group.create_task(_outcome(encoding))
        done, rest = await asyncio.wait((maker, encoder), return_when=asyncio.FIRST_COMPLETED)
        if any(side.result() for side in done):
            if maker not in done or _lost_reader(maker.result()):
                _, rest = await asyncio.wait(rest or done, timeout=_GRACE)
            for side in rest:
                side.cancel()
    made, encoded = (None if side.cancelled() else side.result() for side in (maker, encoder))
    cause = encoded if made is None or (encoded and _lost_reader(made)) else made
    if cause is not None:
        raise cause
