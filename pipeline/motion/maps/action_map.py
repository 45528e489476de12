"""`ActionMap`: ARKit actions in the coefficients of one head model, fitted on that model.

The jaw opens and swings by its joint, and eyes turn by theirs. The rest of an action is found by ridge least squares
over the skin, with the free head's action, carried over to this face, as the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from pipeline.geometry import axis_angle_to_matrix
from pipeline.motion.jaw import JawCurve, free_jaw
from pipeline.motion.maps.face_model import Array, FaceModel
from pipeline.motion.maps.metric import face_metric
from pipeline.motion.motion import ARKIT_NAMES

RIDGE = 0.002
"""mm² of weighted mean error that a coefficient of 1, one standard deviation of the model's faces, must earn."""
BY_JOINT = ("jawOpen", "jawLeft", "jawRight")
HALF, WHOLE = 0.5, 1.0
"""Values of jawOpen at which closed lips are fitted."""
LIP_REACH = 0.006
"""Metres round the lips within which they take the skin along when they stay closed over an open jaw."""
KNEE, LIMIT = 3.0, 5.0
"""Coefficients beyond the knee are bent so that they stay below the limit; tracked faces rarely pass 4."""

OPEN, CLOSE = ARKIT_NAMES.index("jawOpen"), ARKIT_NAMES.index("mouthClose")


@dataclass(frozen=True, eq=False)
class ActionMap:
    """What every action is on one head model."""

    coefficients: Array
    """(52, C) at value 1; zeros for what the jaw's joint does."""
    sealing: Array
    """(C,) added mouthClose · jawOpen times: lips that stay closed over a jaw that turns take a bent way."""
    gram: Array
    """(C, C) mm²: eᵀ·gram·e is how much a face changes by coefficients e, plus the ridge."""

    def express(self, weights: Array) -> Array:
        """Weights (T, 52) within 0..1 → coefficients (T, C)."""
        together = np.minimum(weights[:, CLOSE], weights[:, OPEN])
        linear = weights.copy()
        linear[:, CLOSE] = together  # lips cannot be more closed than the jaw is open
        bent = (together * weights[:, OPEN])[:, None] * self.sealing
        return soft_limit(linear @ self.coefficients + bent)


def soft_limit(coefficients: Array) -> Array:
    """Unchanged up to `KNEE`, then bent like tanh to stay below `LIMIT`."""
    over = np.maximum(np.abs(coefficients) - KNEE, 0)
    room = LIMIT - KNEE
    return np.clip(coefficients, -KNEE, KNEE) + np.sign(coefficients) * room * np.tanh(over / room)


@lru_cache(maxsize=8)
def fit_actions(model: FaceModel) -> ActionMap:
    """Fit every action on a model, once per process."""
    metric = face_metric(model)
    basis = metric.rows(model.basis)
    gram = basis @ basis.T + RIDGE * np.eye(len(basis))
    targets = model.actions.copy()
    targets[[ARKIT_NAMES.index(name) for name in BY_JOINT]] = 0
    closed = [_closed_over(model, free_jaw(), opened) for opened in (HALF, WHOLE)]
    coefficients = np.linalg.solve(gram, basis @ metric.rows(np.concatenate([targets, closed])).T).T.astype(np.float64)
    coefficients, (half, whole) = coefficients[:-2], coefficients[-2:]
    # linear·v + sealing·v² passes through both.
    sealing = (whole / WHOLE - half / HALF) / (WHOLE - HALF)
    coefficients[CLOSE] = whole / WHOLE - WHOLE * sealing
    return ActionMap(coefficients, sealing, gram)


def _closed_over(model: FaceModel, jaw: JawCurve, opened: float) -> Array:
    """(M, 3) what mouthClose must add before skinning so that the lips are shut while the jaw is ``opened``.

    Away from the lips it is the free head's action; at the lips, both actions together as the free head does them.
    """
    rig = model.rig
    turn = jaw.rotation(np.array([[opened, 0.0, 0.0]]))
    expression, rotations = rig.neutral()
    rotations[:, rig.joint_index("jaw")] = turn
    posed = rig.pose(expression, rotations)[0].numpy().astype(np.float64)[model.samples]
    matrix = axis_angle_to_matrix(turn)[0].numpy().astype(np.float64)
    skinning = np.eye(3) + model.jaw_share[:, None, None] * (matrix - np.eye(3))
    lips = model.points[model.inside("lips")]
    near = np.exp(-((cKDTree(lips).query(model.points)[0] / LIP_REACH) ** 2))[:, None]
    difference = model.points + opened * model.actions[OPEN] - posed
    wanted = opened * model.actions[CLOSE] + near * difference
    return np.linalg.solve(skinning, wanted[..., None])[..., 0]
