"""Motion files that nobody should upload, made on the spot."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


class _RunsCode:
    """Unpickling it would leave a file behind."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.proof), "w")


def _pickle(folder: Path) -> Path:
    path = folder / "clip.pkl"
    path.write_bytes(pickle.dumps({"jaw": _RunsCode(folder / "executed")}))
    return path


def _pickle_named_npy(folder: Path) -> Path:
    path = folder / "clip.npy"
    np.save(path, np.array([_RunsCode(folder / "executed")], dtype=object), allow_pickle=True)
    return path


def _zip_bomb(folder: Path) -> Path:
    path = folder / "clip.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("jaw.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (10**8, 3)})
        for _ in range(300):
            member.write(bytes(2**20))
    return path


def _nan(folder: Path) -> Path:
    pose = np.zeros((9, 15), np.float32)
    pose[4, 2] = np.nan
    path = folder / "pose.npy"
    np.save(path, pose)
    return path


def _wrong_shape(folder: Path) -> Path:
    path = folder / "pose.npy"
    np.save(path, np.zeros((4, 5, 6), np.float32))
    return path


def _truncated(folder: Path) -> Path:
    path = folder / "pose.npy"
    np.save(path, np.zeros((900, 15), np.float32))
    path.write_bytes(path.read_bytes()[:2000])
    return path


def _empty(folder: Path) -> Path:
    path = folder / "pose.npy"
    path.write_bytes(b"")
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "pickle": _pickle,
    "pickle inside npy": _pickle_named_npy,
    "zip bomb": _zip_bomb,
    "NaN": _nan,
    "wrong shape": _wrong_shape,
    "truncated": _truncated,
    "empty": _empty,
}
"""Name → function that writes the file into a folder. A file ``executed`` there proves that code was run."""
