"""How the free head varies over people, as a linear model: the prior with which a foreign head is registered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.heads.anny import Phenotype, Shaped, local_change_names, shape_identity
from pipeline.heads.anny_file import HeadFile, read_head_file

Array = NDArray[np.float64]

SAMPLES = 240
"""Random people that the model is learnt from."""
MODES = 90
LOCAL_DEVIATION = 0.22
"""Standard deviation of every local change of the random people."""


@dataclass(frozen=True)
class AnnySpace:
    """vertices = ``mean`` + coefficients · ``modes``, coefficients of standard deviation 1; origin between the eyes."""

    head: HeadFile
    mean: Array
    """(V, 3) metres."""
    modes: Array
    """(K, V, 3) metres per standard deviation."""
    joints: Array
    """(5, 3) torso, neck01, neck02, neck03, head of the mean."""
    joint_modes: Array
    """(K, 5, 3)"""

    def shaped(self, coefficients: Array) -> Shaped:
        """Coefficients (K,) → that person."""
        vertices = self.mean + np.tensordot(coefficients, self.modes, 1)
        joints = self.joints + np.tensordot(coefficients, self.joint_modes, 1)
        return Shaped(vertices.astype(np.float32), joints.astype(np.float32))

    def eye_centre(self, vertices: Array, side: str) -> Array:
        """(V, 3) → (3,): mean of the vertices of an eyeball, which is linear in the coefficients."""
        ball = np.unique(self.head.faces[self.head.regions[f"eye_{side}"]])
        return vertices[ball].mean(0)


@lru_cache(maxsize=1)
def anny_space() -> AnnySpace:
    """The model, about a second once per process; the same on every machine up to rounding."""
    head = read_head_file()
    rng = np.random.default_rng(7)
    names = local_change_names(head)
    people = np.stack([_person(head, names, rng) for _ in range(SAMPLES)])
    mean, own = people.mean(0), len(head.template)
    offsets = (people - mean)[:, :own].reshape(SAMPLES, -1)
    # Principal components through the small Gram matrix.
    power, mixing = np.linalg.eigh(offsets @ offsets.T)
    strongest = np.argsort(power)[::-1][:MODES]
    shares = mixing[:, strongest].T / np.sqrt(SAMPLES - 1)
    modes = (shares @ offsets).reshape(MODES, own, 3)
    joint_modes = np.tensordot(shares, (people - mean)[:, own:], 1)
    return AnnySpace(head, mean[:own], modes, mean[own:], joint_modes)


def _person(head: HeadFile, names: tuple[str, ...], rng: np.random.Generator) -> Array:
    """(V + 5, 3) vertices, then joints."""
    phenotype = Phenotype(
        gender=rng.random(), age=rng.uniform(0.55, 1.0), muscle=rng.random(), weight=rng.random(),
        african=rng.random(), asian=rng.random(), caucasian=rng.random(),
    )  # fmt: skip
    changes = np.clip(rng.normal(0, LOCAL_DEVIATION, len(names)), -1, 1)
    shaped = shape_identity(head, phenotype, dict(zip(names, changes.tolist(), strict=True)))
    balls = [np.unique(head.faces[head.regions[f"eye_{side}"]]) for side in ("left", "right")]
    middle = np.mean([shaped.vertices[ball].mean(0) for ball in balls], axis=0)
    return np.concatenate([shaped.vertices, shaped.joints]).astype(np.float64) - middle
