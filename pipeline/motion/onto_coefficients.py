"""A clip onto a rig whose expressions are coefficients of a FLAME or SMPL-X release."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from pipeline.heads import AnnyHead
from pipeline.heads.rig import Rig
from pipeline.motion.jaw import free_jaw
from pipeline.motion.maps.action_map import BY_JOINT, fit_actions
from pipeline.motion.maps.face_model import EYELIDS
from pipeline.motion.maps.library import model_for_rig, model_of, title_of
from pipeline.motion.maps.releases import release_map, same_space
from pipeline.motion.motion import ARKIT_NAMES, Motion
from pipeline.motion.onto_actions import EYES, arkit_weights, read_as

JAW_RANGE = (-0.05, 0.6)
"""Radians within which actions may turn the jaw about x."""
SEEN = 0.05
"""A weight below this is not missed."""
BLINKS = [ARKIT_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]


def drive_coefficients(motion: Motion, rig: Rig, notes: list[str]) -> tuple[Tensor, Tensor]:
    """Expression (T, E) and rotations (T, J, 3) of jaw and eyes; what could not be carried over is added to ``notes``.

    Coefficients of the same release are copied, those of another carried over through both models' faces where both
    are at hand. ARKit actions go through an `ActionMap` of the rig's release.
    """
    if motion.basis == "arkit52":
        return _from_actions(motion, rig, notes)
    expression = torch.zeros(len(motion), len(rig.expression_names))
    if bool(motion.expression.any()):
        _fill(expression, rig, _same_or_nearest(motion, rig, notes))
    if motion.eyelids is not None:
        _close_lids(expression, rig, motion.eyelids.clamp(0, 1))
    return expression, _turned(rig, {name: getattr(motion, name) for name in ("jaw", *EYES)}, len(motion))


def _from_actions(motion: Motion, rig: Rig, notes: list[str]) -> tuple[Tensor, Tensor]:
    weights = arkit_weights(motion, notes)
    if float(weights[:, ARKIT_NAMES.index("tongueOut")].max()) > SEEN:
        notes.append(f"{title_of(rig.basis)} has no tongue to put out; tongueOut was left out.")
    if motion.eyelids is not None:
        weights[:, BLINKS] = torch.maximum(weights[:, BLINKS], motion.eyelids.clamp(0, 1))
    expression = torch.zeros(len(motion), len(rig.expression_names))
    by_coefficients = weights.clone()
    if has_eyelids(rig):
        _close_lids(expression, rig, weights[:, BLINKS])
        by_coefficients[:, BLINKS] = 0
    fitted = fit_actions(model_for_rig(rig))
    _fill(expression, rig, torch.from_numpy(fitted.express(by_coefficients.double().numpy())).float())
    turns = {"jaw": _jaw_turn(motion, weights)}
    free = AnnyHead().rig
    driven = free.driven_rotations(weights)
    for name in EYES:
        turns[name] = driven[:, free.joint_index(name)] + getattr(motion, name)
    return expression, _turned(rig, turns, len(motion))


def _jaw_turn(motion: Motion, weights: Tensor) -> Tensor:
    """(T, 3) by the jaw actions, and the clip's own jaw rotation after it."""
    columns = [ARKIT_NAMES.index(name) for name in BY_JOINT]
    by_actions = axis_angle_to_matrix(free_jaw().rotation(weights[:, columns].numpy()))
    turn = matrix_to_axis_angle(axis_angle_to_matrix(motion.jaw) @ by_actions)
    turn[:, 0] = turn[:, 0].clamp(*JAW_RANGE)
    return turn


def _same_or_nearest(motion: Motion, rig: Rig, notes: list[str]) -> Tensor:
    """The clip's coefficients (T, C) in the rig's release."""
    if same_space(motion.basis, rig.basis):
        return motion.expression
    source = model_of(motion.basis)
    if source is None:
        notes.append(read_as(motion.basis, rig.basis))
        return motion.expression
    notes.append(f"The clip's expression was converted from {title_of(motion.basis)} to {title_of(rig.basis)}.")
    conversion = torch.from_numpy(release_map(source, model_for_rig(rig))).float()
    shared = min(motion.expression.shape[1], len(conversion))
    return motion.expression[:, :shared] @ conversion[:shared]


def _fill(expression: Tensor, rig: Rig, coefficients: Tensor) -> None:
    """Coefficients (T, C) into the rig's channels for them, as many as both have."""
    channels = [k for k, name in enumerate(rig.expression_names) if name not in EYELIDS]
    shared = min(len(channels), coefficients.shape[1])
    expression[:, channels[:shared]] = coefficients[:, :shared]


def _close_lids(expression: Tensor, rig: Rig, lids: Tensor) -> None:
    """``lids`` (T, 2) by their own channels, or as well as the coefficients can."""
    if has_eyelids(rig):
        expression[:, [rig.expression_index(name) for name in EYELIDS]] = lids
    elif bool(lids.any()):
        blinks = torch.from_numpy(fit_actions(model_for_rig(rig)).coefficients[BLINKS]).float()
        shared = min(blinks.shape[1], expression.shape[1])
        expression[:, :shared] += lids @ blinks[:, :shared]


def has_eyelids(rig: Rig) -> bool:
    """Whether lids have channels of their own."""
    return set(EYELIDS) <= set(rig.expression_names)


def _turned(rig: Rig, turns: dict[str, Tensor], frames: int) -> Tensor:
    """(T, J, 3) with these joints turned, as far as the rig has them."""
    rotations = torch.zeros(frames, len(rig.joint_names), 3)
    for name, turn in turns.items():
        if name in rig.joint_names:
            rotations[:, rig.joint_index(name)] = turn
    return rotations
