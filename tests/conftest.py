"""Every test is offline, seeded and single-threaded."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # test processes share the cores, and idle threads spin
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from hypothesis import settings

from tests.app_process import running_app
from tests.hub.fixture import hub_in_process

settings.register_profile("offline", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("offline")
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _no_models_but_ours(tmp_path_factory):
    """Head models of the person who runs the tests are neither used nor converted; both names are read when used."""
    os.environ.pop("ANIMPORTRAIT3D_MODELS", None)
    os.environ["ANIMPORTRAIT3D_CACHE"] = str(tmp_path_factory.mktemp("models-cache"))


@pytest.fixture(autouse=True, scope="session")
def _no_library_but_ours(tmp_path_factory):
    """Nothing is kept among the avatars of the person who runs the tests, and no limit of theirs holds."""
    for limit in ("KEEP_HOURS", "MOST_AVATARS", "MOST_GB"):
        os.environ.pop(f"ANIMPORTRAIT3D_{limit}", None)
    os.environ["ANIMPORTRAIT3D_LIBRARY"] = str(tmp_path_factory.mktemp("library"))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A folder with a synthetic FLAME and a synthetic SMPL-X, as a person who has both would have it."""
    from tests.heads.models import write_flame, write_smplx

    folder = tmp_path_factory.mktemp("models")
    write_flame(folder, "flame2023")
    write_smplx(folder)
    return folder


@pytest.fixture
def models(model_folder, monkeypatch):
    """`model_folder` as the operator names it."""
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", str(model_folder))
    return model_folder


@pytest.fixture(scope="session")
def animportrait3d_assets(tmp_path_factory):
    """AnimPortrait3D's asset folder for the synthetic SMPL-X, inside a copy of its repository."""
    from tests.heads.assets import write_assets

    folder = tmp_path_factory.mktemp("assets") / "AnimPortrait3D"
    write_assets(folder / "GSAvatar" / "smplx_model" / "assets")
    return folder


@pytest.fixture
def models_and_assets(models, animportrait3d_assets, monkeypatch):
    """All that avatars of AnimPortrait3D need, in two folders that the operator names."""
    monkeypatch.setenv("ANIMPORTRAIT3D_MODELS", f"{models}{os.pathsep}{animportrait3d_assets}")


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """One running app for all tests that only visit it."""
    with running_app(tmp_path_factory.mktemp("app")) as process:
        yield process


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A running loopback Hub, empty, that `huggingface_hub` in this process talks to, with a cache of its own."""
    with hub_in_process(tmp_path, monkeypatch) as running:
        yield running
