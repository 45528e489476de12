"""What trackers of single images write: dictionaries of coefficients, one file for an image or one for many.

Files of one kind are put one after the other in natural order of their names (frame 2 before frame 10), and so are the
dictionaries of a pickled list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import prod

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.formats.array_tools import first_name, holds, read_numbers
from pipeline.motion.formats.arrays import ArrayFile
from pipeline.motion.formats.draft import Numbers
from pipeline.motion.formats.folder_file import natural
from pipeline.motion.formats.sources import Source
from pipeline.motion.motion import MOST_FRAMES

Spellings = tuple[str, ...]


def are_codes(sources: Sequence[Source], *needed: Spellings) -> bool:
    """Whether every file holds all of these arrays, in one dictionary or a list of them."""
    return bool(sources) and all(isinstance(file, ArrayFile) and _prefixes(file, needed) for file in sources)


def in_order(sources: Iterable[Source]) -> list[ArrayFile]:
    """The array files in natural order of their names; of equal names the order of upload."""
    files = [file for file in sources if isinstance(file, ArrayFile)]
    places = {name: place for place, name in enumerate(natural([file.name for file in files]))}
    return sorted(files, key=lambda file: places[file.name])


def stacked(files: Iterable[ArrayFile], *wanted: Spellings) -> list[Numbers | None]:
    """For each of ``wanted`` its rows from all files (T, columns), or None where the first file has none.

    An array has one row an image: (50), (1, 50) and (B, 50) all do. Raises `MotionError` naming the file
    where the arrays of one file, or the same array in two files, do not fit together.
    """
    rows: list[list[Numbers]] = [[] for _ in wanted]
    present: list[bool] | None = None
    count = 0
    for file, prefix in _dictionaries(files, wanted[:1]):
        found = [_rows(file, prefix, spellings) for spellings in wanted]
        lengths = {len(values) for values in found if values is not None}
        here = [values is not None for values in found]
        present = present or here
        if len(lengths) > 1:
            told = " and ".join(str(length) for length in sorted(lengths))
            raise MotionError(f"the arrays in {file.name} have {told} rows; each needs one for every frame")
        if here != present:
            name = wanted[[a != b for a, b in zip(here, present, strict=True)].index(True)][0]
            raise MotionError(f"{name} is in some of the files but not in all ({file.name}); all need the same arrays")
        count += max(lengths, default=0)
        if count > MOST_FRAMES:
            raise MotionError(f"the files hold more than {MOST_FRAMES} frames; a clip has 1 to {MOST_FRAMES}")
        for kept, values in zip(rows, found, strict=True):
            if values is not None:
                kept.append(values)
    return [_joined(kept, spellings[0]) if kept else None for kept, spellings in zip(rows, wanted, strict=True)]


def _prefixes(file: ArrayFile, needed: Sequence[Spellings]) -> list[str]:
    """Where in the file the dictionaries with all of ``needed`` are: ``""``, or ``"0/"``, ``"1/"``, … in order."""
    places = {name.rpartition("/")[0] for name in file.arrays}
    prefixes = [f"{place}/" if place else "" for place in natural(list(places))]
    return [prefix for prefix in prefixes if holds(file, *(_below(prefix, spellings) for spellings in needed))]


def _dictionaries(files: Iterable[ArrayFile], needed: Sequence[Spellings]) -> Iterator[tuple[ArrayFile, str]]:
    for file in files:
        prefixes = _prefixes(file, needed)
        if not prefixes:
            told = ", ".join(list(file.arrays)[:12])
            raise MotionError(f"{file.name} holds {told}; {' and '.join(spelling[0] for spelling in needed)} is needed")
        yield from ((file, prefix) for prefix in prefixes)


def _below(prefix: str, spellings: Spellings) -> Spellings:
    return tuple(prefix + spelling for spelling in spellings)


def _rows(file: ArrayFile, prefix: str, spellings: Spellings) -> Numbers | None:
    """(B, columns) of one dictionary."""
    name = first_name(file, _below(prefix, spellings))
    if name is None:
        return None
    values = read_numbers(file, name).astype(np.float64)
    columns = values.shape[-1]
    return values.reshape(prod(values.shape) // columns, columns)


def _joined(rows: list[Numbers], name: str) -> Numbers:
    widths = sorted({values.shape[1] for values in rows})
    if len(widths) > 1:
        raise MotionError(f"{name} has {widths[0]} numbers in one file and {widths[-1]} in another; all need as many")
    return np.concatenate(rows)
