"""The archives of the official sites, as they are downloaded, round the synthetic models."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

OTHER = b"\0" * 2_000_000
"""In place of the models that are not looked at."""
README = b"%PDF-1.4 licence"


def write_flame_archives(folder: Path, file_of: Callable[[str], Path]) -> None:
    """``FLAME2020.zip``, ``FLAME2023.zip`` and ``FLAME2023Open.zip``; ``file_of`` gives the model of a release."""
    _zipped(
        folder / "FLAME2020.zip",
        {"generic_model.pkl": file_of("flame2020"), "female_model.pkl": OTHER, "male_model.pkl": OTHER},
        "Readme.pdf",
        zipfile.ZIP_DEFLATED,
    )
    jaws = {"flame2023.pkl": file_of("flame2023"), "flame2023_no_jaw.pkl": file_of("flame2023_no_jaw")}
    _zipped(folder / "FLAME2023.zip", jaws, "Readme.pdf")
    _zipped(
        folder / "FLAME2023Open.zip",
        {"flame2023_Open.pkl": file_of("flame2023_open")},
        "FLAME2023_Open Readme.pdf",
    )


def write_smplx_archive(folder: Path, neutral: Path) -> None:
    """``models_smplx_v1_1.zip``: three genders, as npz and pkl, below ``models/smplx``."""
    members = {"SMPLX_NEUTRAL.npz": neutral, "SMPLX_NEUTRAL.pkl": OTHER, "SMPLX_FEMALE.npz": OTHER}
    _zipped(
        folder / "models_smplx_v1_1.zip", {f"models/smplx/{name}": file for name, file in members.items()}, "LICENSE"
    )


def _zipped(path: Path, members: dict[str, Path | bytes], readme: str, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                archive.writestr(name, content)
            else:
                archive.write(content, name)
        archive.writestr(readme, README)
