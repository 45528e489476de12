"""A clip onto a rig whose expressions are ARKit actions, such as the free head."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.heads.rig import Rig
from pipeline.motion.jaw import measure_jaw
from pipeline.motion.maps.action_map import fit_actions
from pipeline.motion.maps.action_solver import find_actions
from pipeline.motion.maps.library import how_to_get, model_for_clip, title_of
from pipeline.motion.maps.releases import same_space
from pipeline.motion.motion import ARKIT_NAMES, Motion

LOUD_WEIGHT = 1.05
"""An ARKit weight beyond this is worth a note; trackers overshoot 1 a little."""
EYES = ("left_eye", "right_eye")


def drive_actions(motion: Motion, rig: Rig, notes: list[str]) -> tuple[Tensor, Tensor]:
    """Expression (T, E) and rotations (T, J, 3) of jaw and eyes; what could not be carried over is added to ``notes``.

    The eyes end at exactly the asked angle, and the lids follow. On a rig without a jaw joint the jaw's angle becomes
    jaw actions (`pipeline.motion.jaw`). Coefficients become actions where a model of theirs is at hand.
    """
    weights = arkit_weights(motion, notes) if motion.basis == "arkit52" else torch.zeros(len(motion), len(ARKIT_NAMES))
    rotations = weights.new_zeros(len(motion), len(rig.joint_names), 3)
    if "jaw" in rig.joint_names:
        rotations[:, rig.joint_index("jaw")] = motion.jaw
    else:
        _move_jaw(motion, rig, weights, notes)
    _close_lids(motion, rig, weights, notes)
    _look(motion, rig, weights)
    if motion.basis != "arkit52" and bool(motion.expression.any()):
        weights = _read_coefficients(motion, weights, notes)
    expression = weights[:, [ARKIT_NAMES.index(name) for name in rig.expression_names]]
    if motion.basis == "arkit52":  # its look actions turn the eyes; for another clip the joints say it all
        rotations += rig.driven_rotations(expression)
    for name in set(EYES) & set(rig.joint_names):
        rotations[:, rig.joint_index(name)] += getattr(motion, name)
    return expression, rotations


def arkit_weights(motion: Motion, notes: list[str]) -> Tensor:
    """The weights (T, 52) of an ARKit clip, within 0..1."""
    lowest, highest = float(motion.expression.min()), float(motion.expression.max())
    if highest > LOUD_WEIGHT or lowest < 1 - LOUD_WEIGHT:
        notes.append(f"Weights from {lowest:.2f} to {highest:.2f} were cut to 0..1.")
    return motion.expression.clamp(0, 1)


def _move_jaw(motion: Motion, rig: Rig, weights: Tensor, notes: list[str]) -> None:
    """Jaw actions for the clip's jaw rotation, on top of what the expression already asks."""
    if not bool(motion.jaw.any()):
        return
    curve = measure_jaw(rig)
    if curve is None:
        notes.append("This head has no jaw; the clip's jaw rotation was left out.")
        return
    widest = float(motion.jaw[:, 0].max())
    if widest > curve.widest + math.radians(1):
        told = f"{math.degrees(widest):.0f}° in the clip, {math.degrees(curve.widest):.0f}° here"
        notes.append(f"The jaw opens wider than this head's can ({told}); it stops there.")
    for name, value in curve.actions(motion.jaw).items():
        channel = ARKIT_NAMES.index(name)
        weights[:, channel] = (weights[:, channel] + value).clamp(0, 1)


def _close_lids(motion: Motion, rig: Rig, weights: Tensor, notes: list[str]) -> None:
    if motion.eyelids is None:
        return
    names = ("eyeBlinkLeft", "eyeBlinkRight")
    if not set(names) <= set(rig.expression_names):
        notes.append("This head has no blink; the clip's eyelids were left out.")
        return
    channels = [ARKIT_NAMES.index(name) for name in names]
    weights[:, channels] = torch.maximum(weights[:, channels], motion.eyelids.clamp(0, 1))


def _look(motion: Motion, rig: Rig, weights: Tensor) -> None:
    """Look actions, which move the lids, for the angles of the eyes, through the rig's own gains."""
    if motion.basis == "arkit52":
        return
    asked = {rig.joint_index(name): getattr(motion, name) for name in EYES if name in rig.joint_names}
    for driver in rig.drivers:
        if driver.joint in asked:
            along = asked[driver.joint] @ weights.new_tensor(driver.axis)
            channel = ARKIT_NAMES.index(rig.expression_names[driver.expression])
            weights[:, channel] = (along / driver.radians).clamp(0, 1)


def _read_coefficients(motion: Motion, given: Tensor, notes: list[str]) -> Tensor:
    """(T, 52): the actions that the clip's coefficients show, beside those that are ``given``."""
    model, release = model_for_clip(motion.basis)
    width = motion.expression.shape[1]
    if model is None:
        notes.append(_how_to_understand(motion.basis, width))
        return given
    if not same_space(motion.basis, release):
        notes.append(read_as(motion.basis, release))
    shared = min(width, len(model.channels))
    coefficients = torch.zeros(len(motion), len(model.channels), dtype=torch.float64)
    coefficients[:, :shared] = motion.expression[:, :shared]
    found = find_actions(fit_actions(model), coefficients.numpy(), given.double().numpy(), motion.fps)
    return torch.from_numpy(found).float().clamp(0, 1)


def read_as(basis: str, release: str) -> str:
    """The sentence on coefficients of one release that were taken for those of another."""
    if basis == "unknown":
        return (
            f"It is not known which model the clip's coefficients belong to; they were read as {title_of(release)}'s."
        )
    return (
        f"Approximate expression space: the clip's coefficients are {title_of(basis)}'s and were read as "
        f"{title_of(release)}'s; with the file of {title_of(basis)} in the models folder they are understood fully."
    )


def _how_to_understand(basis: str, width: int) -> str:
    return (
        f"The clip's {width} expression coefficients belong to {title_of(basis)}, whose file is not here: jaw, eyes, "
        "neck and head move, the lips follow the jaw, the rest of the face stays calm. "
        f"To see all of it, {how_to_get(basis)}."
    )
