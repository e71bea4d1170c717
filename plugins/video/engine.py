"""The video engine: settles what a job asks of a model, and joins the model's frames to the encoder."""

from __future__ import annotations

import asyncio
import os
import secrets
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

_GRACE: Final = 2.0
"""Seconds that one side has to say why it failed, once the other one has."""
_DEFAULTS: Final = ("width", "height", "num_frames", "fps", "num_inference_steps", "guidance_scale")
_OPTIONS: Final = ("negative_prompt", "num_inference_steps", "guidance_scale", "image")


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
        model = self._model(args.model)
        _refuse_unsupported(model, args)
        settled = msgspec.structs.replace(
            args,
            model=model.name,
            negative_prompt=args.negative_prompt or None,
            seed=secrets.randbelow(2**32) if args.seed is None else args.seed,
            **{field: _said_or(args, model, field) for field in _DEFAULTS},
            export_format=self._format(args.export_format),
        )
        settled = _rounded(model, settled)
        _refuse_outside(model, settled)
        whole = Span(1, settled.num_frames or 1)
        if span not in (None, whole):
            raise BadInput("a video has no start_frame or end_frame: say its length with num_frames")
        return settled, whole

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


def _said_or(args: VideoArgs, model: Model, field: str) -> Any:
    said = getattr(args, field)
    return getattr(model, field) if said is None else said


def _rounded(model: Model, args: VideoArgs) -> VideoArgs:
    """The nearest size and number of frames that the model can make; what is out of its bounds stays so."""
    if model.size_multiple is None:
        return args
    assert args.width and args.height and args.num_frames
    low, high = model.sizes
    sides = {
        field: max(low, round(value / model.size_multiple) * model.size_multiple) if low / 2 <= value <= high else value
        for field, value in (("width", args.width), ("height", args.height))
    }
    count = args.num_frames
    if count <= model.frames[1]:
        count = min(round((count - 1) / model.frame_multiple) * model.frame_multiple + 1, model.frames[1])
    return msgspec.structs.replace(args, num_frames=count, **sides)


def _refuse_unsupported(model: Model, args: VideoArgs) -> None:
    for field in _OPTIONS:
        if getattr(args, field) not in (None, "") and field not in model.honours:
            raise BadInput(f'the model "{model.name}" does not use {field}', code="unsupported_field")
    if model.needs_image and not args.image:
        raise BadInput(f'image: the model "{model.name}" needs a picture to begin with', code="missing_image")
    guidance = _said_or(args, model, "guidance_scale")
    if args.negative_prompt and guidance is not None and guidance <= 1:
        raise BadInput("negative_prompt has no effect where guidance_scale is not above 1")


def _refuse_outside(model: Model, args: VideoArgs) -> None:
    """Raises BadInput for settled numbers that the model or the encoder cannot do."""
    bounds: tuple[tuple[str, tuple[float, float]], ...] = (
        ("width", model.sizes),
        ("height", model.sizes),
        ("num_frames", model.frames),
        ("fps", model.rates),
    )
    for field, (low, high) in bounds:
        value = getattr(args, field)
        if not low <= value <= high:
            raise BadInput(f'{field} is {value:g}: the model "{model.name}" takes {low:g} to {high:g}')
        if args.export_format == "mp4" and field in ("width", "height") and value % 2:
            raise BadInput(f"{field} is {value}: H.264 in yuv420p needs an even number, such as {value + 1}")
    assert args.width and args.height
    if model.pixels is not None and args.width * args.height > model.pixels:
        raise BadInput(
            f'width and height are {args.width} × {args.height}: the model "{model.name}" takes {model.pixels:,} '
            f"pixels at most, such as {model.width} × {model.height}"
        )


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
