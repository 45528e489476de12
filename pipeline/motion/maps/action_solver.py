"""Which ARKit actions a clip of FLAME or SMPL-X coefficients shows: the way back through an `ActionMap`."""

from __future__ import annotations

import numpy as np

from pipeline.motion.maps.action_map import BY_JOINT, CLOSE, OPEN, ActionMap
from pipeline.motion.maps.bounded import solve_bounded
from pipeline.motion.maps.face_model import Array
from pipeline.motion.motion import ARKIT_NAMES

SPARSITY = 0.004
"""Millimetres, weighted mean over the face, that an action must explain to be there at all."""
SMOOTHNESS = 0.003
"""mm² that a jump of 1 between two frames must explain, at 30 frames per second."""
OPPOSITE, OPPOSITE_SPARSITY = ("eyeBlink", "eyeWide"), 0.001
"""Almost opposites, which a blink of wide eyes shows at once: more sparsity would take both away together."""
BENT_ROUNDS = 4
"""Rounds in which the part of closed lips that goes with mouthClose · jawOpen settles."""
GIVEN = BY_JOINT + tuple(name for name in ARKIT_NAMES if name.startswith("eyeLook"))
"""Actions that follow from joints, so that no coefficient has to explain them."""


def find_actions(fitted: ActionMap, coefficients: Array, given: Array, fps: float) -> Array:
    """Coefficients (T, C) → weights (T, 52) within 0..1.

    ``given`` (T, 52): what is known without the coefficients. The actions in `GIVEN` are taken from it as they are;
    others, such as blinks that eyelid channels close, come on top of it.
    """
    joints = [ARKIT_NAMES.index(name) for name in GIVEN]
    searched = [k for k in range(len(ARKIT_NAMES)) if k not in joints]
    upper = 1 - given
    upper[:, CLOSE] = np.minimum(upper[:, CLOSE], given[:, OPEN])
    half = np.linalg.cholesky(fitted.gram)
    columns, bent = fitted.coefficients @ half, fitted.sealing @ half
    target = coefficients @ half - given[:, joints] @ columns[joints]
    sparsity = np.array([OPPOSITE_SPARSITY if ARKIT_NAMES[k].startswith(OPPOSITE) else SPARSITY for k in searched])
    smoothness = SMOOTHNESS * (fps / 30) ** 2
    found = np.zeros_like(given)
    for _ in range(BENT_ROUNDS):
        rest = target - (found[:, CLOSE] * given[:, OPEN])[:, None] * bent
        start = found[:, searched]
        found[:, searched] = solve_bounded(columns[searched], rest, start, upper[:, searched], sparsity, smoothness)
    return given + found
