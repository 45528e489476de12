"""Bounded, sparse, smooth least squares for a whole clip at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SWEEPS = 300
CONVERGED = 2e-4
"""Sweeps end when no value moves further than this."""
SHORTEST = 1e-3
"""A column shorter than this share of the longest explains nothing; its values stay 0."""


def solve_bounded(
    columns: Array, targets: Array, start: Array, upper: Array, sparsity: Array, smoothness: float
) -> Array:
    """Values w (T, K), 0 ≤ w ≤ ``upper`` (T, K), that minimise over the whole clip

        ½ Σₜ ‖targetsₜ − Σₖ wₜₖ·cₖ‖² + Σₜₖ sparsityₖ·‖cₖ‖·wₜₖ + ½ smoothness Σₜₖ (wₜₖ − wₜ₋₁ₖ)²

    for columns c (K, R), targets (T, R) and ``sparsity`` (K,), from the values ``start`` (T, K). Sparsity is in the
    units of the targets: what is shorter than that is noise. Coordinate descent (Wright, 2015): one coordinate at a
    time, for the frames of even and odd number in turn.
    """
    gram, wanted = columns @ columns.T, columns @ targets.T
    squares = np.diag(gram)
    used = np.flatnonzero(squares > SHORTEST**2 * squares.max(initial=0.0))
    values, highest = start.T.copy(), upper.T
    neighbours = np.full(len(start), 2.0)
    neighbours[0] -= 1
    neighbours[-1] -= 1
    for _ in range(SWEEPS):
        before = values.copy()
        for k in used:
            pull = wanted[k] - gram[k] @ values + squares[k] * values[k] - sparsity[k] * np.sqrt(squares[k])
            stiffness = squares[k] + smoothness * neighbours
            for frames in (slice(0, None, 2), slice(1, None, 2)):
                best = (pull[frames] + smoothness * _beside(values[k])[frames]) / stiffness[frames]
                values[k, frames] = best.clip(0, highest[k, frames])
        if np.abs(values - before).max() < CONVERGED:
            break
    return values.T


def _beside(row: Array) -> Array:
    """(T,) → (T,) the sum of the frames before and after."""
    total = np.zeros_like(row)
    total[1:] += row[:-1]
    total[:-1] += row[1:]
    return total
