"""Tables (csv, tsv, txt) from strangers."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import MotionError

MOST_BYTES = 50 * 2**20
MOST_COLUMNS = 512
LONGEST_LINE = 16384


@dataclass(frozen=True)
class TableFile:
    """A table whose first line names the columns."""

    path: Path
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.name

    def rows(self) -> list[list[str]]:
        """The lines below the names, as text, each as long as the names. Raises `MotionError` naming a bad line."""
        with open(self.path, newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row][1:]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(self.columns):
                raise MotionError(f"line {number} of {self.name} has {len(row)} values; {len(self.columns)} are named")
        return rows

    def summary(self) -> str:
        """The columns, for an error message."""
        return f"{self.name} with columns {', '.join(self.columns[:12])}"


def open_table(path: Path) -> TableFile:
    """Read the names of a table's columns. Raises `MotionError` when it is too large or no text."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MotionError(f"{path.name} has {size / 2**20:.0f} MB; tables of at most {MOST_BYTES // 2**20} MB are read")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            columns = tuple(name.strip() for name in next(csv.reader([file.readline(LONGEST_LINE)]), []))
    except (UnicodeDecodeError, csv.Error) as error:
        raise MotionError(f"{path.name} is neither a motion file nor a table of text") from error
    if not 2 <= len(columns) <= MOST_COLUMNS:
        raise MotionError(f"{path.name} has {len(columns)} columns; a table of motion has 2 to {MOST_COLUMNS}")
    return TableFile(path, columns)
