"""Portraits of Portrait3D's gallery: ``.pth`` files with the seven levels of a tri-grid and its latent code.

Nothing in such a file can run: `torch.load` reads it with ``weights_only``, after the archive's own sizes were checked.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.files import reading, whole_file
from pipeline.priors.portrait3d.trigrid import CHANNELS, LATENTS, PLANES, RESOLUTIONS, TriGrid

LATENT = 512
MODEL = "model"
"""Key of everything that is read here; what a trainer keeps beside it is ignored."""
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
MOST_BYTES = 4 << 30
"""A portrait has 151 MB, a trainer's checkpoint some more."""
MOST_PICKLE = 8 << 20
"""Bytes of the part that names the tensors; a portrait's has some thousand."""
MOST_MEMBERS = 20_000
READ_ERRORS = (
    RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError,
    MemoryError, NotImplementedError, struct.error, zipfile.BadZipFile,
)  # fmt: skip
"""What `torch.load` and `zipfile` raise on bytes that break their rules."""
LONGEST_SHOWN = 80
"""Letters of a name in the file that a sentence shows."""
CHUNK = 1 << 20
"""Numbers that are checked at once."""
ZIP_MAGIC = b"PK\x03\x04"
SUFFIX = ".pth"


def level_name(resolution: int) -> str:
    """``trigrids_512``"""
    return f"trigrids_{resolution}"


def read_portrait(path: Path) -> TriGrid:
    """The portrait in a file, float32 on the CPU.

    Levels may have four axes (3, 36, R, R) or five, and any float type. Raises `UserError`, one sentence, for what is
    no portrait: another kind of file, damaged, of other shapes, with numbers that are not finite, or holding Python
    objects. Nothing of it is executed, and no more memory is taken than a portrait has.
    """
    path = Path(path)
    stored = _load(path)
    model = stored.get(MODEL, stored) if isinstance(stored, Mapping) else None
    if not isinstance(model, Mapping) or not any(level_name(side) in model for side in RESOLUTIONS):
        raise UserError(f"{path.name} holds no portrait: there is no {level_name(RESOLUTIONS[0])} in its 'model'")
    levels = [_tensor(model, level_name(side), (1, PLANES, CHANNELS, side, side), path.name) for side in RESOLUTIONS]
    return TriGrid(tuple(levels), _tensor(model, "ws", (1, LATENTS, LATENT), path.name))


def write_portrait(path: Path, trigrid: TriGrid) -> None:
    """Save a portrait as the gallery's files are laid out, whole or not at all; equal portraits give equal files.

    Raises `UserError` when ``path`` cannot be written.
    """
    levels = {level_name(level.shape[-1]): level for level in trigrid.levels}
    model = {name: tensor.detach().cpu().float().contiguous() for name, tensor in {**levels, "ws": trigrid.ws}.items()}
    with whole_file(Path(path)) as partial, open(partial, "wb") as file:
        torch.save({MODEL: model}, file)  # an open file: otherwise its name would be in the archive


def is_portrait(path: Path) -> bool:
    """Whether a file is meant to be a portrait: an archive of `torch.save` that names a level, or a damaged ``.pth``.

    Raises `UserError` where it cannot be read.
    """
    if not path.is_file():
        return False
    try:
        with reading(path), zipfile.ZipFile(path) as archive:
            pickles = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > MOST_PICKLE:
                return False
            return level_name(RESOLUTIONS[0]).encode() in archive.read(pickles[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        return path.suffix.lower() == SUFFIX


def _load(path: Path) -> Any:
    """The dict of tensors that `torch.save` wrote, mapped from the file and not yet in memory.

    Raises `UserError`: see `read_portrait`.
    """
    with reading(path):
        _check_archive(path)
        try:
            return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise UserError(_holds_objects(path.name)) from error
        except READ_ERRORS as error:
            raise UserError(f"{path.name} is damaged or no file of torch.save; get it again") from error


def _check_archive(path: Path) -> None:
    """That sizes are what they seem: nothing compressed, nothing twice, all of it inside the file.

    Raises `UserError`.
    """
    if not path.is_file():
        told = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
        raise UserError(f"{told}; give the .pth of a portrait")
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(4)
    if start != ZIP_MAGIC:
        raise UserError(f"{path.name} {_what_else(start, size)}; a portrait is a file that torch.save wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except READ_ERRORS as error:
        raise UserError(f"{path.name} is damaged or cut short; get it again") from error
    _check_members(members, size, path.name)


def _check_members(members: list[zipfile.ZipInfo], size: int, name: str) -> None:
    names = [member.filename for member in members]
    portraits = [entry for entry in names if entry.lower().endswith(".pth")]
    if portraits:
        one = _shown(portraits[0])
        raise UserError(f"{name} is an archive of {len(portraits)} portraits; unpack one, such as {one}, and give that")
    pickles = [member for member in members if member.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UserError(f"{name} is a zip, but torch.save did not write it; give a portrait")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or len(set(names)) < len(names):
        raise UserError(
            f"{name} is packed as torch never packs, so it was not opened; give a portrait as it was published"
        )
    if sum(member.file_size for member in members) > size or len(members) > MOST_MEMBERS:
        raise UserError(f"{name} is damaged: its parts are larger than the whole; get it again")
    if size > MOST_BYTES or pickles[0].file_size > MOST_PICKLE:
        raise UserError(f"{name} has {size / 1e6:.0f} MB and is no portrait, which has 151 MB")


def _shown(name: str) -> str:
    """A name that a stranger chose, as part of a sentence."""
    return "".join(letter for letter in name[:LONGEST_SHOWN] if letter.isprintable())


def _what_else(start: bytes, size: int) -> str:
    if size == 0:
        return "is empty"
    if start[:1] == b"\x80":
        return "is a pickle, which can run code, or of a version of torch from before 2020, so it was not opened"
    return "is damaged or something else"


def _holds_objects(name: str) -> str:
    return f"{name} stores Python objects, which can run code, so it was not opened; a portrait holds numbers only"


def _tensor(model: Mapping[str, Any], name: str, shape: tuple[int, ...], file: str) -> Tensor:
    """One entry of the file as float32 of its own memory, with a first axis of 1 where that was left out."""
    stored = model.get(name)
    if not isinstance(stored, Tensor):
        raise UserError(f"{file} holds no tensor {name}; a portrait has seven levels, 8 to 512, and ws")
    if tuple(stored.shape) not in (shape, shape[1:]):
        given, right = ("×".join(map(str, sizes)) for sizes in (stored.shape, shape))
        raise UserError(f"{name} in {file} is {given or 'one number'}; in a portrait it is {right}")
    if stored.layout != torch.strided or stored.device.type != "cpu" or stored.dtype not in FLOATS:
        raise UserError(f"{name} in {file} is no plain tensor of floats ({stored.dtype}, {stored.layout})")
    values = torch.empty(shape)
    values.copy_(stored.detach().view(shape) if stored.is_contiguous() else stored.detach().reshape(shape))
    if not all(torch.isfinite(some).all() for some in values.view(-1).split(CHUNK)):  # it makes copies of what it sees
        raise UserError(f"{name} in {file} holds numbers that are not finite; the portrait is damaged")
    return values
