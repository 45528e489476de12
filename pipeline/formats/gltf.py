"""The glTF 2.0 binary container: a builder that appends buffer views, and a reader that trusts no number in it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.files import reading, whole_file

MAGIC, VERSION = 0x46546C67, 2
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
COMPONENT_OF = {np.dtype(code): component for component, code in COMPONENTS.items()}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
LARGEST_FILE = 1 << 30
"""Bytes above which a file is refused before it is read: the largest real avatars are a hundredth of it."""


class GlbBuilder:
    """Collects buffer views and accessors; the same calls give the same bytes."""

    def __init__(self, generator: str):
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": generator},
            "bufferViews": [],
            "accessors": [],
        }
        self._binary = bytearray()

    def view(self, data: NDArray | bytes, **fields: int) -> int:
        """Append bytes, aligned to four, as a buffer view and return its index."""
        self._binary += bytes(-len(self._binary) % 4)
        content = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        views = self.document["bufferViews"]
        views.append({"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content), **fields})
        self._binary += content
        return len(views) - 1

    def accessor(self, **fields: Any) -> int:
        """Append an accessor as it will stand in the file and return its index."""
        self.document["accessors"].append(fields)
        return len(self.document["accessors"]) - 1

    def array(self, values: NDArray, kind: str, *, target: int | None = None, **fields: Any) -> int:
        """One accessor with a buffer view of its own: ``values`` (n,) or (n, width); ``kind`` SCALAR, VEC3, …

        With ``target`` ARRAY_BUFFER the elements are padded to a multiple of four bytes, as glTF demands of vertices.
        """
        values = np.ascontiguousarray(values)
        view_fields = {} if target is None else {"target": target}
        content = values
        if target == ARRAY_BUFFER:
            size = values.dtype.itemsize * WIDTHS[kind]
            stride = size + -size % 4
            content = np.zeros((len(values), stride // values.dtype.itemsize), values.dtype)
            content[:, : WIDTHS[kind]] = values.reshape(len(values), -1)
            view_fields["byteStride"] = stride
        view = self.view(content, **view_fields)
        component = COMPONENT_OF[values.dtype.newbyteorder("<")]
        return self.accessor(bufferView=view, componentType=component, count=len(values), type=kind, **fields)

    def to_bytes(self) -> bytes:
        binary = bytes(self._binary) + bytes(-len(self._binary) % 4)
        document = {**self.document, "buffers": [{"byteLength": len(binary)}]}
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        header = struct.pack("<III", MAGIC, VERSION, 12 + 8 + len(text) + 8 + len(binary))
        return b"".join(
            [
                header,
                struct.pack("<II", len(text), JSON_CHUNK),
                text,
                struct.pack("<II", len(binary), BINARY_CHUNK),
                binary,
            ]
        )

    def write(self, path: str | Path) -> None:
        with whole_file(Path(path)) as partial:
            partial.write_bytes(self.to_bytes())


class DamagedFile(UserError):
    """The file breaks its own format; carries the reason, the caller adds the name."""


class GlbReader:
    """Reads accessors of a GLB; every offset and count is checked before memory is taken. Raises `DamagedFile`."""

    def __init__(self, data: bytes):
        if len(data) < 20:
            raise DamagedFile(f"it has {len(data)} bytes and no glTF header")
        magic, version, total, text_length, kind = struct.unpack_from("<IIIII", data)
        if magic != MAGIC or version != VERSION or kind != JSON_CHUNK:
            raise DamagedFile("it is no glTF 2.0 binary")
        if total != len(data):
            raise DamagedFile(f"it has {len(data)} bytes but its header says {total}")
        start = 20 + text_length
        if start + 8 > len(data):
            raise DamagedFile("its JSON part runs past the end")
        try:
            self.document = json.loads(data[20:start].decode())
        except (ValueError, RecursionError) as error:
            raise DamagedFile(f"its JSON part cannot be read ({error.__class__.__name__})") from error
        length, kind = struct.unpack_from("<II", data, start)
        if kind != BINARY_CHUNK or start + 8 + length > len(data):
            raise DamagedFile("its binary part runs past the end")
        if not isinstance(self.document, dict):
            raise DamagedFile("its JSON part is not an object")
        self._binary = memoryview(data)[start + 8 : start + 8 + length]

    def view(self, index: int) -> memoryview:
        """The bytes of a buffer view."""
        view = item(self.document, "bufferViews", index)
        start, length = whole(view.get("byteOffset", 0)), whole(view["byteLength"])
        if start + length > len(self._binary):
            raise DamagedFile(f"buffer view {index} runs past the end")
        return self._binary[start : start + length]

    def array(self, index: int) -> NDArray:
        """The raw values of an accessor, (count,) or (count, width), sparse entries put in."""
        accessor = item(self.document, "accessors", index)
        kind, count = accessor["type"], whole(accessor["count"])
        if kind not in WIDTHS or accessor["componentType"] not in COMPONENTS:
            raise DamagedFile(f"accessor {index} has a type that glTF does not know")
        dtype, width = np.dtype(COMPONENTS[accessor["componentType"]]), WIDTHS[kind]
        if "bufferView" in accessor:
            view = item(self.document, "bufferViews", accessor["bufferView"])
            values = self._strided(accessor, dtype, width, count, whole(view.get("byteStride", dtype.itemsize * width)))
        else:
            if count > 65536:
                raise DamagedFile(f"accessor {index} claims {count} elements without data")
            values = np.zeros((count, width), dtype)
        if "sparse" in accessor:
            values = self._with_sparse(values.copy(), accessor["sparse"], dtype, width)
        return values[:, 0] if width == 1 else values

    def floats(self, index: int) -> NDArray[np.float32]:
        """The values of an accessor, normalised integers as fractions."""
        values = self.array(index)
        accessor = self.document["accessors"][index]
        if not accessor.get("normalized", False):
            return values.astype(np.float32)
        if values.dtype.kind == "f":
            raise DamagedFile(f"accessor {index} has normalised floats")
        return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)

    def _strided(self, source: dict, dtype: np.dtype, width: int, count: int, stride: int) -> NDArray:
        content = self.view(source["bufferView"])
        start, size = whole(source.get("byteOffset", 0)), dtype.itemsize * width
        if stride < size or (count and start + stride * (count - 1) + size > len(content)):
            raise DamagedFile(f"an array runs past the end of buffer view {source['bufferView']}")
        if count == 0:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, content, start, (stride, dtype.itemsize))

    def _with_sparse(self, values: NDArray, sparse: dict, dtype: np.dtype, width: int) -> NDArray:
        count = whole(sparse["count"])
        kind = sparse["indices"]["componentType"]
        if kind not in (5121, 5123, 5125):
            raise DamagedFile("a sparse array has indices of a wrong type")
        index_type = np.dtype(COMPONENTS[kind])
        indices = self._strided(sparse["indices"], index_type, 1, count, index_type.itemsize)[:, 0]
        if count and int(indices.max()) >= len(values):
            raise DamagedFile("a sparse array points past its end")
        values[indices] = self._strided(sparse["values"], dtype, width, count, dtype.itemsize * width)
        return values


def read_bytes(path: str | Path) -> bytes:
    """The file's bytes; raises `UserError` when it is missing, locked or far too large."""
    path = Path(path)
    with reading(path):
        if not path.is_file():
            raise UserError(f"there is no file {path.name!r}")
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise UserError(f"{path.name} has {size >> 20} MB; at most {LARGEST_FILE >> 20} MB can be read")
        return path.read_bytes()


def whole(value: object) -> int:
    """A count or an offset of the file: an integer, not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DamagedFile(f"it has {value!r} where a count belongs")
    return value


def item(owner: dict, key: str, index: object) -> dict:
    """Entry ``index`` of one of the file's lists of objects."""
    entries, position = owner.get(key), whole(index)
    if not isinstance(entries, list) or position >= len(entries) or not isinstance(entries[position], dict):
        raise DamagedFile(f"it has no entry {position} in {key}")
    return entries[position]
