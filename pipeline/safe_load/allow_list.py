"""The only names that a pickle may ask for, each answered by a stand-in of ours.

The list is short on purpose: what files of numbers need, in the spelling of every release of numpy, scipy and torch.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from types import MappingProxyType
from typing import Any

from pipeline.safe_load import stand_ins
from pipeline.safe_load.stand_ins import NDARRAY, Chumpy, Dtype, Function, Mapping, Marker, Sparse, SparseByRow
from pipeline.safe_load.tensors import ELEMENTS, StorageType, rebuild_parameter, rebuild_tensor

TORCH_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def _numpy() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "dtype"): Dtype,
        ("numpy", "ndarray"): NDARRAY,
        ("numpy", "matrix"): NDARRAY,
        ("numpy.matrixlib.defmatrix", "matrix"): NDARRAY,
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "_reconstruct"] = Function(stand_ins.reconstruct)
        table[f"{core}.multiarray", "scalar"] = Function(stand_ins.scalar)
        table[f"{core}.numeric", "_frombuffer"] = Function(stand_ins.from_buffer)
        table[f"{core}.memmap", "memmap"] = NDARRAY
    return table


def _scipy() -> dict[tuple[str, str], Any]:
    layouts = {"csc": Sparse, "csr": SparseByRow}
    return {
        (f"scipy.sparse.{module}{layout}", f"{layout}_{form}"): stand_in
        for layout, stand_in in layouts.items()
        for module in ("", "_")
        for form in ("matrix", "array")
    }


def _python() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): Mapping,
        ("_codecs", "encode"): Function(stand_ins.encode),
    }
    for builtins in ("builtins", "__builtin__"):
        table[builtins, "object"] = Marker()
        table[builtins, "bytes"] = table[builtins, "bytearray"] = Function(stand_ins.make_bytes)
        table[builtins, "set"] = table[builtins, "frozenset"] = Function(stand_ins.nothing)
    for copyreg in ("copyreg", "copy_reg"):
        table[copyreg, "_reconstructor"] = Function(stand_ins.new_object)
    return table


def _torch() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor"): Function(rebuild_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): Function(rebuild_tensor),
        ("torch._utils", "_rebuild_parameter"): Function(rebuild_parameter),
        ("torch", "Size"): Function(stand_ins.items_of),
        ("torch", "device"): Function(stand_ins.nothing),
    }
    table |= {("torch", name): StorageType(element) for name, element in ELEMENTS.items()}
    return table | {("torch", name): Marker() for name in TORCH_DTYPES}


ALLOWED: ReadOnly[tuple[str, str], Any] = MappingProxyType(_numpy() | _scipy() | _python() | _torch())
"""Module and name → stand-in."""


def allowed(module: str, name: str) -> Any | None:
    """The stand-in for a global of a pickle, or None."""
    if module == "chumpy" or module.startswith("chumpy."):
        return Chumpy
    return ALLOWED.get((module, name))
