"""The archives of the official sites, as they are downloaded, round the synthetic models."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np

from tests.heads.models import write_flame, write_smplx

README = b"%PDF-1.4 licence"


def write_flame_archive(folder: Path, release: str) -> Path:
    """``FLAME2020.zip``, ``FLAME2023.zip`` or ``FLAME2023Open.zip``."""
    contents = {
        "flame2020": ("FLAME2020.zip", {"generic_model.pkl": "flame2020", "male_model.pkl": "flame2019"}, "Readme.pdf"),
        "flame2023": (
            "FLAME2023.zip",
            {"flame2023.pkl": "flame2023", "flame2023_no_jaw.pkl": "flame2023_no_jaw"},
            "Readme.pdf",
        ),
        "flame2023_open": (
            "FLAME2023Open.zip",
            {"flame2023_Open.pkl": "flame2023_open"},
            "FLAME2023_Open Readme.pdf",
        ),
    }
    name, members, readme = contents[release]
    with tempfile.TemporaryDirectory() as place:
        for member, source in members.items():
            write_flame(Path(place), source, member)
        return _zipped(folder / name, {member: Path(place) / member for member in members}, readme)


def write_smplx_archive(folder: Path, **changed: np.ndarray) -> Path:
    """``models_smplx_v1_1.zip``: three genders below ``models/smplx``; only the neutral ones are whole here."""
    with tempfile.TemporaryDirectory() as place:
        neutral = write_smplx(Path(place), "SMPLX_NEUTRAL.npz", **changed)
        other = Path(place) / "other"
        other.write_bytes(b"\0" * 2_000_000)
        members = {"SMPLX_NEUTRAL.npz": neutral, "SMPLX_NEUTRAL.pkl": other, "SMPLX_FEMALE.npz": other}
        return _zipped(
            folder / "models_smplx_v1_1.zip",
            {f"models/smplx/{name}": file for name, file in members.items()},
            "LICENSE",
        )


def _zipped(path: Path, members: dict[str, Path], readme: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, file in members.items():
            archive.write(file, name)
        archive.writestr(readme, README)
    return path
