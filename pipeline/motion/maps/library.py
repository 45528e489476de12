"""The head models that the maps may look at: the files in the user's folder, and the rig at hand."""

from __future__ import annotations

from collections import deque

from pipeline.heads.correspondence import correspond
from pipeline.heads.rig import Rig
from pipeline.motion.maps.face_model import FaceModel
from pipeline.motion.maps.releases import same_space

TITLES = {
    "flame2019": "FLAME 2019",
    "flame2020": "FLAME 2020",
    "flame2023": "FLAME 2023",
    "flame2023_open": "FLAME 2023 Open",
    "smplx2020": "SMPL-X 2020",
    "unknown": "an unknown model",
}
"""Releases as people call them."""
STAND_INS = {
    "flame2023": ("flame2023_open", "flame2020", "smplx2020"),
    "flame2023_open": ("flame2023", "flame2020", "smplx2020"),
    "flame2020": ("flame2023", "flame2023_open"),
    "smplx2020": ("flame2023", "flame2023_open"),
    "flame2019": ("flame2020", "smplx2020", "flame2023", "flame2023_open"),
    "unknown": ("flame2023", "flame2020", "smplx2020", "flame2023_open"),
}
"""Releases that understand a clip roughly when its own is not here, the nearest first."""

_registered: deque[FaceModel] = deque(maxlen=4)
"""Rigs without a file, the latest last."""


def model_of(basis: str) -> FaceModel | None:
    """The model whose coefficients are those of ``basis``, where its file is in the user's folder."""
    for release in TITLES:
        if same_space(basis, release) and (model := model_on_disk(release)) is not None:
            return model
    return None


def model_for_clip(basis: str) -> tuple[FaceModel | None, str]:
    """The model to understand a clip by, and its release: the clip's own, or else the nearest that is here."""
    for release in (basis, *STAND_INS[basis]):
        if (model := model_of(release)) is not None:
            return model, release
    return None, basis


def model_for_rig(rig: Rig) -> FaceModel:
    """The model that a rig of FLAME or SMPL-X was made from; the rig itself, registered with the free head in some
    seconds and remembered, where the file is not in the user's folder."""
    model = model_of(rig.basis)
    if model is not None:
        return model
    for model in _registered:
        if model.rig.expressions is rig.expressions:
            return model
    place = correspond(rig.vertices, rig.faces, rig.weights, rig.joint_names)
    _registered.append(FaceModel(rig, place))
    return _registered[-1]


def how_to_get(basis: str) -> str:
    """What a person does so that `model_for_clip` finds a model."""
    free = "FLAME 2023 Open (free for everybody, CC-BY-4.0) from flame.is.tue.mpg.de"
    ways = {
        "flame2023_open": free,
        "unknown": free,
        "smplx2020": "SMPL-X from smpl-x.is.tue.mpg.de, or FLAME 2020 from flame.is.tue.mpg.de",
    }
    way = ways.get(basis, f"{TITLES[basis]} or, for roughly the same, {free}")
    return f"get {way}, and put the file, as downloaded, into the folder that ANIMPORTRAIT3D_MODELS names"


def model_on_disk(release: str) -> FaceModel | None:
    """The model of that release in the user's folder."""
    return None
