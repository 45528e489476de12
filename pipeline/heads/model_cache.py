"""Models converted once to plain arrays, kept by content, and found again by size and time of change."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.files import reading, whole_file, whole_folder
from pipeline.heads.model_arrays import checked, read_numeric
from pipeline.heads.model_sources import Source, may_be_model, opened
from pipeline.safe_load import MODEL_LIMITS, convert, foreign_kind

CACHE_VARIABLE = "ANIMPORTRAIT3D_CACHE"
VERSION = 1
"""Of what is kept; files of another version are made again."""
ARRAYS = "arrays.npz"
ABOUT = "about.json"


@dataclass(frozen=True)
class Converted:
    """One model in the cache."""

    content: str
    """SHA-256 of the file, hex."""
    kind: str
    """``flame`` or ``smplx``."""
    facts: dict[str, float | bool]
    """See `model_arrays.facts`."""

    @property
    def folder(self) -> Path:
        return cache_folder() / f"{self.content[:32]}-{VERSION}"

    @property
    def arrays_file(self) -> Path:
        """Uncompressed npz of plain arrays in the exact names of the model."""
        return self.folder / ARRAYS


def cache_folder() -> Path:
    """``$ANIMPORTRAIT3D_CACHE``, else ``animportrait3d/models`` in the user's cache folder."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "animportrait3d" / "models"


def converted(source: Source) -> Converted | None:
    """The model in a file, converted unless it is already; None where the file is no model at all.

    Raises `UserError` when it is one that cannot be used: damaged, of other counts, holding code.
    """
    ticket = _ticket(source)
    if ticket.is_file():
        known = _known(ticket)
        if known is not None and (known.kind == "" or known.arrays_file.is_file()):
            return known if known.kind else None
    with opened(source) as path:
        if not may_be_model(path):
            _remember(ticket, Converted("", "", {}))
            return None
        model = _convert(path, source.name)
    _remember(ticket, model)
    return model


def _convert(path: Path, name: str) -> Converted:
    content = _hash(path)
    about = cache_folder() / f"{content[:32]}-{VERSION}" / ABOUT
    if about.is_file() and (known := _known(about)) is not None:
        return known
    with whole_folder(about.parent) as folder:
        kind, arrays, facts = checked(_plain_arrays(path, folder), name)
        model = Converted(content, kind, facts)
        _save(folder / ARRAYS, arrays)
        (folder / ABOUT).write_text(json.dumps(asdict(model)))
    return model


def _plain_arrays(path: Path, folder: Path) -> dict[str, NDArray[Any]]:
    """Everything numeric in the file; a pickle is read by the allow-list in a process of its own."""
    if foreign_kind(path) is None:
        return read_numeric(path)
    plain = folder / "plain.npz"
    convert(path, plain, MODEL_LIMITS)
    try:
        with np.load(plain, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    finally:
        plain.unlink()


def _save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _ticket(source: Source) -> Path:
    """Where it is kept which content a file had: another size or time of change is another ticket."""
    with reading(source.path):
        state = source.path.stat()
    identity = f"{source.path.resolve()}|{source.member}|{state.st_size}|{state.st_mtime_ns}|{VERSION}"
    return (
        cache_folder() / "seen" / f"{hashlib.sha256(identity.encode(errors='surrogateescape')).hexdigest()[:32]}.json"
    )


def _known(file: Path) -> Converted | None:
    """What a ticket or `ABOUT` says; None where it cannot be understood."""
    try:
        return Converted(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _remember(ticket: Path, model: Converted) -> None:
    with whole_file(ticket) as partial:
        partial.write_text(json.dumps(asdict(model)))


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
