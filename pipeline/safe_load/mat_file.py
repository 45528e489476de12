"""MATLAB files of version 5, as nested dicts, lists and arrays."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
import scipy.io
import scipy.sparse
from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque, MatReadError

from pipeline.safe_load.refusal import Refused
from pipeline.safe_load.stand_ins import Array, Malformed

NEWEST = (b"\x00\x02IM", b"\x02\x00MI")
MOST_DEPTH = 16


def load_mat(file: IO[bytes], most_bytes: int) -> dict[str, Any]:
    """Variables by name, structures as dicts and cells as lists.

    Raises `Refused` for version 7.3 and for objects, `MemoryError` above ``most_bytes``, and whatever scipy raises for
    bad bytes.
    """
    header = file.read(128)
    file.seek(0)
    if header[124:] in NEWEST:
        raise Refused("This is a MATLAB 7.3 file, which is not read; save it with save('motion.mat', ..., '-v7')")
    try:
        variables = scipy.io.loadmat(file, struct_as_record=True, squeeze_me=False, chars_as_strings=True)
    except MatReadError as error:
        raise Malformed("not what MATLAB writes") from error
    return {name: _plain(value, most_bytes, 0) for name, value in variables.items() if not name.startswith("__")}


def _plain(value: Any, most_bytes: int, depth: int) -> Any:
    if depth > MOST_DEPTH:
        raise Refused(f"This .mat file nests more than {MOST_DEPTH} levels deep; save the numbers as plain variables")
    if isinstance(value, (MatlabFunction, MatlabObject, MatlabOpaque)):
        raise Refused("This .mat file holds MATLAB objects or functions; save the numbers as plain variables")
    if scipy.sparse.issparse(value):
        if value.shape[0] * value.shape[1] * value.dtype.itemsize > most_bytes:
            raise MemoryError
        return Array(value.toarray())
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype.names is not None:
        records = [
            {name: _plain(record[name], most_bytes, depth + 1) for name in value.dtype.names} for record in value.flat
        ]
        return records[0] if len(records) == 1 else records
    if value.dtype == object:
        return [_plain(cell, most_bytes, depth + 1) for cell in value.flat]
    return Array(value)
