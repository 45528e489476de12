"""Tables (csv, tsv, txt) from strangers."""

from __future__ import annotations

import codecs
import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import MotionError
from pipeline.motion.motion import MOST_FRAMES

MOST_BYTES = 50 * 2**20
MOST_COLUMNS = 128
LONGEST_LINE = 16384
MOST_LINES = 4 * MOST_FRAMES
"""Empty ones included."""
HEAD_LINES = 4
"""How far a file is read to learn what it is."""
SEPARATORS = ",;\t"
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
LONGEST_CELL = 32
"""Characters of a number."""
ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
NO_TEXT = "{} is neither a motion file nor a table of text (UTF-8 or UTF-16)"


@dataclass(frozen=True)
class TableFile:
    """A table whose first line names the columns."""

    path: Path
    columns: tuple[str, ...]
    head: tuple[tuple[str, ...], ...]
    """The first lines, the names among them."""
    encoding: str
    separator: str

    @property
    def name(self) -> str:
        return self.path.name

    def summary(self) -> str:
        """The columns, for an error message."""
        told = ", ".join(name[:32] for name in self.columns[:12])
        return f"{self.name} with columns {''.join(letter if letter.isprintable() else ' ' for letter in told)}"

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Every line that is not empty with its number from 1, the names among them. Raises `MotionError` for what is
        no text."""
        try:
            with open(self.path, newline="", encoding=self.encoding) as file:
                reader = csv.reader(file, delimiter=self.separator)
                for row in reader:
                    if any(row):
                        yield reader.line_num, row
                    if reader.line_num > MOST_LINES:
                        raise MotionError(f"{self.name} has more than {MOST_LINES} lines; a clip has one line a frame")
        except (UnicodeError, csv.Error) as error:
            raise MotionError(NO_TEXT.format(self.name)) from error

    def read(self, text: int | None = None) -> tuple[np.ndarray, list[str]]:
        """All columns (T, C) below the names as numbers, NaN where a cell is empty; ``text`` is a column that is given
        as it is written instead, and NaN among the numbers.

        Raises `MotionError` naming the line and the cell that is no number, or when there are too many lines.
        """
        values, texts, count, width = array("d"), [], 0, len(self.columns)
        for line, row in self.records():
            count += 1
            if count == 1:
                continue
            if any(row[width:]):
                raise MotionError(f"line {line} of {self.name} has {len(row)} values, but {width} columns are named")
            if count - 1 > MOST_FRAMES:
                raise MotionError(
                    f"{self.name} has more than {MOST_FRAMES} lines; a clip has 1 to {MOST_FRAMES} frames"
                )
            row = (row + [""] * width)[:width]
            if text is not None:
                texts.append(row[text])
                row[text] = ""
            values.extend(self.numbers(row, line))
        if count < 2:
            raise MotionError(f"{self.name} names columns but has no line below them; a clip has one line a frame")
        return np.array(values, np.float64).reshape(count - 1, width), texts

    def numbers(self, cells: Sequence[str], line: int) -> list[float]:
        """Cells as numbers, a comma standing for the point where a spreadsheet wrote it so."""
        try:
            return [float(cell) if cell else np.nan for cell in cells]
        except ValueError:
            return [self._number(cell.strip(), line) for cell in cells]

    def _number(self, cell: str, line: int) -> float:
        if not cell:
            return np.nan
        if len(cell) <= LONGEST_CELL and DECIMAL_COMMA.fullmatch(cell):
            cell = cell.replace(",", ".")
        try:
            return float(cell)
        except ValueError as error:
            raise MotionError(
                f"line {line} of {self.name} has {cell[:LONGEST_CELL]!r} where a number is needed"
            ) from error


def open_table(path: Path) -> TableFile:
    """Read the first lines of a table. Raises `MotionError` when it is too large, too wide or no text."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; tables of at most {MOST_BYTES // 2**20} MB are read")
    with open(path, "rb") as file:
        start = file.read(4)
    encoding = next((name for mark, name in ENCODINGS if start.startswith(mark)), "utf-8")
    try:
        with open(path, newline="", encoding=encoding) as text:
            lines = [text.readline(LONGEST_LINE) for _ in range(HEAD_LINES)]
        if any("\0" in line for line in lines):
            raise MotionError(NO_TEXT.format(path.name))
        names = next((line for line in lines if line.strip()), "")  # below them commas may be decimal points
        separator = max(SEPARATORS, key=names.count)
        head = tuple(tuple(cell.strip() for cell in row) for row in csv.reader(lines, delimiter=separator) if any(row))
    except (UnicodeError, csv.Error) as error:
        raise MotionError(NO_TEXT.format(path.name)) from error
    columns = head[0] if head else ()
    while columns and not columns[-1]:  # a line that ends with a separator
        columns = columns[:-1]
    widest = max(map(len, head), default=0)
    if widest < 2:
        raise MotionError(f"{path.name} is no motion file, and no table either: its text has no columns")
    if len(columns) > MOST_COLUMNS:
        raise MotionError(f"{path.name} has {len(columns)} columns; a table of motion has 2 to {MOST_COLUMNS}")
    return TableFile(path, columns, head, encoding, separator)
