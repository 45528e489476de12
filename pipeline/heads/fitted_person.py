"""A person that AnimPortrait3D fitted to a portrait: SMPL-X with its mesh, as its splats hang on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pipeline.errors import UserError
from pipeline.heads.animportrait3d_assets import Assets, read_assets
from pipeline.heads.licensed import EYELID_NAMES
from pipeline.heads.licensed_person import file_with
from pipeline.heads.model_files import MODELS_VARIABLE, ModelFile, asset_folder, find_model
from pipeline.heads.rig import Fit, ModelIdentity, Rig
from pipeline.heads.smplx import SmplxHead

REVERSED = [0, 2, 1]
"""Corners of a triangle the other way round."""
NO_ASSETS = (
    "the asset folder of AnimPortrait3D is missing: get its GSAvatar/smplx_model/assets (its fetch_data.sh adds the "
    f"eyelids, masks and teeth) and put it into a folder that {MODELS_VARIABLE} names"
)


def fitted_person(shape: Sequence[float], fit: Fit) -> Rig:
    """The rig of a person by ``shape`` coefficients, from the model and the asset folder of this machine.

    Raises `UserError` when one of them is missing or cannot be used.
    """
    return _rig(find_model("smplx"), _assets(), tuple(shape), fit)


@lru_cache(maxsize=4)
def stored_fitted_person(identity: ModelIdentity) -> Rig:
    """The same rig again, for a stored avatar. Raises `UserError` unless the very same files are there."""
    assert identity.fit is not None
    assets = _assets()
    if assets.content != identity.assets:
        raise UserError(
            f"this avatar stands on another asset folder of AnimPortrait3D than the one that {MODELS_VARIABLE} names; "
            "put the one that it was opened with there"
        )
    return _rig(file_with(identity.content, identity.release), assets, identity.shape, identity.fit)


def prepare_fitted_persons() -> None:
    """Read the model and lay it over the free head, which the first person would otherwise wait for.

    Some ten seconds the first time on a machine, one or two after that. Raises `UserError` as `fitted_person` does.
    """
    _neutral_of(find_model("smplx"), _assets())


def missing_for_fitted_person() -> str:
    """One sentence on what is missing here, and how to get it; empty when both are there."""
    missing = []
    try:
        find_model("smplx")
    except UserError as error:
        missing.append(str(error))
    if asset_folder() is None:
        missing.append(NO_ASSETS)
    return "; and ".join(missing)


def _assets() -> Assets:
    folder = asset_folder()
    if folder is None:
        raise UserError(NO_ASSETS)
    return read_assets(folder)


def _rig(file: ModelFile, assets: Assets, shape: tuple[float, ...], fit: Fit) -> Rig:
    head = _neutral_of(file, assets).of_shape(shape)
    identity = ModelIdentity(head.kind, head.release, head.content, tuple(head.shape.tolist()), assets.content, fit)
    return replace(_resting_lids(_wound_as_theirs(head.rig), fit.eyelids), model=identity)


def _neutral_of(file: ModelFile, assets: Assets) -> SmplxHead:
    assert file.model is not None
    return _neutral(file.model.content, file.release, assets.content)


@lru_cache(maxsize=1)
def _neutral(content: str, release: str, assets: str) -> SmplxHead:
    """Some 150 MB that make every further person of a model five times as quick."""
    head = SmplxHead(file_with(content, release), assets=_assets())
    head.correspondence  # noqa: B018  # kept by this head and by all that are made of it
    return head


def _wound_as_theirs(rig: Rig) -> Rig:
    """Its triangles counter-clockwise from inside: a splat's frame depends on the order of the corners."""
    marks = rig.landmarks and replace(rig.landmarks, barycentrics=rig.landmarks.barycentrics[:, REVERSED])
    return replace(rig, faces=rig.faces[:, REVERSED].contiguous(), landmarks=marks)


def _resting_lids(rig: Rig, lids: tuple[float, ...]) -> Rig:
    """The fitted eyelids are part of the rest look, as in AnimPortrait3D's own videos; a blink closes what is left."""
    expressions, vertices = rig.expressions.clone(), rig.vertices
    for name, lid in zip(EYELID_NAMES, lids, strict=True):
        channel = rig.expression_index(name)
        vertices = vertices + lid * rig.expressions[channel]
        expressions[channel] = max(0.0, 1.0 - lid) * rig.expressions[channel]
    return replace(rig, vertices=vertices, expressions=expressions)
