"""What a file holds, in lines for people: a motion clip, an avatar in any of its files, a portrait, or splats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pipeline.avatar import Gaussians, Layer, SplatAvatar
from pipeline.avatar_folder import CONFIG, load_avatar_folder, stored_prompt
from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.formats.animportrait3d import POINT_CLOUD, is_local_ply, read_local_ply
from pipeline.formats.glb_reader import read_avatar_glb
from pipeline.formats.ply import read_ply
from pipeline.formats.spz import is_spz, read_spz
from pipeline.importing import avatar_files, import_avatar, missing_for_animportrait3d, opened_files
from pipeline.motion import Motion, load_motion
from pipeline.portraits import prompt_beside
from pipeline.priors.portrait3d.generator_file import generator_report, read_painter
from pipeline.priors.portrait3d.portrait_file import is_portrait, read_portrait
from pipeline.priors.portrait3d.trigrid import RESOLUTIONS
from pipeline.priors.portrait3d.weights import GENERATOR, find_painter, network_in

GLB_MAGIC, PLY_MAGIC, GZIP_MAGIC = b"glTF", b"ply", b"\x1f\x8b"
TURNS = {
    "head": ("global_rotation", "neck", "head"),
    "jaw": ("jaw",),
    "eyes": ("left_eye", "right_eye"),
}
"""What is told together → rotations of a `Motion`."""


def describe(path: Path, choices: Mapping[str, str] | None = None) -> list[str]:
    """Lines on what ``path`` holds; the first names its kind. ``choices`` go to `load_motion`.

    Raises `UserError`, one sentence, for a file that is missing, damaged, refused or of no known kind.
    """
    with reading(path):
        is_avatar = (path / CONFIG).is_file()
    if is_avatar:
        return ["avatar folder", *_prompt(path), *_avatar(load_avatar_folder(path))]
    start = _start(path)
    if start == GLB_MAGIC:
        return ["avatar.glb of this project", *_avatar(read_avatar_glb(path))]
    if start.startswith(PLY_MAGIC):
        return _local(path) if is_local_ply(path) else ["3D Gaussian splatting PLY", _splats(read_ply(path))]
    if start.startswith(GZIP_MAGIC) and is_spz(path):
        file = read_spz(path)
        mode = ["made for rasterising with compensated opacity"] if file.antialiased else []
        return ["SPZ splats, version 3", _splats(file.gaussians), *mode]
    if is_portrait(path):
        return _portrait(path)
    if network := network_in(path):
        return _generator(path) if network == GENERATOR else _decoder(path)
    if names := avatar_files(path):
        return _brought(path, names)
    return motion_lines(load_motion([path], choices))


def _decoder(path: Path) -> list[str]:
    weights = read_painter(path).state_dict().values()
    return ["decoder of Portrait3D", f"{sum(weight.numel() for weight in weights):,} numbers"]


def _generator(path: Path) -> list[str]:
    report = generator_report(path)
    strange = f"note: entries that nobody knows: {', '.join(report.unexpected)}"
    return [
        "generator of Portrait3D",
        f"{report.loaded} weights; {report.not_needed} entries of other networks are not needed",
        *([strange] if report.unexpected else []),
    ]


def _portrait(path: Path) -> list[str]:
    """A tri-grid, all of which is read, and whether it can be drawn here."""
    trigrid = read_portrait(path)
    numbers = sum(level.numel() for level in trigrid.levels)
    strongest = max(float(level.abs().max()) for level in trigrid.levels)
    prompt = prompt_beside(path)
    try:
        drawn = f"decoder: {find_painter(path.parent)}"
    except UserError as error:
        drawn = f"note: {error}"
    return [
        "portrait of Portrait3D",
        f"tri-grid of {len(RESOLUTIONS)} levels, {RESOLUTIONS[0]} to {RESOLUTIONS[-1]}: {numbers:,} numbers, "
        f"up to {strongest:.2f}",
        *([f"made from: {prompt!r}"] if prompt else []),
        drawn,
    ]


def _brought(path: Path, names: tuple[str, ...]) -> list[str]:
    """An avatar as `import_avatar` takes it; AnimPortrait3D's are told also where they cannot be opened."""
    if POINT_CLOUD not in names:
        imported = import_avatar(path)
        return ["avatar folder in a zip", f"made from: {imported.recipe.prompt!r}", *_avatar(imported.avatar)]
    with opened_files(path) as folder:
        prompt, missing = stored_prompt(folder), missing_for_animportrait3d()
        return [
            "avatar of AnimPortrait3D",
            *([f"made from: {prompt!r}"] if prompt else []),
            *_local(folder / POINT_CLOUD)[1:],
            *([f"note: it cannot be opened here: {missing}"] if missing else []),
        ]


def _local(path: Path) -> list[str]:
    splats, notes = read_local_ply(path)
    return [
        "splats of an AnimPortrait3D avatar",
        f"{len(splats.face):,} splats ({_layers(splats.layer)}), {_harmonics(splats.sh.shape[1])}",
        *(f"note: {note}" for note in notes),
    ]


def _splats(splats: Gaussians) -> str:
    low, high = splats.means.amin(0), splats.means.amax(0)
    size = " × ".join(f"{float(length):.3f}" for length in high - low)
    return f"{len(splats.means):,} splats, {size} m, {_harmonics(splats.sh.shape[1])}"


def motion_lines(motion: Motion) -> list[str]:
    """A clip's format, length, basis, ranges, choices and notes."""
    frames = "1 frame" if len(motion) == 1 else f"{len(motion)} frames"
    lines = [
        motion.format,
        f"{frames} at {motion.fps:g} frames per second ({motion.duration:.2f} s)",
        f"expression: {motion.basis}, {_expression(motion)}",
        f"rotations: {_rotations(motion)}",
    ]
    if motion.eyelids is not None:
        lines.append(f"eyelids: {float(motion.eyelids.min()):.2f} to {float(motion.eyelids.max()):.2f}")
    if motion.audio is not None:
        lines.append(f"sound: {motion.audio.name}")
    for made in motion.assumptions:
        options = (
            f" (or {', '.join(option for option in made.options if option != made.value)})" if made.options else ""
        )
        lines.append(f"choice: {made.key}={made.value}{options}")
    return [*lines, *(f"note: {note}" for note in motion.notes)]


def _expression(motion: Motion) -> str:
    values = motion.expression
    if not values.shape[1]:
        return "none"
    moving = int((values.amax(0) > values.amin(0)).sum())
    return f"{values.shape[1]} channels, {moving} moving, {float(values.min()):z.2f} to {float(values.max()):z.2f}"


def _rotations(motion: Motion) -> str:
    told = []
    for group, names in TURNS.items():
        turns = [value for name in names if (value := getattr(motion, name)) is not None]
        largest = max(float(turn.norm(dim=1).max()) for turn in turns)
        told.append(f"{group} up to {math.degrees(largest):.1f}°" if largest else f"{group} still")
    return ", ".join(told)


def _avatar(avatar: SplatAvatar) -> list[str]:
    rig = avatar.rig
    return [
        f"{len(avatar.face):,} splats ({_layers(avatar.layer)}), {_harmonics(avatar.sh.shape[1])}",
        f"head: {rig.basis}, {len(rig.vertices):,} vertices, {len(rig.expression_names)} expressions, "
        f"{len(rig.joint_names)} joints ({', '.join(rig.joint_names)})",
    ]


def _layers(layer: Tensor) -> str:
    counts = {kind.name.lower(): int((layer == kind).sum()) for kind in Layer}
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _harmonics(coefficients: int) -> str:
    return f"spherical harmonics of degree {math.isqrt(coefficients) - 1}"


def _prompt(folder: Path) -> list[str]:
    """The sentence of an avatar's recipe; an older folder may have none."""
    recipe = folder / "recipe.json"
    if not recipe.is_file():
        return []
    try:
        with reading(recipe):
            made_from = json.loads(recipe.read_text(encoding="utf-8"))
        return [f"made from: {made_from['prompt']!r} with seed {made_from['seed']}"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{recipe} is damaged ({error}); make the avatar again") from error


def _start(path: Path) -> bytes:
    with reading(path):
        if not path.is_file():
            return b""
        with open(path, "rb") as file:
            return file.read(4)
