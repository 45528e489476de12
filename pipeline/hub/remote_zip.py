"""A zip on the Hub, read in place: the table of contents and single members, by byte ranges."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from pipeline.errors import UserError
from pipeline.hub.errors import Damaged
from pipeline.hub.line import Span
from pipeline.hub.listing import is_safe

BLOCK = 1 << 16
"""Bytes of one request where nothing better is known: the end of a zip with its table of contents fits in one."""
BLOCKS_KEPT = 32
LARGEST_READ = 16 << 20
"""Bytes of one read outside a member: more is no table of contents that this project reads."""
MOST_MEMBERS = 10_000
LOCAL_HEADER = 30
LOCAL_EXTRA = 1024
"""Bytes allowed for what only the member's own header has: its extra field and name may differ from the table's."""
ENCRYPTED = 0x1
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods of which Python unpacks no more at once than it is asked for."""
COPY_BLOCK = 1 << 20

ReadRange = Callable[[int, int], bytes]
"""(start, size) → so many bytes of the file."""


class RemoteFile(io.RawIOBase):
    """A file of ``size`` bytes read by ranges: a few blocks are kept, and spans that are known are not asked for."""

    def __init__(self, size: int, read_range: ReadRange) -> None:
        super().__init__()
        self._size = size
        self._read_range = read_range
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._spans: list[tuple[int, int, IO[bytes]]] = []

    def ask(self, start: int, size: int) -> bytes:
        """So many bytes from there on, in one request."""
        return self._read_range(start, min(size, self._size - start))

    @contextmanager
    def held(self, start: int, content: IO[bytes]) -> Iterator[None]:
        """Take the bytes from ``start`` on from ``content`` instead of asking for them."""
        self._spans.append((start, start + content.seek(0, io.SEEK_END), content))
        try:
            yield
        finally:
            self._spans.pop()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the start")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._position)
        size = left if size < 0 else min(size, left)
        parts = []
        while size:
            part = self._part(self._position, size)
            parts.append(part)
            self._position += len(part)
            size -= len(part)
        return b"".join(parts)

    def _part(self, start: int, size: int) -> bytes:
        for first, end, content in self._spans:
            if first <= start < end:
                content.seek(start - first)
                return content.read(size)
        if size > LARGEST_READ:
            raise zipfile.BadZipFile(f"a table of contents of {size} bytes")
        return self._from_block(start, size)

    def _from_block(self, start: int, size: int) -> bytes:
        number = start // BLOCK
        if number not in self._blocks:
            self._blocks[number] = self.ask(number * BLOCK, BLOCK)
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        within = start - number * BLOCK
        return self._blocks[number][within : within + size]


class RemoteZip:
    """The members of a zip that comes from outside: names, counts, sizes and checksums are checked."""

    def __init__(self, file: RemoteFile | IO[bytes], name: str) -> None:
        self._remote = file if isinstance(file, RemoteFile) else None
        self._name = name
        try:
            self._zip = zipfile.ZipFile(file)  # type: ignore[arg-type]  # a raw file is enough for it
        except UserError:  # of the server: it is a ValueError too
            raise
        except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
            raise Damaged(f"{name} is no zip that can be read ({error})") from error
        self._members = {member.filename: member for member in self._zip.infolist() if not member.is_dir()}
        if len(self._zip.infolist()) > MOST_MEMBERS:
            raise Damaged(f"{name} has more than {MOST_MEMBERS} members and is not read")
        if unsafe := next((member for member in self._members if not is_safe(member)), None):
            raise Damaged(f"{name} has a member with the name {unsafe[:80]!r}, which no honest zip has; it is not read")

    def names(self) -> list[str]:
        """Every file in it, in its order."""
        return list(self._members)

    def size(self, member: str) -> int:
        """Bytes of a member, unpacked."""
        return self._info(member).file_size

    def check(self, member: str, limit: int) -> None:
        """Raise `Damaged` unless there is such a member, of at most ``limit`` bytes."""
        info = self._info(member)
        if info.file_size > limit or info.compress_size > limit:
            raise Damaged(f"{member} in {self._name} has {info.file_size:,} bytes, more than the {limit:,} allowed")
        if info.compress_type not in BOUNDED:
            raise Damaged(f"{member} in {self._name} is packed by method {info.compress_type}, which is not read here")
        if info.flag_bits & ENCRYPTED:
            raise Damaged(f"{member} in {self._name} is locked with a password")

    def span(self, member: str) -> Span | None:
        """Where the packed member lies on the server, a little more than it needs; None when the zip is on disk."""
        if self._remote is None:
            return None
        info = self._info(member)
        whole = self._remote.seek(0, io.SEEK_END)
        size = LOCAL_HEADER + len(info.filename.encode()) + LOCAL_EXTRA + info.compress_size
        return Span(info.header_offset, min(size, whole - info.header_offset), whole)

    def read(self, member: str, limit: int) -> bytes:
        """The content of a member of at most ``limit`` bytes, in one request. Raises `Damaged`."""
        self.check(member, min(limit, LARGEST_READ))
        unpacked = io.BytesIO()
        span = self.span(member)
        packed = io.BytesIO(self._remote.ask(span.start, span.size)) if self._remote and span else None
        self._unpack(self._info(member), unpacked, packed)
        return unpacked.getvalue()

    def unpack(self, member: str, target: Path, packed: Path | None = None) -> None:
        """Write a checked member to ``target``; ``packed`` holds its `span` where the zip is not on disk.

        Raises `Damaged` when it is damaged.
        """
        with open(target, "wb") as unpacked, nullcontext() if packed is None else open(packed, "rb") as content:
            self._unpack(self._info(member), unpacked, content)

    def _info(self, member: str) -> zipfile.ZipInfo:
        if member not in self._members:
            raise Damaged(f"{self._name} has no member {member!r}")
        info = self._members[member]
        if info.header_offset < 0:
            raise Damaged(f"{member} in {self._name} is damaged: it begins before the file; try again")
        return info

    def _unpack(self, info: zipfile.ZipInfo, target: IO[bytes], packed: IO[bytes] | None) -> None:
        """Reads no more than the size that was checked; the CRC is checked at the end."""
        near = self._remote.held(info.header_offset, packed) if self._remote and packed else nullcontext()
        try:
            with near, self._zip.open(info) as member:
                while block := member.read(COPY_BLOCK):
                    target.write(block)
        except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
            raise Damaged(f"{info.filename} in {self._name} is damaged ({error}); try again") from error
        if target.tell() != info.file_size:
            raise Damaged(f"{info.filename} in {self._name} is damaged: it ends too early")
