"""Clips as files for other programs.

| kind | file | read by |
|---|---|---|
| npz | our own clip (`pipeline.motion.formats.npz` lists its arrays) | this program |
| flame | `flame_param.npz` of GaussianAvatars: an array per parameter, all float32 | GaussianAvatars and its kin |
| arkit | ARKit weights as JSON, by name | Unreal, Unity and Blender importers, LAM |
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MotionError, UserError
from pipeline.files import whole_file
from pipeline.heads import AnnyHead, load_head
from pipeline.heads.releases import RELEASES
from pipeline.heads.rig import Rig
from pipeline.heads.rig_tools import without_expressions
from pipeline.motion.editing import in_actions
from pipeline.motion.formats.npz import write_motion
from pipeline.motion.maps.face_model import EYELIDS
from pipeline.motion.motion import ARKIT_NAMES, Motion
from pipeline.motion.retarget import retarget

SHAPES, EXPRESSIONS = 300, 100
TEETH_VERTICES = 5143
"""FLAME's 5023 and the 120 of the teeth that VHAP adds: what GaussianAvatars' viewer expects of the offsets."""
DIGITS = 5
"""Of a weight: a hundredth of what 8 bits would keep."""
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
BLOCK = bytes(2**20)

Array = NDArray[np.float32]


def write_flame_params(motion: Motion, path: Path, rig: Rig | None = None) -> tuple[str, ...]:
    """Write `flame_param.npz` as GaussianAvatars' viewer plays it (``--motion_path``), whole or not at all.

    All arrays are float32: ``expr`` (T, 100), ``rotation``, ``neck_pose``, ``jaw_pose``, ``translation`` (T, 3),
    ``eyes_pose`` (T, 6), and of the identity, which belongs to the avatar that plays it, zeros: ``shape`` (300),
    ``static_offset`` (1, 5143, 3), ``dynamic_offset`` (T, 5143, 3), which that viewer insists on.

    A clip of FLAME or SMPL-X coefficients is copied (SMPL-X's neck and head become FLAME's rotation and neck). Any
    other is retargeted to ``rig``, a FLAME head's; None takes the FLAME file of this machine. Returns notes on what the
    file cannot say, in sentences. Raises `UserError` where a FLAME file is needed and there is none.
    """
    _check_ending(path, ".npz")
    arrays, notes = _copied(motion) if motion.basis != "arkit52" else _retargeted(motion, rig)
    frames = len(motion)
    shapes = {
        "shape": (SHAPES,),
        "static_offset": (1, TEETH_VERTICES, 3),
        "dynamic_offset": (frames, TEETH_VERTICES, 3),
    }
    with whole_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(_member(name), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(values, np.float32))
        for name, shape in shapes.items():
            _write_zeros(archive, name, shape)
    return (*notes, f"The frame rate is not stored in this format: play it at {motion.fps:g} frames per second.")


def write_arkit_json(motion: Motion, path: Path, rig: Rig | None = None) -> tuple[str, ...]:
    """Write ``{"names": […52], "frames": [{"weights": […], "time": seconds}, …], "metadata": {"fps": …}}``.

    Weights are 0..1 in alphabetical order of their names. A clip of a head model's coefficients is said in actions
    first, by ``rig``; None takes the free head. Returns notes on what the file cannot say, in sentences.
    """
    _check_ending(path, ".json")
    named = motion if motion.basis == "arkit52" else in_actions(motion, AnnyHead().rig if rig is None else rig)
    notes = list(named.notes[len(motion.notes) :])
    if any(bool(getattr(named, name).any()) for name in {"neck", "head"} & set(named.tensor_names())):
        notes.append("ARKit weights have no head turns, which were left out; the npz clip keeps them.")
    weights = named.expression.clamp(0, 1).double().numpy().round(DIGITS)
    frames = [{"weights": row, "time": round(at / named.fps, 6)} for at, row in enumerate(weights.tolist())]
    document = {"names": ARKIT_NAMES, "frames": frames, "metadata": {"fps": named.fps, "source": named.source}}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    return tuple(notes)


def write_clip_npz(motion: Motion, path: Path, rig: Rig | None = None) -> tuple[str, ...]:
    """Our own clip, see `write_motion`; ``rig`` is not needed."""
    write_motion(motion, path)
    return ("The sound is not in the file; keep it beside the clip.",) if motion.audio else ()


WRITERS: Mapping[str, tuple[str, Callable[[Motion, Path, Rig | None], tuple[str, ...]]]] = {
    "npz": ("motion.npz", write_clip_npz),
    "flame": ("flame_param.npz", write_flame_params),
    "arkit": ("arkit.json", write_arkit_json),
}
"""Kind → usual file name and writer."""


def save_motion(motion: Motion, kind: str, folder: Path, rig: Rig | None = None) -> tuple[Path, tuple[str, ...]]:
    """Write the clip as a ``kind`` of `WRITERS` under its usual name; gives the file and notes.

    ``rig`` serves for what the clip has to be said in; only one that fits is used. Raises `UserError`.
    """
    if kind not in WRITERS:
        raise UserError(f"{kind!r} is no kind of motion file; choose from {', '.join(WRITERS)}")
    name, write = WRITERS[kind]
    fits = rig is not None and (rig.basis == "arkit52") == (kind == "arkit")
    path = folder / name
    return path, write(motion, path, rig if fits else None)


def _copied(motion: Motion) -> tuple[dict[str, Array], list[str]]:
    """Parameters of a clip that is in coefficients already."""
    expression = motion.expression.numpy()
    width = min(expression.shape[1], EXPRESSIONS)
    lower, upper = (motion.global_rotation, motion.neck) if motion.head is None else (motion.neck, motion.head)
    frames = len(motion)
    arrays = {
        "expr": np.zeros((frames, EXPRESSIONS), np.float32),
        "rotation": lower.numpy(),
        "neck_pose": upper.numpy(),
        "jaw_pose": motion.jaw.numpy(),
        "eyes_pose": np.concatenate([motion.left_eye.numpy(), motion.right_eye.numpy()], axis=1),
        "translation": np.zeros((frames, 3), np.float32) if motion.translation is None else motion.translation.numpy(),
    }
    arrays["expr"][:, :width] = expression[:, :width]
    notes = []
    if bool(motion.expression.any()):
        model = RELEASES[motion.basis].title if motion.basis in RELEASES else "a model that nobody named"
        notes.append(f"The coefficients belong to {model}; the avatar that plays them has to be of that release.")
    if expression.shape[1] > EXPRESSIONS:
        notes.append(f"The first {EXPRESSIONS} of {expression.shape[1]} coefficients were kept, as many as it takes.")
    if motion.eyelids is not None and bool(motion.eyelids.any()):
        notes.append("The format has no eyelids; those blinks were left out.")
    return arrays, notes


def _retargeted(motion: Motion, rig: Rig | None) -> tuple[dict[str, Array], list[str]]:
    """Parameters of a clip in actions, found on a FLAME head; blinks by coefficients, as the format has no eyelids."""
    flame = without_expressions(_flame_rig() if rig is None else rig, EYELIDS)
    driven = retarget(motion, flame)
    turns = {
        "global_rotation": flame.joint_names[flame.parents.index(-1)], "neck": "neck", "jaw": "jaw",
        "left_eye": "left_eye", "right_eye": "right_eye",
    }  # fmt: skip
    parts: dict[str, Any] = {name: driven.rotations[:, flame.joint_index(joint)] for name, joint in turns.items()}
    as_flame = Motion(motion.fps, flame.basis, driven.expression, **parts)
    arrays, notes = _copied(as_flame)
    return arrays, [*driven.notes[len(motion.notes) :], *notes]


def _flame_rig() -> Rig:
    try:
        return load_head("flame").rig
    except UserError as error:
        raise UserError(f"ARKit actions become FLAME coefficients by a FLAME model of your own: {error}") from error


def _write_zeros(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> None:
    """An array of zeros, block by block: 62 kB a frame that a long clip need not hold in memory."""
    left = 4 * int(np.prod(shape))
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with archive.open(_member(name), "w", force_zip64=left > 2**31) as member:
        np.lib.format.write_array_header_1_0(member, header)
        while left:
            left -= member.write(BLOCK[: min(left, len(BLOCK))])


def _member(name: str) -> zipfile.ZipInfo:
    """With one fixed time, so that the same clip gives the same bytes."""
    member = zipfile.ZipInfo(f"{name}.npy", ZIP_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _check_ending(path: Path, ending: str) -> None:
    if path.suffix.lower() != ending:
        raise MotionError(f"{path.name} does not end in {ending}, the ending of such a file")
