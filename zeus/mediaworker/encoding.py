"""Encodes raw pictures, one at a time: to H.264, an animated GIF or WebP, or pictures in a folder."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av

from zeus.engine import Computation
from zeus.errors import BadInput, NoSpace, OutputInvalid
from zeus.mediaworker import gif, webp
from zeus.mediaworker.frames import Pixels, Shape, arriving, rate_of
from zeus.mediaworker.h264 import mp4
from zeus.mediaworker.reading import verify
from zeus.mediaworker.sequences import pngs
from zeus.mediaworker.tags import Tags, tags

Write = Callable[[Iterable[Pixels], Path, Shape, Tags], None]


class Form(NamedTuple):
    """How pictures are written, and the most pixels that a side of them may have."""

    write: Write
    most: int = 1 << 16


def encode(
    job: Computation,
    frames: str,
    target: str,
    width: int,
    height: int,
    fps: float,
    count: int,
    title: str = "",
    crf: int = 18,
    metadata: Mapping[str, str | int | float] | None = None,
) -> dict[str, Any]:
    """Encode `count` RGB24 pictures as the target's name says, and decode what came of it, of which the MediaInfo
    tells. The same pictures give the same bytes.

    Raises BadInput for what cannot be asked for, and OutputInvalid when fewer arrive; both leave no file.
    """
    path = Path(target)
    form = _form(path, width, height, crf)
    shape, said = Shape(width, height, rate_of(fps), count), tags(title, metadata or {})
    with writing(path), contextlib.closing(arriving(job, Path(frames), shape)) as pictures:
        form.write(pictures, path, shape, said)
        return verify(job, target, frames=count, width=width, height=height)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Remove the file, or all that the folder holds, when what is done meanwhile fails.

    Raises NoSpace, or OutputInvalid for what libav says.
    """
    try:
        yield
    except BaseException as error:
        _discard(path)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise NoSpace from error
        if isinstance(error, av.error.FFmpegError | OSError):
            raise OutputInvalid(f"{path.name} could not be written.") from error
        raise


def _form(path: Path, width: int, height: int, crf: int) -> Form:
    """Raises BadInput where there is none for this target, or none that has such pictures."""
    forms = {".mp4": Form(partial(mp4, crf=crf)), ".gif": Form(gif.gif, gif.MOST), ".webp": Form(webp.webp, webp.MOST)}
    ending = path.suffix.lower()
    form = Form(pngs) if path.is_dir() else forms.get(ending)
    if form is None:
        raise BadInput(f"A video is a folder or ends in {', '.join(forms)}, not {ending or 'nothing'}.")
    if path.is_dir() and any(path.iterdir()):
        raise BadInput(f"The folder {path.name} holds files already.")
    if not (0 < width <= form.most and 0 < height <= form.most):
        raise BadInput(f"The width and height must be 1 to {form.most}, not {width} × {height}.")
    if form is forms[".mp4"] and (width % 2 or height % 2):
        raise BadInput(f"The width and height of a video must be even, not {width} × {height}.")
    if not 0 <= crf <= 51:
        raise BadInput(f"crf must be 0 to 51, not {crf}.")
    return form


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    else:
        path.unlink(missing_ok=True)
