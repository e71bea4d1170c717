"""Settles a job against what is known of its file: fills in the scene's own values, and names what cannot be. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from zeus.engine import Facts, Scene, Span
from zeus.errors import BadInput

from .arguments import FASTEST, FORMATS, MOVIES, BlenderArgs, engine_problems, format_problems
from .header import Release

NAMED = 20
"""Names of a list that an error gives."""


def scene_of(args: BlenderArgs, facts: Facts) -> Scene:
    """The scene that a job renders. Raises BadInput, naming those that there are."""
    wanted = args.scene or facts.scene
    for scene in facts.scenes:
        if scene.name == wanted:
            return scene
    names = _list([each.name for each in facts.scenes])
    raise BadInput(f'args.scene: there is no scene "{wanted}"; there are: {names}.', code="unknown_scene")


def settled(args: BlenderArgs, span: Span | None, facts: Facts) -> tuple[BlenderArgs, Span]:
    """The arguments with all filled in that decides which frames there are and what they become.

    Raises BadInput where the file cannot be rendered like this.
    """
    scene = scene_of(args, facts)
    _check_camera(args, scene)
    _check_missing(facts.missing_files)
    for problem in engine_problems(args, args.engine or scene.engine):
        raise BadInput(f"args: {problem}", code="invalid_args")
    made = args.export_format or _format(scene)
    for problem in format_problems(args, made):
        raise BadInput(f"args: {problem}", code="invalid_args")
    step = args.frame_step or scene.frame_step
    fps = _fps(args, scene) if made in MOVIES else None
    return msgspec.structs.replace(args, frame_step=step, export_format=made, fps=fps), span or scene.span


def check_release(made_by: Release | None, runs: Release, name: str) -> None:
    """Raises BadInput when a file is newer than the Blender that shall open it: what it does not know it drops."""
    if made_by is not None and made_by > runs:
        made, here = (".".join(map(str, each)) for each in (made_by, runs))
        message = (
            f"{name} was made by Blender {made}, and would be rendered by Blender {here}: it needs {made} or newer."
        )
        raise BadInput(message, code="newer_blender_needed")


def _check_camera(args: BlenderArgs, scene: Scene) -> None:
    names = _list(list(scene.cameras))
    if args.camera is not None and args.camera not in scene.cameras:
        message = f'args.camera: the scene "{scene.name}" has no camera "{args.camera}"; there are: {names}.'
        raise BadInput(message, code="unknown_camera")
    if args.camera is None and scene.camera is None and scene.needs_camera:
        hint = f" Choose one by args.camera: {names}." if scene.cameras else ""
        raise BadInput(f'The scene "{scene.name}" has no camera.{hint}', code="no_camera")


def _check_missing(missing: Sequence[str]) -> None:
    if missing:
        raise BadInput(f"Files that the .blend needs are missing: {_list(missing)}.", code="missing_files")


def _fps(args: BlenderArgs, scene: Scene) -> float:
    fps = args.fps or scene.fps
    if not 0 < fps <= FASTEST:
        message = f'args.fps: the scene "{scene.name}" has {fps:g} frames a second; choose one up to {FASTEST}.'
        raise BadInput(message, code="invalid_args")
    return fps


def _format(scene: Scene) -> str:
    if scene.export_format not in FORMATS:
        raise BadInput(
            f'args.export_format: the scene "{scene.name}" has the format {scene.export_format}, which Zeus does not '
            f"make; choose one of {', '.join(FORMATS)}.",
            code="unsupported_format",
        )
    return scene.export_format


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) or "none") + more
