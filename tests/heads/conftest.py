"""Synthetic model files, written once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.heads.models import FLAME_FILES, write_flame, write_smplx


@pytest.fixture(scope="session")
def flame_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Release → a folder that holds its one file, named as downloaded."""
    folders = {release: tmp_path_factory.mktemp(release) for release in FLAME_FILES}
    for release, folder in folders.items():
        write_flame(folder, release)
    return folders


@pytest.fixture(scope="session")
def smplx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SMPLX_NEUTRAL_2020.npz."""
    folder = tmp_path_factory.mktemp("smplx2020")
    write_smplx(folder)
    return folder
