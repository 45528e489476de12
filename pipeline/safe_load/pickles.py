"""Pickles and both formats of `torch.save`, read by the allow-list alone."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import IO, Any

from pipeline.safe_load.allow_list import allowed
from pipeline.safe_load.refusal import Refused, runs_code
from pipeline.safe_load.stand_ins import Function, Malformed
from pipeline.safe_load.tensors import Storage, StorageType

TORCH_NUMBER = 0x1950A86A20F9469CFC6C
TORCH_PROTOCOL = 1001
MOST_STORAGES = 100_000
FindStorage = Callable[[Any], Storage]


class AllowListUnpickler(pickle.Unpickler):
    """Knows no class and no function but our stand-ins; text of Python 2 is read as latin 1.

    ``find_storage`` answers the references of a torch file; ``nested`` says that these bytes were found inside a
    pickle, where no further ones belong.
    """

    def __init__(self, file: IO[bytes], find_storage: FindStorage | None = None, nested: bool = False) -> None:
        super().__init__(file, encoding="latin1")
        self._find_storage, self._nested = find_storage, nested

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch.storage", "_load_from_bytes") and not self._nested:
            return Function(_storage_from_bytes)
        stand_in = allowed(module, name)
        if stand_in is None:
            raise runs_code(f"{module}.{name}")
        return stand_in

    def persistent_load(self, reference: Any) -> Any:
        if self._find_storage is None:
            raise Malformed("a reference outside a torch file")
        return self._find_storage(reference)


def load_pickle(file: IO[bytes], unpickler: type[AllowListUnpickler] = AllowListUnpickler) -> Any:
    """The object of a pickle, made of plain values and stand-ins. Raises `Refused`, or whatever bad bytes cause."""
    return unpickler(file).load()


def load_torch(file: IO[bytes], unpickler: type[AllowListUnpickler] = AllowListUnpickler) -> Any:
    """The object of a file of `torch.save`, in either format."""
    archive = zipfile.is_zipfile(file)
    file.seek(0)
    return _load_archive(file, unpickler) if archive else _load_stream(file, unpickler)


def _storage_from_bytes(content: Any) -> Any:
    """`torch.storage._load_from_bytes`, which in torch unpickles without any limit: here the same allow-list holds."""
    if type(content) is not bytes:
        raise Malformed("no bytes")
    return _load_stream(io.BytesIO(content), AllowListUnpickler)


def _load_archive(file: IO[bytes], unpickler: type[AllowListUnpickler]) -> Any:
    """A zip archive: one pickle, and one stored member per storage."""
    with zipfile.ZipFile(file) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise Malformed("torch never compresses")
        (main,) = (name for name in sizes if name.endswith("/data.pkl") and name.count("/") == 1)
        folder = main.removesuffix("data.pkl")
        if f"{folder}byteorder" in sizes and archive.read(f"{folder}byteorder") != b"little":
            raise Refused("This .pt file was saved on a big-endian machine; save the numbers with np.savez instead")
        storages: dict[str, Storage] = {}

        def find_storage(reference: Any) -> Storage:
            kind, key, count = _described(reference)
            if key not in storages:
                content = archive.read(f"{folder}data/{key}")
                storages[key] = Storage(kind, content)
            return _same(storages[key], kind, count)

        with archive.open(main) as member:
            return unpickler(member, find_storage, nested=True).load()


def _load_stream(file: IO[bytes], unpickler: type[AllowListUnpickler]) -> Any:
    """The older format: pickles of a number, a protocol, the system, the object and the storage keys, then bytes."""
    number, protocol, _ = (AllowListUnpickler(file, nested=True).load() for _ in range(3))
    if number != TORCH_NUMBER or protocol != TORCH_PROTOCOL:
        raise Malformed("not what torch writes")
    storages: dict[str, Storage] = {}

    def find_storage(reference: Any) -> Storage:
        kind, key, _ = _described(reference)
        if len(storages) > MOST_STORAGES:
            raise Malformed("too many storages")
        return _same(storages.setdefault(key, Storage(kind)), kind, 0)

    whole = unpickler(file, find_storage, nested=True).load()
    keys = AllowListUnpickler(file, nested=True).load()
    if type(keys) is not list:
        raise Malformed("no storage keys")
    for key in keys:
        _fill(storages[key], file)
    return whole


def _fill(storage: Storage, file: IO[bytes]) -> None:
    (count,) = struct.unpack("<q", file.read(8))
    if count < 0:
        raise Malformed("a storage of negative size")
    wanted = count * storage.kind.dtype.itemsize
    content = file.read(wanted)
    if len(content) < wanted:
        raise Malformed("a storage that is cut short")
    storage.content = content


def _described(reference: Any) -> tuple[StorageType, str, int]:
    """Type, key and element count of ``("storage", type, key, place, count[, view])``."""
    if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
        raise Malformed("no storage")
    _, kind, key, _, count = reference[:5]
    if len(reference) == 6 and reference[5] is not None:
        raise Malformed("a view of a storage, which torch no longer writes")
    if type(kind) is not StorageType or type(key) is not str or type(count) is not int:
        raise Malformed("no storage")
    return kind, key, count


def _same(storage: Storage, kind: StorageType, count: int) -> Storage:
    if storage.kind is not kind or (storage.content is not None and len(storage.flat()) < count):
        raise Malformed("a storage that changes")
    return storage
