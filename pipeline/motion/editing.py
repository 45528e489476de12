"""Editing of clips: pure functions, `Motion` in and `Motion` out. `pipeline.motion.edits` puts them in order.

Edits of time work on every clip. Edits of meaning (how strong the brows are, a smile on top) need actions with names;
`in_actions` says a clip of a head model's coefficients in them. The jaw, the eyes, the head and the lids of any clip
can be edited without, because they are rotations and lids in every basis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.signal import savgol_filter
from torch import Tensor

from pipeline.errors import MotionError
from pipeline.geometry import axis_angle_to_matrix, matrix_to_axis_angle, matrix_to_quaternion, quaternion_to_matrix
from pipeline.heads.rig import Rig
from pipeline.motion import curves
from pipeline.motion.clips import EMOTIONS
from pipeline.motion.motion import ARKIT_NAMES, MOST_FRAMES, ROTATIONS, Motion, lerp_rows, slerp_rows
from pipeline.motion.retarget import retarget

SLOWEST, FASTEST = 0.25, 4.0
"""How much slower and faster than it was a clip may be played."""
WIDEST_WINDOW = 0.5
"""Seconds over which the strongest smoothing looks."""
LARGEST_SCALE = 3.0
MOST_BLINKS = 60.0
"""Per minute."""
BLINK_DISTANCE = 0.7
"""Seconds that an added blink keeps from one that is in the clip; two in a row look like a twitch."""
SHUT = 0.5
"""A lid closed further than this blinks."""
SEALED = 0.03
"""mouthClose from which the lips are held together on purpose."""
BESIDE_THE_JAW = ("mouthClose", "tongueOut")
"""Actions that only mean something together with an open jaw, so that they grow and shrink with it."""
PART_THE_LIPS = ("jawOpen", "mouthFunnel", "mouthLowerDown", "mouthShrugUpper", "mouthUpperUp")


def _groups() -> dict[str, tuple[str, ...]]:
    starts = {
        "jaw": ("jaw", *BESIDE_THE_JAW),
        "lips": ("mouth", "cheek", "nose"),
        "brows": ("brow",),
        "eyes": ("eyeLook", "eyeSquint", "eyeWide"),
    }
    groups: dict[str, tuple[str, ...]] = {}
    for group, beginnings in starts.items():
        taken = {name for names in groups.values() for name in names}
        groups[group] = tuple(name for name in ARKIT_NAMES if name.startswith(beginnings) and name not in taken)
    return {**groups, "head": ()}


GROUPS = _groups()
"""Group → its ARKit actions. Blinks are in none: a weaker blink would leave the eyes half shut."""


def trim(motion: Motion, start: float, stop: float | None = None) -> Motion:
    """What lies between two moments (seconds), to the nearest frame; up to the end without ``stop``.

    The sound stays with a clip that keeps its beginning. Raises `MotionError` where nothing would be left.
    """
    end = motion.duration if stop is None else min(stop, motion.duration)
    if not (0 <= start < end and (first := round(start * motion.fps)) < (last := round(end * motion.fps))):
        told = "the end" if stop is None else f"{stop:g} s"
        raise MotionError(
            f"nothing lies between {start:g} s and {told}; the clip lasts {motion.duration:.2f} s, and a part of it "
            "has at least one frame"
        )
    return motion.slice(first, last)


def split(motion: Motion, times: Sequence[float]) -> list[Motion]:
    """The parts before, between and after moments (seconds), in order. Raises `MotionError` for an empty part."""
    starts, stops = [0.0, *sorted(times)], [*sorted(times), None]
    return [trim(motion, start, stop) for start, stop in zip(starts, stops, strict=True)]


def repeat(motion: Motion, times: int) -> Motion:
    """The clip ``times`` times over, without its sound where that is more than once.

    Raises `MotionError` for more frames than a clip may have.
    """
    if times == 1:
        return motion
    if not 1 <= times * len(motion) <= MOST_FRAMES:
        raise MotionError(
            f"{times} times {len(motion)} frames cannot be made; at least one time and at most {MOST_FRAMES} frames can"
        )
    parts: dict[str, Any] = {name: getattr(motion, name).repeat(times, 1) for name in motion.tensor_names()}
    return replace(motion, **parts, audio=None)


def seamless(motion: Motion, fade: float) -> Motion:
    """The same length, but the last ``fade`` seconds flow into the first frame, so that the clip can go round for ever.

    At most half of the clip fades. Raises `MotionError` for a time that is not positive.
    """
    if not 0 < fade < float("inf"):
        raise MotionError(f"the end would fade over {fade:g} s; a positive time is needed")
    count = min(round(fade * motion.fps), len(motion) // 2)
    share = torch.from_numpy(curves.minimum_jerk(np.arange(1, count + 1) / (count + 1)))

    between = 2 * torch.arange(count) + share

    def fading(rows: Tensor, blend: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        kept, ends = rows[: len(rows) - count], rows[len(rows) - count :]
        with_first = torch.stack([ends, rows[0].expand_as(ends)], dim=1).flatten(0, 1)
        return torch.cat([kept, blend(with_first, between)])

    return _each(motion, lambda rows: fading(rows, slerp_rows), lambda rows: fading(rows, lerp_rows))


def change_speed(motion: Motion, factor: float) -> Motion:
    """``factor`` times as fast at the same frame rate, without its sound.

    Raises `MotionError` outside `SLOWEST` to `FASTEST` and for more frames than a clip may have.
    """
    if not SLOWEST <= factor <= FASTEST:
        raise MotionError(f"the speed is {factor:g}; it must be {SLOWEST:g} to {FASTEST:g} times the clip's own")
    if factor == 1:
        return motion
    count = max(1, round(len(motion) / factor))
    if count > MOST_FRAMES:
        raise MotionError(f"the clip would have {count} frames; it may have {MOST_FRAMES} at most")
    times = (torch.arange(count, dtype=torch.float64) * factor).clamp_max(len(motion) - 1)
    slower = _each(motion, lambda rows: slerp_rows(rows, times), lambda rows: lerp_rows(rows, times))
    return replace(slower, audio=None)


def smooth(motion: Motion, strength: float) -> Motion:
    """Without jitter: a Savitzky-Golay filter (1964) of second order over up to `WIDEST_WINDOW` seconds.

    ``strength`` 0..1 is the share of that window. Rotations are filtered as quaternions and brought back to unit
    length, the chordal mean (Gramkow, 2001). Every channel stays within the range that it had. Raises `MotionError`
    for another strength.
    """
    if not 0 <= strength <= 1:
        raise MotionError(f"the smoothing is {strength:g}; it must be 0 (none) to 1 (strongest)")
    half = min(round(strength * WIDEST_WINDOW * motion.fps / 2), (len(motion) - 1) // 2)
    if half < 2:  # a parabola goes through three points exactly
        return motion

    def filtered(rows: Tensor) -> Tensor:
        smoothed = savgol_filter(rows.double().numpy(), 2 * half + 1, 2, axis=0)
        return torch.from_numpy(smoothed).clamp(rows.amin(0).double(), rows.amax(0).double())

    def turned(rows: Tensor) -> Tensor:
        return matrix_to_axis_angle(quaternion_to_matrix(filtered(_continuous(rows))))

    return _each(motion, turned, filtered)


def scale(motion: Motion, amounts: Mapping[str, float]) -> Motion:
    """Groups of `GROUPS` made weaker or stronger: 0 still, 1 as it was, 2 twice as far.

    Head turns grow from the clip's first frame, jaw and eye turns from rest. In a clip without named actions only the
    jaw, the eyes and the head can be scaled; a note says so of the others. Raises `MotionError` for an unknown group
    or an amount outside 0 to `LARGEST_SCALE`.
    """
    for group, amount in amounts.items():
        if group not in GROUPS:
            raise MotionError(f"there is no group {group!r}; there are {', '.join(GROUPS)}")
        if not 0 <= amount <= LARGEST_SCALE:
            raise MotionError(f"{group} is scaled by {amount:g}; it must be 0 to {LARGEST_SCALE:g}")
    parts: dict[str, Any] = {
        "jaw": motion.jaw * amounts.get("jaw", 1.0),
        "left_eye": motion.left_eye * amounts.get("eyes", 1.0),
        "right_eye": motion.right_eye * amounts.get("eyes", 1.0),
    }
    if (turned := amounts.get("head", 1.0)) != 1:
        for name in {"global_rotation", "neck", "head"} & set(motion.tensor_names()):
            parts[name] = _scaled_from_first(getattr(motion, name), turned)
    if motion.basis == "arkit52":
        factors = torch.ones(len(ARKIT_NAMES))
        for group, amount in amounts.items():
            factors[_columns(GROUPS[group])] = amount
        parts["expression"] = (motion.expression * factors).clamp(0, 1)
        return replace(motion, **parts)
    lost = [group for group in ("lips", "brows") if amounts.get(group, 1.0) != 1]
    told = f"In coefficients the {' and the '.join(lost)} cannot be told from the rest; they stay as they were."
    return replace(motion, **parts, notes=(*motion.notes, *([told] if lost else [])))


def add_blinks(motion: Motion, per_minute: float, seed: int = 0) -> Motion:
    """Blinks of someone at ease, at random moments that a seed draws, none near a blink that is there already.

    They go into the blink actions of an ``arkit52`` clip and into `Motion.eyelids` of any other. Raises `MotionError`
    unless there are more than 0 and at most `MOST_BLINKS` a minute, and for a negative seed.
    """
    if not 0 < per_minute <= MOST_BLINKS:
        raise MotionError(f"{per_minute:g} blinks a minute cannot be added; 0 to {MOST_BLINKS:g} can")
    if seed < 0:
        raise MotionError(f"the seed of the blinks is {seed}; it must not be negative")
    named = motion.basis == "arkit52"
    columns = _columns(("eyeBlinkLeft", "eyeBlinkRight"))
    there = motion.expression[:, columns] if named else motion.eyelids
    lids = torch.zeros(len(motion), 2) if there is None else there.clone()
    times, gap = np.arange(len(motion)) / motion.fps, 60 / per_minute
    shut = times[(lids.amax(1) > SHUT).numpy()]
    generator = np.random.default_rng(seed)
    for start in curves.blink_starts(generator, motion.duration, gap * float(generator.uniform(0.3, 0.9)), gap):
        if np.abs(shut - start).min(initial=np.inf) > BLINK_DISTANCE:
            lids = torch.maximum(lids, torch.from_numpy(curves.blink(times, start))[:, None].float())
    if not named:
        return replace(motion, eyelids=lids)
    expression = motion.expression.clone()
    expression[:, columns] = lids
    return replace(motion, expression=expression)


def mix(motion: Motion, amounts: Mapping[str, float]) -> Motion:
    """A constant expression on top: names of `EMOTIONS` or of ARKit actions (without a side: both) → strength 0..1.

    Where the clip holds the lips together for a P, B or M, what would part them waits. Raises `MotionError` for an
    unknown name, a strength out of range, or a clip without named actions.
    """
    if motion.basis != "arkit52":
        raise MotionError(f"an expression is mixed into named actions; this clip is {motion.basis} (see in_actions)")
    constant = torch.zeros(len(ARKIT_NAMES))
    for name, amount in amounts.items():
        if not 0 <= amount <= 1:
            raise MotionError(f"{name} is mixed in with {amount:g}; it must be 0 to 1")
        for action, value in EMOTIONS.get(name, {name: 1.0}).items():
            constant[_columns(_sides(action))] += amount * value
    jaw, close = (motion.expression[:, ARKIT_NAMES.index(name), None] for name in ("jawOpen", "mouthClose"))
    sealed = (close / SEALED).clamp(0, 1) * (close / jaw.clamp_min(1e-6)).clamp(0, 1)
    parting = torch.tensor([name.startswith(PART_THE_LIPS) for name in ARKIT_NAMES])
    added = constant * torch.where(parting, 1 - sealed, 1.0)
    return replace(motion, expression=(motion.expression + added).clamp(0, 1))


def in_actions(motion: Motion, rig: Rig) -> Motion:
    """The clip in ARKit's named actions, as a rig that has them all would play it: the same head turns and gaze.

    An ``arkit52`` clip comes back as it is. What cannot be said in actions is left out, and the notes tell. Raises
    `MotionError` for a rig without these actions.
    """
    if motion.basis == "arkit52":
        return motion
    if rig.basis != "arkit52":
        raise MotionError(f"this head's expressions are {rig.basis}; named actions need a head that has them")
    driven = retarget(motion, rig)
    expression = torch.zeros(len(motion), len(ARKIT_NAMES))
    expression[:, _columns(rig.expression_names)] = driven.expression
    turns = driven.rotations - rig.driven_rotations(driven.expression)
    necks = [joint for joint, name in enumerate(rig.joint_names) if name.startswith("neck")]
    still = torch.zeros(len(motion), 3)
    return replace(
        motion,
        basis="arkit52",
        expression=expression,
        global_rotation=still,
        neck=driven.rotations[:, necks].sum(1),
        head=driven.rotations[:, rig.joint_index("head")],
        jaw=still,
        left_eye=turns[:, rig.joint_index("left_eye")],
        right_eye=turns[:, rig.joint_index("right_eye")],
        eyelids=None,
        translation=None,
        notes=driven.notes,
    )


def _each(motion: Motion, turns: Callable[[Tensor], Tensor], numbers: Callable[[Tensor], Tensor]) -> Motion:
    """One function over every rotation, another over everything else."""
    parts: dict[str, Any] = {
        name: (turns if name in ROTATIONS else numbers)(getattr(motion, name)) for name in motion.tensor_names()
    }
    return replace(motion, **parts)


def _continuous(rows: Tensor) -> Tensor:
    """Axis-angle (T, 3) → quaternions (T, 4) without jumps between the two of each rotation."""
    quaternions = matrix_to_quaternion(axis_angle_to_matrix(rows.double()))
    steps = (quaternions[1:] * quaternions[:-1]).sum(1)
    signs = torch.cat([steps.new_ones(1), torch.where(steps < 0, -1.0, 1.0)]).cumprod(0)
    return quaternions * signs[:, None]


def _scaled_from_first(rows: Tensor, amount: float) -> Tensor:
    """Axis-angle (T, 3): every turn since the first frame, ``amount`` times as far."""
    matrices = axis_angle_to_matrix(rows.double())
    since = matrix_to_axis_angle(matrices[0].T @ matrices)
    return matrix_to_axis_angle(matrices[0] @ axis_angle_to_matrix(amount * since))


def _sides(action: str) -> tuple[str, ...]:
    names = (action,) if action in ARKIT_NAMES else (f"{action}Left", f"{action}Right")
    if not set(names) <= set(ARKIT_NAMES):
        raise MotionError(
            f"there is no expression {action!r}; there are {', '.join(EMOTIONS)} and ARKit's actions, e.g. mouthSmile"
        )
    return names


def _columns(names: Sequence[str]) -> list[int]:
    return [ARKIT_NAMES.index(name) for name in names]
