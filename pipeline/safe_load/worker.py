"""The process that opens foreign files: requests come in on standard input, one answer each goes out.

Both are JSON after four bytes of length. It ends with its input, so that it never outlives the app.
"""

from __future__ import annotations

import codecs
import json
import pickle
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.safe_load.flatten import flatten
from pipeline.safe_load.guard import Guard, address_space, end_request, limit_process, limit_request
from pipeline.safe_load.pickles import load_pickle, load_torch
from pipeline.safe_load.refusal import Refused, damaged, too_large

Reader = Callable[[IO[bytes]], Any]
READ_ERRORS = (
    pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, LookupError, ArithmeticError, struct.error,
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, RuntimeError, AssertionError, OSError,
    BufferError, ImportError,
)  # fmt: skip
"""What `pickle`, `zipfile`, numpy and scipy raise on bytes that break their rules."""
ENCODINGS = ("cp437", "latin-1", "ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""Of names and texts; Python loads them from its own files when they are first used, which the guard would not let."""
SPENT_BYTES = 64 * 2**20
"""A process that has grown by this much is replaced: freed memory does not always come back."""


def serve(memory_bytes: int, seconds: float) -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    guard = Guard()
    sys.addaudithook(guard)
    limit_process(memory_bytes)
    idle = address_space()
    while (request := receive(sys.stdin.buffer)) is not None:
        read = _reader(request["kind"], memory_bytes)
        send(sys.stdout.buffer, {"started": True})
        limit_request(seconds)
        error = _convert(read, request, guard, memory_bytes)
        end_request()
        send(sys.stdout.buffer, {"error": error, "spent": address_space() - idle > SPENT_BYTES})


def send(stream: IO[bytes], message: dict[str, Any]) -> None:
    """Write one message."""
    body = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message; None at the end of the input."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return json.loads(stream.read(struct.unpack(">I", head)[0]))


def _reader(kind: str, memory_bytes: int) -> Reader:
    if kind == "mat":
        # scipy is imported by the first file that needs it, before the clock starts
        from pipeline.safe_load.mat_file import load_mat

        return partial(load_mat, most_bytes=memory_bytes)
    return {"pickle": load_pickle, "torch": load_torch}[kind]


def _convert(read: Reader, request: dict[str, Any], guard: Guard, memory_bytes: int) -> str | None:
    """Convert one file; the sentence when it is refused."""
    source, target, name = Path(request["source"]), Path(request["target"]), request["name"]
    guard.watch(source, target)
    try:
        with open(source, "rb") as file:
            _write(flatten(read(file), memory_bytes), target)
    except Refused as refusal:
        return str(refusal)
    except MemoryError:
        return str(too_large(name, memory_bytes))
    except READ_ERRORS:
        return str(damaged(name))
    finally:
        guard.rest()
    return None


def _write(arrays: dict[str, np.ndarray], target: Path) -> None:
    """An uncompressed .npz of plain little-endian arrays in C order."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, plain, allow_pickle=False)
