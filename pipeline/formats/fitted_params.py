"""``fitted_params.pkl`` of AnimPortrait3D: which SMPL-X person its splats hang on, and how it lay over the portrait.

`torch.save` of nine float32 numpy arrays of one row each (AnimPortrait3D, smplx_fit.py).
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.heads.rig import Fit
from pipeline.safe_load import convert

FITTED_PARAMS = "fitted_params.pkl"
SHAPE, SHAPE_SIZE = "fitted_shape", 300
FIELDS = {
    "expression": ("fitted_expr", 100),
    "neck_pose": ("fitted_neck_pose", 3),
    "head_pose": ("fitted_head_pose", 3),
    "jaw_pose": ("fitted_jaw_pose", 3),
    "eyes_pose": ("fitted_eyes_pose", 6),
    "translation": ("fitted_global_translation", 3),
    "scale": ("fitted_global_scale", 1),
    "eyelids": ("fitted_eyelid_params", 2),
}
"""Field of `Fit` → key in the file and how many numbers it has; in the order of the file, after the shape."""
LARGEST = 100.0
"""No coefficient, angle or length of a fit comes near it."""
LARGEST_LID = 2.0
"""1 is closed; fits and training stay within −1 and 1.1."""


def read_fitted_params(path: Path) -> tuple[tuple[float, ...], Fit]:
    """The 300 shape coefficients and the fit, read by the allow-list in another process.

    Raises `UserError` when the file is missing, refused, or a part is missing, of another size or no real number.
    """
    with tempfile.TemporaryDirectory(prefix="fitted-") as folder:
        plain = Path(folder) / "plain.npz"
        convert(path, plain)
        with np.load(plain, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    fit = Fit(**{field: _row(arrays, key, size, path.name) for field, (key, size) in FIELDS.items()})
    if not fit.scale[0] > 0:
        raise UserError(f"fitted_global_scale of {path.name} is {fit.scale[0]:g}; it must be positive")
    if max(map(abs, fit.eyelids)) > LARGEST_LID:
        raise UserError(
            f"fitted_eyelid_params of {path.name} are {fit.eyelids}; lids lie between 0 (open) and 1 (closed)"
        )
    return _row(arrays, SHAPE, SHAPE_SIZE, path.name), fit


def write_fitted_params(shape: tuple[float, ...], fit: Fit, path: Path) -> None:
    """Write the file as AnimPortrait3D's own `torch.load` reads it, with numpy of before and after version 2."""
    padded = (*shape, *(0.0,) * (SHAPE_SIZE - len(shape)))
    content = {SHAPE: np.array([padded], np.float32)}
    content |= {key: np.array([getattr(fit, field)], np.float32) for field, (key, _) in FIELDS.items()}
    with whole_file(path) as partial:
        torch.save(content, partial, pickle_module=_OLD_NUMPY)


def _row(arrays: dict[str, NDArray[Any]], key: str, size: int, name: str) -> tuple[float, ...]:
    if key not in arrays:
        raise UserError(f"{name} has no {key}; it is not the fit of an AnimPortrait3D avatar")
    values = arrays[key]
    if values.dtype.kind != "f" or values.size != size:
        raise UserError(f"{key} of {name} has shape {values.shape}; it must hold {size} real numbers")
    if not (np.abs(values) <= LARGEST).all():  # also false for NaN
        raise UserError(f"{key} of {name} holds numbers that no fit has (beyond ±{LARGEST:g} or not finite)")
    return tuple(values.astype(np.float32).ravel().tolist())


class _OldNumpyPickler(pickle._Pickler):
    """numpy 2 names its functions ``numpy._core``, which numpy 1, that AnimPortrait3D needs, does not know."""

    write: Callable[[bytes], object]
    memoize: Callable[[object], None]

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        if module.startswith("numpy._core"):
            old = module.replace("numpy._core", "numpy.core")
            self.write(pickle.GLOBAL + f"{old}\n{name or obj.__qualname__}\n".encode("ascii"))
            self.memoize(obj)
            return
        super().save_global(obj, name)  # type: ignore[misc]  # typeshed knows the public methods only


_OLD_NUMPY = SimpleNamespace(Pickler=_OldNumpyPickler, __name__="pickle")
