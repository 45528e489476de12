"""A person on a licensed model: shaped like the free head's, with what the model lacks, and known by its identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pipeline.errors import UserError
from pipeline.heads import load_head
from pipeline.heads.anny import AnnyHead
from pipeline.heads.borrowed_parts import CompleteHead, complete_head
from pipeline.heads.flame import FlameHead
from pipeline.heads.model_files import ModelFile, find_model, find_models
from pipeline.heads.releases import RELEASES
from pipeline.heads.resemblance import resemble
from pipeline.heads.rig import ModelIdentity
from pipeline.heads.smplx import SmplxHead

DECIMALS = 4
"""Of a shape coefficient: a micrometre on the face."""


def licensed_person(model: str, person: AnnyHead) -> CompleteHead:
    """``person`` on the preferred model of this machine of a kind (``flame``, ``smplx``) or of one release.

    Raises `UserError` with how to get a model when there is none.
    """
    file = find_model(model)
    neutral = neutral_head(file)
    place = neutral.correspondence
    coefficients = resemble(place.registered.numpy(), neutral.shape_dirs.numpy(), place, person.rig)
    return person_of_shape(file, coefficients.tolist())


def neutral_head(file: ModelFile) -> FlameHead | SmplxHead:
    """The mean person of a model, kept in memory."""
    assert file.model is not None
    return _neutral(file.model.content, file.release)


def person_of_shape(file: ModelFile, shape: Sequence[float]) -> CompleteHead:
    """The person of a model by shape coefficients, which are rounded first: what is stored makes the very same one."""
    return _complete(neutral_head(file).of_shape([round(float(value), DECIMALS) for value in shape]))


@lru_cache(maxsize=4)
def stored_person(identity: ModelIdentity) -> CompleteHead:
    """The same person again, for a stored avatar. Raises `UserError` unless the very same model file is there."""
    return _complete(_head(file_with(identity.content, identity.release), identity.shape))


def file_with(content: str, release: str) -> ModelFile:
    """The model file by its hash: one of the same name, or beside it in an archive, is another model."""
    for file in find_models():
        if file.model is not None and (file.model.content, file.release) == (content, release):
            return file
    title = RELEASES[release].title if release in RELEASES else release
    raise UserError(
        f"this avatar stands on {title}, whose file is not stored with it; put the model file that it was made with "
        "into a folder that ANIMPORTRAIT3D_MODELS names (python -m pipeline doctor says how to get it)"
    )


@lru_cache(maxsize=2)
def _neutral(content: str, release: str) -> FlameHead | SmplxHead:
    return _head(file_with(content, release), ())


def _head(file: ModelFile, shape: Sequence[float]) -> FlameHead | SmplxHead:
    head = load_head(file.kind, path=file, shape=shape)
    assert not isinstance(head, AnnyHead)
    return head


def _complete(head: FlameHead | SmplxHead) -> CompleteHead:
    complete = complete_head(head.rig, head.correspondence)
    identity = ModelIdentity(head.kind, head.release, head.content, tuple(head.shape.tolist()))
    return replace(complete, rig=replace(complete.rig, model=identity))
