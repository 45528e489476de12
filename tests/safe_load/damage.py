"""Sound files of every foreign kind, and ways to damage them."""

from __future__ import annotations

import io
import pickle

import numpy as np
import scipy.io
import scipy.sparse
import torch
from hypothesis import strategies as st


def sound_files() -> dict[str, bytes]:
    """One small file of each flavour, by name."""
    arrays = {"exp": np.ones((4, 5), np.float32), "names": ["jawOpen", "b"], "objects": np.array([1, None], object)}
    clip = {**arrays, "fps": 25.0, "sparse": scipy.sparse.csc_matrix(np.eye(3)), "tensor": torch.ones(2, 3)}
    files = {f"protocol {protocol}": pickle.dumps(clip, protocol) for protocol in range(6)}
    for archive in (True, False):
        file = io.BytesIO()
        torch.save({"exp": torch.ones(3, 4), "frames": torch.arange(3)}, file, _use_new_zipfile_serialization=archive)
        files["torch archive" if archive else "torch stream"] = file.getvalue()
    structure = {"inner": 1.0, "text": "abc", "cell": np.array([1, "a"], object)}
    variables = {"exp": np.ones((2, 5)), "deep": structure, "sparse": scipy.sparse.csc_matrix(np.eye(3))}
    for compressed in (True, False):
        file = io.BytesIO()
        scipy.io.savemat(file, variables, do_compression=compressed)
        files["mat packed" if compressed else "mat"] = file.getvalue()
    return files


SOUND = sound_files()
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "repeat", "swap"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=12,
)
"""What to do, at which share of the file, with which other place, with which byte."""


def damaged(content: bytes, edits: list[tuple[str, float, float, int]]) -> bytes:
    """``content`` after ``edits``."""
    data = bytearray(content)
    for act, share, other, byte in edits:
        place, second = int(share * len(data)), int(other * len(data))
        if not data:
            break
        if act == "flip":
            data[place] ^= 1 << (byte % 8)
        elif act == "set":
            data[place] = byte
        elif act == "cut":
            del data[place:]
        elif act == "insert":
            data[place:place] = bytes([byte]) * (1 + byte % 8)
        elif act == "repeat":
            data[place:place] = data[second : second + byte]
        else:
            data[place], data[second] = data[second], data[place]
    return bytes(data)
