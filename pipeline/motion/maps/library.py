"""The head models that the maps may look at: the files in the user's folder, and the rig at hand."""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from pipeline.heads import AnnyHead, load_head
from pipeline.heads.correspondence import correspond
from pipeline.heads.model_files import MODELS_VARIABLE, ModelFile, find_models
from pipeline.heads.releases import RELEASES
from pipeline.heads.rig import Rig
from pipeline.motion.maps.face_model import FaceModel
from pipeline.motion.maps.releases import same_space

STAND_INS = {
    "flame2023": ("flame2023_open",),
    "flame2023_open": ("flame2023",),
    "flame2019": ("flame2020",),
}
"""Releases whose expressions are nearest to those of another, to understand a clip roughly when its own is not here."""

_registered: deque[FaceModel] = deque(maxlen=4)
"""Rigs without a file, the latest last."""


def model_of(basis: str) -> FaceModel | None:
    """The model whose coefficients are those of ``basis``, where its file is in the user's folder."""
    for release, file in _files().items():
        if same_space(basis, release):
            assert file.model is not None
            return _load(file.kind, release, file.model.content)
    return None


def model_for_clip(basis: str) -> tuple[FaceModel | None, str]:
    """The model to understand a clip by, and its release: the clip's own, or else the nearest that is here."""
    for release in (basis, *STAND_INS.get(basis, ()), *_files()):
        if (model := model_of(release)) is not None:
            return model, release
    return None, basis


def model_for_rig(rig: Rig) -> FaceModel:
    """The model that a rig of FLAME or SMPL-X was made from; the rig itself, registered with the free head in some
    seconds and remembered, where the file is not in the user's folder."""
    model = model_of(rig.basis)
    if model is not None:
        return model
    for model in tuple(_registered):
        if model.rig.expressions is rig.expressions:
            return model
    model = FaceModel(rig, correspond(rig.vertices, rig.faces, rig.weights, rig.joint_names))
    _registered.append(model)
    return model


def title_of(basis: str) -> str:
    """A release as people call it."""
    return RELEASES[basis].title if basis in RELEASES else "an unknown model"


def how_to_get(basis: str) -> str:
    """What a person does so that `model_for_clip` finds a model."""
    free = f"{title_of('flame2023_open')} ({RELEASES['flame2023_open'].licence}, open to everybody)"
    ways = [] if basis in ("flame2023_open", "unknown") else [title_of(basis)]
    way = " or, for roughly the same, ".join([*ways, f"{free} from {RELEASES['flame2023_open'].site}"])
    return f"get {way}, and put the file, as downloaded, into the folder that {MODELS_VARIABLE} names"


def _files() -> dict[str, ModelFile]:
    """Release → its preferred file, those that are preferred first."""
    files: dict[str, ModelFile] = {}
    for file in find_models():
        files.setdefault(file.release, file)
    return files


@lru_cache(maxsize=4)
def _load(kind: str, release: str, content: str) -> FaceModel:
    """``content`` is the file's hash: a file that was replaced is loaded again."""
    head = load_head(kind, release=release)
    assert not isinstance(head, AnnyHead)
    return FaceModel(head.rig, head.correspondence)
