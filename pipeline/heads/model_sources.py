"""Where model files may lie: loose in a folder or inside the archives of the official sites, with nothing renamed."""

from __future__ import annotations

import mmap
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import UserError
from pipeline.files import reading
from pipeline.safe_load import MODEL_LIMITS

SUFFIXES = (".pkl", ".npz")
DEEPEST = 4
"""Folders below the one that is given."""
MOST_FILES = 2000
SMALLEST = 1_000_000
"""Bytes; FLAME with ten directions of each kind is larger."""
MARK = b"v_template"
"""Every FLAME and SMPL-X file, pickle or npz, holds this name uncompressed."""
KINDS = ("flame", "smplx")
GENDERED = ("female", "male")
COPY_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file that may be a model."""

    path: Path
    """A loose file, or the archive that holds it."""
    member: str | None = None
    """Its name inside the archive."""

    @property
    def name(self) -> str:
        """``FLAME2020.zip/generic_model.pkl`` for a person to read."""
        return self.path.name if self.member is None else f"{self.path.name}/{self.member}"

    @property
    def file_name(self) -> str:
        return self.path.name if self.member is None else PurePosixPath(self.member).name

    @property
    def hints(self) -> str:
        """All names that may tell the release."""
        return f"{self.path.parent.name}/{self.name}"


def sources_in(folder: Path) -> list[Source]:
    """Every file below ``folder`` that may be a model, by its suffix and size; neutral where both are there."""
    found: list[Source] = []
    for path in files_below(folder):
        if path.suffix.lower() == ".zip":
            found += _members(path)
        elif path.suffix.lower() in SUFFIXES and path.stat().st_size >= SMALLEST:
            found.append(Source(path))
    return _one_of_each(found)


def source_of(path: Path) -> list[Source]:
    """The sources that a path given by a person means: a folder, an archive or a file."""
    if path.is_dir():
        return sources_in(path)
    if not path.is_file():
        raise UserError(
            f"there is no head model {path}; give a FLAME or SMPL-X file, its archive, or a folder with them"
        )
    return _one_of_each(_members(path)) if path.suffix.lower() == ".zip" else [Source(path)]


@contextmanager
def opened(source: Source) -> Iterator[Path]:
    """The source as a file of its own; a member of an archive is unpacked to a temporary name, never to its own.

    Raises `UserError` when the archive is damaged or the member larger than a model.
    """
    if source.member is None:
        if source.path.suffix.lower() == ".zip":
            raise UserError(f"{source.name} is damaged or cut short; download it again")
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        target = Path(folder) / f"member{PurePosixPath(source.member).suffix.lower()}"
        _unpack(source, target)
        yield target


def may_be_model(path: Path) -> bool:
    """Whether a name that every model has is in the file, without reading it as anything."""
    with reading(path), open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < SMALLEST:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(MARK) >= 0


def _unpack(source: Source, target: Path) -> None:
    try:
        with (
            zipfile.ZipFile(source.path) as archive,
            archive.open(source.member or "") as member,
            open(target, "wb") as file,
        ):
            while block := member.read(COPY_BLOCK):
                if file.tell() > MODEL_LIMITS.memory_bytes:
                    raise UserError(f"{source.name} unpacks to more than a model can hold")
                file.write(block)
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{source.name} is damaged or cut short ({error}); download it again") from error


def files_below(folder: Path) -> list[Path]:
    """All files at most `DEEPEST` folders down, without hidden folders. Raises `UserError` where there are too many."""
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        depth = len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < DEEPEST else []
        files += [Path(place) / name for name in sorted(names) if Path(place, name).is_file()]
        if len(files) > MOST_FILES:
            raise UserError(f"{folder} holds more than {MOST_FILES} files; give the folder that holds the models only")
    return files


def _members(path: Path) -> list[Source]:
    """Members that may be models; a damaged archive counts as one when its name says that it has some."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                Source(path, info.filename)
                for info in archive.infolist()[:MOST_FILES]
                if PurePosixPath(info.filename).suffix.lower() in SUFFIXES
                and SMALLEST <= info.file_size <= MODEL_LIMITS.memory_bytes
                and not info.flag_bits & 1  # encrypted
            ]
    except (zipfile.BadZipFile, OSError):
        return [Source(path)] if any(word in path.name.lower() for word in KINDS) else []


def _one_of_each(sources: list[Source]) -> list[Source]:
    """Without the gendered models beside a neutral one, and without the pickle of an npz of the same name."""
    places = {_place(source) for source in sources if not _gendered(source)}
    named = {(_place(source), Path(source.file_name).stem) for source in sources if source.file_name.endswith(".npz")}
    return [
        source
        for source in sources
        if not (_gendered(source) and _place(source) in places)
        and not (source.file_name.endswith(".pkl") and (_place(source), Path(source.file_name).stem) in named)
    ]


def _place(source: Source) -> tuple[Path, PurePosixPath | None]:
    if source.member is None:
        return source.path.parent, None
    return source.path, PurePosixPath(source.member).parent


def _gendered(source: Source) -> bool:
    return any(word in source.file_name.lower() for word in GENDERED)
