"""Which files must not be opened in the app's process, told by their first bytes and never by their names."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pipeline.files import reading

TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
"""How `torch.save` before its zip archives begins: the number 0x1950a86a20f9469cfc6c, pickled."""
BINARY_PICKLE = re.compile(rb"\x80[\x02-\x05]")
OLD_PICKLE = re.compile(
    rb"\((?:[dl][pq\n(]|[pq\]}(IVSUXK])|[\]}][q(r.]|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n[pq()cN]|[VSI][^\n]*\np\d+\n\."
)
"""Protocols 0 and 1 have no magic number: the start of a dict, list, tuple or global, as Python writes them."""
NETWORK_IN = "network in a "
"""Begins the kind of a file of which only the weights of a network are wanted."""
MAT_HEADER = 128
MAT_VERSIONS = (b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM", b"\x02\x00MI")
"""Versions 5 and 7.3, little and big endian, in the last four bytes of the header."""


def foreign_kind(path: Path) -> str | None:
    """``"pickle"``, ``"torch"`` (a .pt file, either format), ``"mat"`` (MATLAB 5 to 7.3), or None for all other files.

    Raises `UserError` when the file cannot be read.
    """
    with reading(Path(path)), open(path, "rb") as file:
        start = file.read(MAT_HEADER)
        file.seek(-min(len(start), 1), os.SEEK_END)
        last = file.read(1)
    if start[124:] in MAT_VERSIONS:
        return "mat"
    if start.startswith(b"PK\x03\x04"):
        return "torch" if _first_member(start).endswith(b"/data.pkl") else None
    if BINARY_PICKLE.match(start):
        return "torch" if TORCH_MAGIC in start[:32] else "pickle"
    return "pickle" if last == b"." and OLD_PICKLE.match(start) else None


def _first_member(start: bytes) -> bytes:
    """Name of a zip archive's first file, where `torch.save` always puts its pickle."""
    return start[30 : 30 + int.from_bytes(start[26:28], "little")]
