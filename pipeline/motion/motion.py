"""`Motion`: one clip of a moving head, whatever file it came from."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import MotionError
from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle, matrix_to_quaternion, quaternion_to_matrix
from pipeline.motion.assumptions import Assumption

ARKIT_NAMES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
"""The 52 facial actions of ARKit in alphabetical order: the columns of an ``arkit52`` expression."""
BASES = ("arkit52", "flame2019", "flame2020", "flame2023", "flame2023_open", "smplx2019", "smplx2020", "unknown")
FLAME_BASES = BASES[1:]
"""What the coefficients of a clip without ARKit names may belong to."""
SLOWEST_FPS, FASTEST_FPS = 1.0, 240.0
MOST_FRAMES = 10 * 60 * 60
"""Ten minutes at 60 frames per second."""
MOST_COEFFICIENTS = 400
LARGEST_COEFFICIENT = 100.0
"""Far above any tracked FLAME coefficient (about 6); more is another unit or a damaged file."""
ROTATIONS = ("global_rotation", "neck", "head", "jaw", "left_eye", "right_eye")


@dataclass(frozen=True, eq=False)
class Motion:
    """A clip of T frames. Tensors are float32, time first; rotations are axis-angle radians relative to the parent, in
    axes with y up, the face towards +Z and x the subject's left.

    Raises `MotionError` when a shape, a value or the frame rate is out of range; the sentence names it.
    """

    fps: float
    """Frames per second, 1..240."""
    basis: str
    """What the expression's columns mean: one of `BASES`."""
    expression: Tensor
    """(T, E): ARKit weights 0..1 in the order of `ARKIT_NAMES`, or coefficients of a FLAME or SMPL-X release."""
    global_rotation: Tensor
    """(T, 3) of the whole head (FLAME) or of the body (where `head` is given)."""
    neck: Tensor
    """(T, 3)."""
    jaw: Tensor
    """(T, 3), +x opens."""
    left_eye: Tensor
    """(T, 3). For ``arkit52`` it comes on top of what the eyeLook actions turn."""
    right_eye: Tensor
    """(T, 3), likewise."""
    head: Tensor | None = None
    """(T, 3) of a head joint above the neck, in clips that have one (FLAME has none)."""
    eyelids: Tensor | None = None
    """(T, 2) left and right, 0 open, 1 closed."""
    translation: Tensor | None = None
    """(T, 3) metres."""
    audio: Path | None = None
    """Sound file that belongs to the clip; both start together."""
    source: str = ""
    """Where the clip came from, for people."""
    format: str = ""
    """Name of the file format that it was read from."""
    notes: tuple[str, ...] = ()
    """Every guess that the reader made, in sentences."""
    assumptions: tuple[Assumption, ...] = ()
    """What may be set by hand when the files are read again; their sentences are among the notes."""

    def __post_init__(self) -> None:
        check_fps(self.fps)
        if self.basis not in BASES:
            raise MotionError(f"the expression basis is {self.basis!r}; it must be one of {', '.join(BASES)}")
        for name in self.tensor_names():
            object.__setattr__(self, name, torch.as_tensor(getattr(self, name)).to("cpu", torch.float32).contiguous())
        self._check_shapes()
        self._check_values()

    def tensor_names(self) -> tuple[str, ...]:
        """Names of the tensors that this clip has."""
        names = ("expression", *ROTATIONS, "eyelids", "translation")
        return tuple(name for name in names if getattr(self, name) is not None)

    def __len__(self) -> int:
        return len(self.expression)

    @property
    def duration(self) -> float:
        """Seconds; the last frame lasts as long as the others."""
        return len(self) / self.fps

    def slice(self, start: int, stop: int) -> Motion:
        """Frames ``start`` to ``stop`` − 1. The audio stays with a clip that starts at 0 and is dropped otherwise.

        Raises `MotionError` unless 0 ≤ start < stop ≤ T.
        """
        if not 0 <= start < stop <= len(self):
            raise MotionError(f"frames {start} to {stop} are not in this clip of {len(self)} frames")
        parts: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in self.tensor_names()}
        return replace(self, **parts, audio=self.audio if start == 0 else None)

    def resample(self, fps: float) -> Motion:
        """The same clip at another frame rate: rotations by slerp, everything else linearly.

        The duration is kept to within half a frame. Raises `MotionError` when ``fps`` is out of range or makes more
        than `MOST_FRAMES` frames.
        """
        check_fps(fps)
        if fps == self.fps:
            return self
        count = max(1, math.floor(len(self) * fps / self.fps + 0.5))
        if count > MOST_FRAMES:
            raise MotionError(
                f"the clip would have {count} frames at {fps:g} frames per second; it may have {MOST_FRAMES} at most"
            )
        times = (torch.arange(count, dtype=torch.float64) * (self.fps / fps)).clamp_max(len(self) - 1)
        parts: dict[str, Any] = {
            name: (slerp_rows if name in ROTATIONS else lerp_rows)(getattr(self, name), times)
            for name in self.tensor_names()
        }
        return replace(self, **parts, fps=fps)

    def _check_shapes(self) -> None:
        if self.expression.ndim != 2:
            raise MotionError(f"expression has shape {tuple(self.expression.shape)}; it must be (frames, coefficients)")
        frames, width = self.expression.shape
        if not 1 <= frames <= MOST_FRAMES:
            raise MotionError(f"the clip has {frames} frames; it must have 1 to {MOST_FRAMES}")
        if self.basis == "arkit52" and width != len(ARKIT_NAMES):
            raise MotionError(f"an arkit52 expression has {width} columns; it must have {len(ARKIT_NAMES)}")
        if width > MOST_COEFFICIENTS:
            raise MotionError(f"the expression has {width} columns; it must have at most {MOST_COEFFICIENTS}")
        for name in self.tensor_names()[1:]:
            shape, wanted = tuple(getattr(self, name).shape), (frames, 2 if name == "eyelids" else 3)
            if shape != wanted:
                raise MotionError(
                    f"{name} has shape {shape}; it must be {wanted} like the expression's {frames} frames"
                )

    def _check_values(self) -> None:
        for name in self.tensor_names():
            value: Tensor = getattr(self, name)
            broken = ~value.isfinite().all(1)
            if bool(broken.any()):
                raise MotionError(f"{name} holds a NaN or infinite value in frame {int(broken.nonzero()[0])}")
            largest = float(value.norm(dim=1).max()) if name in ROTATIONS else 0.0
            if largest > 2 * math.pi + 1e-3:
                raise MotionError(f"{name} reaches {largest:.4g}; rotations are in radians, at most one turn")
        largest = float(self.expression.abs().max()) if self.expression.numel() else 0.0
        if largest > LARGEST_COEFFICIENT:
            raise MotionError(f"the expression reaches {largest:.4g}; it must stay within ±{LARGEST_COEFFICIENT:.0f}")


def check_fps(fps: float) -> None:
    """Raise `MotionError` for a frame rate that no clip has."""
    if not SLOWEST_FPS <= fps <= FASTEST_FPS:  # also false for NaN
        raise MotionError(f"the frame rate is {fps}; it must be {SLOWEST_FPS:.0f} to {FASTEST_FPS:.0f}")


def still(frames: int) -> dict[str, Any]:
    """Zero rotations (T, 3) for every joint that a `Motion` must have, by name."""
    return {field.name: torch.zeros(frames, 3) for field in fields(Motion) if field.name in set(ROTATIONS) - {"head"}}


def lerp_rows(rows: Tensor, times: Tensor) -> Tensor:
    """Rows (T, N) at fractional row numbers (S,) within 0..T−1 → (S, N)."""
    before, after, share = _neighbours(rows, times)
    return (before + (after - before) * share).to(rows.dtype)


def slerp_rows(rows: Tensor, times: Tensor) -> Tensor:
    """Axis-angle rows (T, 3) at fractional row numbers (S,) → (S, 3), along the shorter great arc (Shoemake, 1985)."""
    before, after, share = _neighbours(rows, times)
    a, b = (matrix_to_quaternion(axis_angle_to_matrix(x)) for x in (before, after))
    cosine = (a * b).sum(-1, keepdim=True)
    b, cosine = torch.where(cosine < 0, -b, b), cosine.abs()
    angle = torch.atan2((b - cosine * a).norm(dim=-1, keepdim=True), cosine)
    near = angle < 1e-6  # slerp and lerp agree there, and slerp divides by zero
    sine = torch.where(near, torch.ones_like(angle), angle.sin())
    weight_a = torch.where(near, 1 - share, ((1 - share) * angle).sin() / sine)
    weight_b = torch.where(near, share, (share * angle).sin() / sine)
    return matrix_to_axis_angle(quaternion_to_matrix(weight_a * a + weight_b * b)).to(rows.dtype)


def _neighbours(rows: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows before and after each time in float64, and the share of the later one (S, 1)."""
    first = times.floor().long().clamp(0, len(rows) - 1)
    second = (first + 1).clamp_max(len(rows) - 1)
    values = rows.double()
    return values[first], values[second], (times - first)[:, None]
