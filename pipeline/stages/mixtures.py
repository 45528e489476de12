"""Faces that people make, without anybody's recordings: frames of our own clips, and mixtures of facial actions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from pipeline.motion.clips import CLIPS
from pipeline.motion.motion import ARKIT_NAMES, Motion, still
from pipeline.stages.randomness import generator

EVERY = 3
"""Of how many frames of a clip one is taken: neighbours are alike."""
MIXTURES = {"all": 1300, "open_mouth": 700}
FPS = 30.0
Choice = tuple[str, ...]
"""Actions that go together; a name without a side means both sides."""
BROWS: tuple[Choice, ...] = (
    (), (), ("browDown",), ("browInnerUp", "browOuterUp"), ("browInnerUp",), ("browOuterUp",), ("browOuterUpLeft",),
    ("browOuterUpRight",), ("browDown", "browInnerUp"),
)  # fmt: skip
CHEEKS: tuple[Choice, ...] = ((), (), ("cheekSquint", "eyeSquint"), ("eyeSquint",), ("noseSneer",))
CLOSED_LIPS: tuple[Choice, ...] = (
    ("mouthPress",), ("mouthRollLower", "mouthRollUpper"), ("mouthPucker",), ("cheekPuff", "mouthPress"),
    ("mouthShrugLower", "mouthShrugUpper"),
)  # fmt: skip
"""They keep the jaw almost shut."""
LIPS: tuple[Choice, ...] = (
    (), (), ("mouthSmile",), ("mouthSmile", "mouthDimple"), ("mouthSmile", "mouthUpperUp", "mouthLowerDown"),
    ("mouthSmileLeft",), ("mouthSmileRight",), ("mouthFrown",), ("mouthFrown", "mouthShrugLower"), ("mouthFunnel",),
    ("mouthStretch",), ("mouthUpperUp",), ("mouthLowerDown",), ("mouthUpperUp", "mouthLowerDown"), ("mouthLeft",),
    ("mouthRight",), ("mouthFunnel", "mouthPucker"), ("mouthStretch", "mouthLowerDown"),
)  # fmt: skip
JAW: tuple[Choice, ...] = ((), (), (), ("jawLeft",), ("jawRight",), ("jawForward",))
TONGUE: tuple[Choice, ...] = (*((),) * 19, ("tongueOut",))
JAW_WITH_CLOSED_LIPS = 0.1
JAW_WITH_TONGUE = 0.2
OPEN_JAW = (0.35, 1.0)
"""Of the pool of open mouths."""
LIPS_WITH_OPEN_JAW = 0.6
"""Lips stretch less far over an open jaw."""
UNEVEN = 0.35
"""Share by which one side of the face may lag behind the other."""
TURNS = (7.0, 14.0, 6.0)
MOST_TURNS = (18.0, 35.0, 14.0)
"""Degrees of pitch, yaw and roll: their spread and their limits."""
NECK_SHARE = 0.4


@lru_cache(maxsize=2)
def people(pool: str) -> Motion:
    """A clip whose frames are the poses of a pool, ``all`` or ``open_mouth``; they do not follow on one another."""
    if pool == "open_mouth":
        return mixtures(MIXTURES[pool], open_mouth=True)
    return _joined([*(_thinned(make()) for make in CLIPS.values()), mixtures(MIXTURES[pool], open_mouth=False)])


def mixtures(count: int, *, open_mouth: bool) -> Motion:
    """``count`` faces of a few actions each that do not fight one another."""
    source = generator(0, "mixtures", int(open_mouth))
    actions = torch.zeros(count, len(ARKIT_NAMES))
    for choices in (BROWS, CHEEKS, JAW):
        actions += _chosen(choices, count, source)
    closed = torch.zeros(count, dtype=torch.bool) if open_mouth else torch.rand(count, generator=source) < 0.2
    tongue = _chosen(TONGUE, count, source) * ~closed[:, None]
    opened = _jaw(count, open_mouth, source)
    opened = torch.where(closed, JAW_WITH_CLOSED_LIPS * opened, opened)
    opened = torch.where(tongue.any(1), opened.clamp_min(JAW_WITH_TONGUE), opened)
    lips = _chosen(LIPS, count, source) * (1 - (1 - LIPS_WITH_OPEN_JAW) * opened)[:, None] + tongue
    actions += torch.where(closed[:, None], _chosen(CLOSED_LIPS, count, source), lips)
    actions[:, ARKIT_NAMES.index("jawOpen")] = opened
    return _clip(actions.clamp(0, 1), _head_turns(count, source), "mixtures of actions")


def _jaw(count: int, open_mouth: bool, source: torch.Generator) -> Tensor:
    """(count,) of jawOpen: a third shut, the others mostly a little; or all open."""
    drawn, shut = torch.rand(2, count, generator=source)
    if open_mouth:
        return OPEN_JAW[0] + (OPEN_JAW[1] - OPEN_JAW[0]) * drawn
    return torch.where(shut < 1 / 3, torch.zeros(count), drawn**1.5)


def _chosen(choices: tuple[Choice, ...], count: int, source: torch.Generator) -> Tensor:
    """(count, 52): one of the choices for each, at a strength of its own, one side a little weaker."""
    table = torch.stack([_columns(choice) for choice in choices])
    which = torch.randint(len(choices), (count,), generator=source)
    strength, lag = torch.rand(2, count, 1, generator=source)
    lag = UNEVEN * (2 * lag - 1)  # above 0 the left side lags, below the right
    sides = torch.where(LEFT, 1 - lag.clamp_min(0), torch.where(RIGHT, 1 + lag.clamp_max(0), torch.ones(1)))
    return table[which] * (0.2 + 0.8 * strength) * sides


def _columns(choice: Choice) -> Tensor:
    """(52,) 1 for each action of a choice."""
    return torch.tensor([name in choice or _without_side(name) in choice for name in ARKIT_NAMES]).float()


def _without_side(name: str) -> str:
    return name.removesuffix("Left").removesuffix("Right")


LEFT, RIGHT = (torch.tensor([name.endswith(side) for name in ARKIT_NAMES]) for side in ("Left", "Right"))


def _head_turns(count: int, source: torch.Generator) -> Tensor:
    """(count, 3) degrees."""
    limit = torch.tensor(MOST_TURNS)
    return (torch.randn(count, 3, generator=source) * torch.tensor(TURNS)).clamp(-limit, limit)


def _clip(actions: Tensor, degrees: Tensor, source: str) -> Motion:
    turn = torch.deg2rad(degrees)
    rest: dict[str, Any] = still(len(actions)) | {"neck": NECK_SHARE * turn}
    return Motion(FPS, "arkit52", actions, **rest, head=(1 - NECK_SHARE) * turn, source=source)


def _thinned(motion: Motion) -> Motion:
    parts = {name: getattr(motion, name)[::EVERY] for name in motion.tensor_names()}
    return Motion(motion.fps, motion.basis, **parts, source=motion.source)


def _joined(clips: list[Motion]) -> Motion:
    names = clips[0].tensor_names()
    parts: dict[str, Any] = {name: torch.cat([getattr(clip, name) for clip in clips]) for name in names}
    return Motion(FPS, "arkit52", **parts, source="clips and mixtures")
