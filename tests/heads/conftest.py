"""Synthetic model files, written once per test session."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.heads.assets import write_assets
from tests.heads.models import write_flame, write_smplx


@pytest.fixture(scope="session")
def flame_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Release → its file, named as downloaded, alone in its folder."""

    @cache
    def written(release: str) -> Path:
        return write_flame(tmp_path_factory.mktemp(release), release)

    return written


@pytest.fixture(scope="session")
def smplx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SMPLX_NEUTRAL_2020.npz."""
    return write_smplx(tmp_path_factory.mktemp("smplx2020"))


@pytest.fixture(scope="session")
def asset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """AnimPortrait3D's assets for that file."""
    return write_assets(tmp_path_factory.mktemp("animportrait3d") / "GSAvatar" / "smplx_model" / "assets")
