"""What the configuration may say of a generation model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = Annotated[str, Meta(max_length=1024)]
Side = Annotated[int, Meta(ge=16, le=8192)]
Frames = Annotated[int, Meta(ge=1, le=100_000)]
Device = Annotated[
    str, Meta(pattern=r"^(auto|cpu|mps|cuda(:[0-9]{1,2})?)$(?!\n)", title="auto, cpu, mps, cuda or cuda:N")
]
Dtype = Annotated[Literal["auto", "float32", "float16", "bfloat16"], Meta(title="auto, float32, float16 or bfloat16")]
Offload = Annotated[Literal["none", "model", "sequential"], Meta(title="none, model or sequential")]
Class = Annotated[
    str, Meta(pattern=r"^(auto|[A-Z][A-Za-z0-9]*)$(?!\n)", title="auto or the name of a pipeline's class")
]
Repository = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$(?!\n)", title="OWNER/NAME")
]
Commit = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}$(?!\n)", title="a commit: 40 digits and letters from a to f")]
Table = Annotated[dict[str, Any], Meta(title="a table")]


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[models.NAME]`; what is not said is as the engine has it for a model of that name."""

    description: Annotated[Text | None, Meta(description="One sentence for people")] = None
    repository: Annotated[Repository | None, Meta(description="Where its weights are published, as OWNER/NAME")] = None
    revision: Annotated[
        Commit | None, Meta(description="The commit of the repository; not said: what its branch main is when pulled")
    ] = None
    folder: Annotated[Text | None, Meta(description="The folder that holds its weights, as diffusers saves them")] = (
        None
    )
    pipeline: Annotated[
        Class | None, Meta(description="The class of diffusers that runs it; auto: what the folder says")
    ] = None
    image_pipeline: Annotated[
        Class | None,
        Meta(description="The class that begins with a picture; auto: the pipeline's own. Unset: it takes no picture"),
    ] = None
    dtype: Annotated[
        Dtype | None, Meta(description="How its numbers are held; auto: bfloat16 on a GPU, else float32")
    ] = None
    vae_dtype: Annotated[Dtype | None, Meta(description="The same for what decodes the frames; as dtype")] = None
    device: Annotated[Device | None, Meta(description="What it runs on; auto: the GPU where there is one")] = None
    offload: Annotated[Offload | None, Meta(description="What waits in the computer's memory while it is not used")] = (
        None
    )
    vae_tiling: Annotated[bool | None, Meta(description="Decode in tiles: less memory, slower")] = None
    vae_slicing: Annotated[bool | None, Meta(description="Decode one video of a batch at a time")] = None
    attention: Annotated[Text | None, Meta(description="The attention backend, by its name in diffusers")] = None
    compile: Annotated[bool | None, Meta(description="Compile the transformer: slow first job, faster ones after")] = (
        None
    )
    memory: Annotated[
        Annotated[float, Meta(gt=0, le=10_000)] | None, Meta(description="GiB that it needs on its device")
    ] = None
    width: Annotated[Side | None, Meta(description="Width in pixels of jobs that say none")] = None
    height: Annotated[Side | None, Meta(description="Height in pixels of jobs that say none")] = None
    num_frames: Annotated[Frames | None, Meta(description="Frames of jobs that say none")] = None
    fps: Annotated[Annotated[float, Meta(ge=1, le=240)] | None, Meta(description="Frames a second, likewise")] = None
    num_inference_steps: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None, Meta(description="Denoising steps, likewise")
    ] = None
    guidance_scale: Annotated[
        Annotated[float, Meta(ge=0, le=100)] | None, Meta(description="How closely to follow the prompt, likewise")
    ] = None
    max_size: Annotated[Side | None, Meta(description="The most that width and height may be")] = None
    max_pixels: Annotated[
        Annotated[int, Meta(ge=256, le=1 << 26)] | None, Meta(description="The most that width times height may be")
    ] = None
    max_frames: Annotated[Frames | None, Meta(description="The most frames that a video may have")] = None
    size_multiple: Annotated[
        Annotated[int, Meta(ge=2, le=256)] | None, Meta(description="Width and height are rounded to multiples of this")
    ] = None
    frame_multiple: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        Meta(description="Counts of frames are rounded to one more than these"),
    ] = None
    arguments: Annotated[Table | None, Meta(description="More arguments of the pipeline, passed as they stand")] = None

    def over(self, base: ModelSettings) -> ModelSettings:
        """These settings, and those of `base` where these say nothing."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None}
        return msgspec.structs.replace(base, **said)
