"""Which licensed head models are there: found in the folders that the operator names, recognised by their content."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import UserError
from pipeline.heads.animportrait3d_assets import holds_assets
from pipeline.heads.model_arrays import EXPRESSIONS
from pipeline.heads.model_cache import Converted, converted
from pipeline.heads.model_sources import KINDS, Source, source_of, sources_in
from pipeline.heads.releases import RELEASES, recognise

MODELS_VARIABLE = "ANIMPORTRAIT3D_MODELS"
"""Folders with model files, several joined as in PATH."""


@dataclass(frozen=True)
class ModelFile:
    """A FLAME or SMPL-X file that somebody brought."""

    kind: str
    """``flame`` or ``smplx``."""
    release: str
    """``flame2023`` …, a key of `RELEASES`."""
    source: Path
    """The file, or the archive that holds it."""
    licence: str
    member: str | None = None
    """Its name inside the archive."""
    notes: tuple[str, ...] = ()
    """Sentences on what was assumed or is missing."""
    problem: str = ""
    """Why it cannot be used; empty when it can."""
    model: Converted | None = field(default=None, repr=False, compare=False)
    """The arrays; None with a problem."""

    @property
    def name(self) -> str:
        """``FLAME2020.zip/generic_model.pkl``."""
        return Source(self.source, self.member).name


def model_folders() -> list[Path]:
    """The folders named by `MODELS_VARIABLE` that exist."""
    named = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    return [Path(name).expanduser() for name in named if name.strip() and os.path.isdir(Path(name).expanduser())]


def find_models(folder: Path | None = None) -> list[ModelFile]:
    """The usable models below ``folder`` (by default the folders of `MODELS_VARIABLE`), the preferred ones first."""
    return [model for model in survey(folder) if not model.problem]


def survey(folder: Path | None = None) -> list[ModelFile]:
    """As `find_models`, with the models that cannot be used and why."""
    folders = model_folders() if folder is None else [Path(folder)]
    found = [model for place in folders for source in sources_in(place) if (model := _examined(source)) is not None]
    return sorted(found, key=lambda model: list(RELEASES).index(model.release))


def asset_folder() -> Path | None:
    """The first folder of `MODELS_VARIABLE` that holds AnimPortrait3D's assets at any depth; None without one."""
    return next((folder for folder in model_folders() if holds_assets(folder)), None)


def find_model(wanted: str, folder: Path | None = None) -> ModelFile:
    """The preferred usable model of a kind (``flame``) or a release (``flame2020``).

    Raises `UserError` that says why there is none and how to get one.
    """
    if wanted not in KINDS and wanted not in RELEASES:
        raise UserError(f"there is no head model {wanted!r}; there are anny, {', '.join((*KINDS, *RELEASES))}")
    found = [model for model in survey(folder) if wanted in (model.kind, model.release)]
    for model in found:
        if not model.problem:
            return model
    if found:
        raise UserError(f"{found[0].name} cannot be used: {found[0].problem}")
    raise UserError(_how_to_get(wanted) + (_no_folder() if folder is None else ""))


def model_at(path: Path, kind: str, release: str | None = None) -> ModelFile:
    """The usable model of ``kind`` in a file, an archive or a folder; ``release`` replaces what was recognised.

    Raises `UserError` when there is none there, or it is of another kind.
    """
    found = [model for source in source_of(path) if (model := _examined(source, release)) is not None]
    found = sorted(found, key=lambda model: list(RELEASES).index(model.release))
    fitting = [model for model in found if model.kind == kind]
    usable = [model for model in fitting if not model.problem]
    if usable:
        return usable[0]
    if fitting:
        raise UserError(f"{fitting[0].name} cannot be used: {fitting[0].problem}")
    if found:
        raise UserError(f"{path.name} is a {found[0].kind.upper()} model, not {kind.upper()}")
    raise UserError(f"{path.name} holds no {kind.upper()} model; {_how_to_get(kind)}")


def _examined(source: Source, release: str | None = None) -> ModelFile | None:
    """None where the file is no model at all."""
    try:
        model = converted(source)
    except UserError as error:
        kind, guess = _by_name(source)
        return ModelFile(kind, guess, source.path, RELEASES[guess].licence, source.member, problem=str(error))
    if model is None:
        return None
    found, note = recognise(model.kind, source.hints, model.facts)
    if release is not None:
        found, note = _chosen(release, model.kind), ""
    notes = tuple(filter(None, (note, _few_expressions(model))))
    about = RELEASES[found]
    return ModelFile(model.kind, found, source.path, about.licence, source.member, notes, about.needs, model)


def _by_name(source: Source) -> tuple[str, str]:
    """Kind and release of a file that could not be read."""
    kind = "smplx" if "smplx" in source.hints.lower() else "flame"
    return kind, recognise(kind, source.hints, {"jaw_weight": 1.0, "open": False})[0]


def _chosen(release: str, kind: str) -> str:
    fitting = [name for name, about in RELEASES.items() if about.kind == kind]
    if release not in fitting:
        raise UserError(f"there is no release {release!r} of {kind.upper()}; there are {', '.join(fitting)}")
    return release


def _few_expressions(model: Converted) -> str:
    count = int(model.facts["expressions"])
    if count >= EXPRESSIONS:
        return ""
    return f"has only {count} expressions instead of {EXPRESSIONS}; what a clip says beyond them is left out"


def _no_folder() -> str:
    """That the variable is set, but to nothing that could hold a model."""
    named = os.environ.get(MODELS_VARIABLE, "").strip()
    return f"; it now names {named}, which is no folder" if named and not model_folders() else ""


def _how_to_get(wanted: str) -> str:
    release = RELEASES[wanted if wanted in RELEASES else next(k for k, v in RELEASES.items() if v.kind == wanted)]
    return (
        f"the head {wanted!r} needs a model file of your own: {release.how_to_get}, "
        f"put it into a folder as it is, and name that folder in {MODELS_VARIABLE}"
    )
