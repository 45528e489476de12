"""A head model as what can be fitted: vertices that are linear in a person and an expression, and a jaw that turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import UserError
from pipeline.heads.anny import AnnyHead, rig_of
from pipeline.heads.anny_space import anny_space
from pipeline.heads.licensed import EYELID_NAMES
from pipeline.heads.model_files import find_model
from pipeline.heads.rig import Landmarks, Rig

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

PORTRAIT_ACTIONS = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawOpen", "mouthClose",
    "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft",
    "mouthUpperUpRight",
)  # fmt: skip
"""ARKit actions that a portrait may hold; it never sticks its tongue out."""
ACTION_DEVIATION = 0.06
"""Standard deviation of an action in a portrait, which is asked to be neutral."""
MOST_ACTION = 0.4
"""A portrait is no grimace: what asks for more is a detector with another idea of where a brow is."""
EXPRESSIONS, EXPRESSION_DEVIATION = 10, 0.5
"""How many of a licensed model's expressions are fitted, the widest first, and their deviation."""
SHAPES = 100
"""How many of its shape coefficients."""
JAW_DEVIATION = (0.06, 0.02, 0.02)
"""Radians about x (opening), y, z."""


@dataclass(frozen=True)
class Jaw:
    """A joint that turns a part of the vertices (linear blend skinning with correctives, see `Rig.pose`)."""

    index: int
    """Of the joint in the rig."""
    weights: Array
    """(V,)"""
    joint: Array
    """(3,) of the mean person."""
    joint_modes: Array
    """(K, 3)"""
    joint_moves: Array
    """(M, 3)"""
    correctives: Array
    """(9, V, 3)"""

    def only(self, rows: Ids) -> Jaw:
        """Of some vertices (N,)."""
        return replace(self, weights=self.weights[rows], correctives=self.correctives[:, rows])


@dataclass(frozen=True)
class Made:
    """One person of a head model, complete."""

    rig: Rig
    template_points: Tensor
    """(V, 3) the rig's vertices in the free head's template coordinates (`AnnyHead.template_points`)."""


@dataclass(frozen=True)
class Span:
    """vertices = ``mean`` + coefficients · ``modes`` + values · ``moves``, then ``jaw``; or some of the vertices."""

    mean: Array
    """(V, 3) metres."""
    modes: Array
    """(K, V, 3) metres per standard deviation."""
    moves: Array
    """(M, V, 3) of an expression at 1."""
    jaw: Jaw | None

    def only(self, rows: Ids) -> Span:
        """Of some vertices (N,)."""
        jaw = self.jaw and self.jaw.only(rows)
        return Span(self.mean[rows], self.modes[:, rows], self.moves[:, rows], jaw)


@dataclass(frozen=True)
class HeadModel:
    """What of a head can be fitted, and how a rig is made of what was found."""

    span: Span
    move_channels: tuple[int, ...]
    """(M) of the rig's expressions."""
    move_limits: tuple[Array, Array]
    """(M,) least and greatest value."""
    move_deviations: Array
    """(M,)"""
    faces: Ids
    """(F, 3)"""
    regions: dict[str, NDArray[np.bool_]]
    """Name → (F,)"""
    landmarks: Landmarks
    make: Callable[[Array], Made]
    """Coefficients (K,) → the person."""


def head_model(kind: str) -> HeadModel:
    """``anny``, or a licensed model of this machine by kind (``flame``, ``smplx``) or release.

    Raises `UserError` for another kind, or with how to get the model when there is none.
    """
    return _anny() if kind == "anny" else _licensed(kind)


def model_of(rig: Rig) -> HeadModel:
    """A rig as the model of one person: only place, expression and jaw are left to fit."""
    if rig.landmarks is None:
        raise UserError("this head has no landmarks, so nothing can be fitted by them")
    channels, limits, deviations = _portrait_expression(rig)

    return HeadModel(
        span=Span(
            mean=rig.vertices.double().numpy(),
            modes=np.zeros((0, len(rig.vertices), 3)),
            moves=rig.expressions[list(channels)].double().numpy(),
            jaw=_jaw(rig, np.zeros((0, len(rig.joints), 3)), channels),
        ),
        move_channels=channels,
        move_limits=limits,
        move_deviations=deviations,
        faces=rig.faces.numpy(),
        regions={name: mask.numpy() for name, mask in rig.regions.items()},
        landmarks=rig.landmarks,
        make=lambda coefficients: Made(rig, rig.vertices),
    )


def _anny() -> HeadModel:
    """The mean person with the actions as they are on it; everything else is the space's."""
    space = anny_space()
    mean_rig = rig_of(space.head, space.shaped(np.zeros(len(space.modes))))
    template_points = AnnyHead().template_points

    def make(coefficients: Array) -> Made:
        return Made(rig_of(space.head, space.shaped(coefficients)), template_points)

    plain = model_of(mean_rig)
    span = replace(plain.span, mean=space.mean, modes=space.modes)
    return replace(plain, span=span, make=make)


def _licensed(kind: str) -> HeadModel:
    from pipeline.heads.licensed_person import neutral_head, person_of_shape  # smplx takes a second to import

    file = find_model(kind)
    head = neutral_head(file)
    rig = head.rig
    plain = model_of(rig)
    joint_modes = head.shape_joint_dirs[:SHAPES].double().numpy()
    jaw = _jaw(rig, joint_modes, plain.move_channels)

    def make(coefficients: Array) -> Made:
        person = person_of_shape(file, coefficients.tolist())
        return Made(person.rig, person.template_points)

    span = replace(plain.span, modes=head.shape_dirs[:SHAPES].double().numpy(), jaw=jaw)
    return replace(plain, span=span, make=make)


def _portrait_expression(rig: Rig) -> tuple[tuple[int, ...], tuple[Array, Array], Array]:
    """Which channels of a rig a portrait may hold: (M) channels, their limits and deviations (M,)."""
    if rig.basis == "arkit52":
        names: tuple[str, ...] = PORTRAIT_ACTIONS
        free = 0
    else:
        free = min(EXPRESSIONS, len(rig.expression_names) - len(EYELID_NAMES))
        names = (*rig.expression_names[:free], *EYELID_NAMES)
    channels = tuple(rig.expression_index(name) for name in names)
    least = np.where(np.arange(len(names)) < free, -3.0, 0.0)
    greatest = np.where(np.arange(len(names)) < free, 3.0, MOST_ACTION)
    deviations = np.where(np.arange(len(names)) < free, EXPRESSION_DEVIATION, ACTION_DEVIATION)
    return channels, (least, greatest), deviations


def _jaw(rig: Rig, joint_modes: Array, channels: tuple[int, ...]) -> Jaw | None:
    """``joint_modes`` (K, J, 3) of all joints; None where the jaw is no joint."""
    if "jaw" not in rig.joint_names:
        return None
    index = rig.joint_index("jaw")
    vertices = len(rig.vertices)
    correctives = rig.pose_dirs
    moved = rig.joint_dirs
    return Jaw(
        index=index,
        weights=rig.weights[:, index].double().numpy(),
        joint=rig.joints[index].double().numpy(),
        joint_modes=joint_modes[:, index],
        joint_moves=np.zeros((len(channels), 3)) if moved is None else moved[list(channels), index].double().numpy(),
        correctives=np.zeros((9, vertices, 3))
        if correctives is None
        else correctives[9 * (index - 1) : 9 * index].double().numpy(),
    )
