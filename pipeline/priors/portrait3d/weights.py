"""Where Portrait3D's decoder and generator are on this machine, told by what files hold and never by their names."""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.heads.model_files import MODELS_VARIABLE, model_folders
from pipeline.heads.model_sources import files_below

DECODER, GENERATOR = "decoder_512.ckpt", "model_512.pkl"
"""Names of the published files."""
ADDRESSES = {
    DECODER: "https://drive.google.com/file/d/1r0Lqu1TMm-1Pjj8K963RVM_y72OglJdu",
    GENERATOR: "https://drive.google.com/file/d/1P6k4UwGGNmxa6-rQr2oyIOmAPiLAd_WE",
}
"""Where the authors of Portrait3D publish them."""
SUFFIXES = (".ckpt", ".pkl", ".pt")
MARKS = {
    DECODER: (b"decoder.net.0.weight", b"torgb.affine.weight"),
    GENERATOR: (b"_reconstruct_persistent_obj", b"G_ema"),
}
"""Names that stand uncompressed in every such file."""
LARGEST_DECODER = 64 << 20
"""Bytes; the published one has less than 1 MB."""


def find_painter(beside: Path | None = None) -> Path:
    """A file with the decoder: in the folder of a portrait, else in the folders that the operator names.

    A decoder alone is preferred to a generator, which holds one too. Raises `UserError` that says how to get it.
    """
    for files in (_in_folder(beside), _in_model_folders()):
        for kind in (DECODER, GENERATOR):
            if found := _first(files, kind):
                return found
    near = "" if beside is None else f"beside the portrait in {beside}, or "
    raise UserError(f"drawing a portrait takes Portrait3D's decoder, which is not here; {how_to_get(DECODER, near)}")


def find_generator() -> Path:
    """The file with the generator in the folders that the operator names. Raises `UserError`: how to get it."""
    if found := _first(_in_model_folders(), GENERATOR):
        return found
    raise UserError(f"a portrait from text takes Portrait3D's generator, which is not here; {how_to_get(GENERATOR)}")


def network_in(path: Path) -> str | None:
    """`DECODER` or `GENERATOR` where a file holds one, else None. Raises `UserError` where it cannot be read."""
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        return None
    return next((kind for kind in (DECODER, GENERATOR) if _is(path, kind)), None)


def how_to_get(name: str, near: str = "") -> str:
    """``get model_512.pkl from … and put it into a folder that … names``; ``near`` is another place to put it."""
    return f"get {name} from {ADDRESSES[name]} and put it {near}into a folder that {MODELS_VARIABLE} names"


def _first(files: list[Path], kind: str) -> Path | None:
    """The file of a kind; the one of the published name where there are several."""
    preferred = sorted(files, key=lambda path: path.name != kind)
    return next((path for path in preferred if _is(path, kind)), None)


def _in_folder(folder: Path | None) -> list[Path]:
    """Candidates that lie in ``folder`` itself."""
    if folder is None or not folder.is_dir():
        return []
    with reading(folder):
        return [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and path.is_file()]


def _in_model_folders() -> list[Path]:
    return [path for place in model_folders() for path in files_below(place) if path.suffix.lower() in SUFFIXES]


def _is(path: Path, kind: str) -> bool:
    """Whether the names that every such file holds are in this one, without reading it as anything."""
    with reading(path):
        state = path.stat()
    if state.st_size == 0 or (kind == DECODER and state.st_size > LARGEST_DECODER):
        return False
    return _holds(path, kind, state.st_size, state.st_mtime_ns)


@lru_cache(4096)
def _holds(path: Path, kind: str, size: int, changed: int) -> bool:
    """Looked up once for a file as it is: its ``size`` and the time at which it ``changed`` belong to the question."""
    with reading(path), open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(mark) >= 0 for mark in MARKS[kind])
