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
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from pipeline.safe_load.flatten import flatten
from pipeline.safe_load.guard import Guard, address_space, end_request, limit_process, limit_request
from pipeline.safe_load.kinds import NETWORK_IN
from pipeline.safe_load.mat_file import load_mat
from pipeline.safe_load.networks import load_network
from pipeline.safe_load.pickles import load_pickle, load_torch
from pipeline.safe_load.refusal import Refused, damaged, too_large

READ_ERRORS = (
    pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError,
    struct.error, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, AssertionError, OSError,
    BufferError, ImportError, StopIteration,
)  # fmt: skip
"""What `pickle`, `zipfile`, `zlib` and numpy raise on bytes that break their rules."""
ENCODINGS = ("cp437", "latin-1", "ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""Of names and texts; Python loads them from its own files when they are first used, which the guard would not let."""
SPENT_BYTES = 64 * 2**20
"""A process that has grown by this much is replaced: freed memory does not always come back."""


def serve(memory_bytes: int, seconds: float) -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _report
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    guard = Guard()
    sys.addaudithook(guard)
    limit_process(memory_bytes)
    idle = address_space()
    while (request := receive(sys.stdin.buffer)) is not None:
        send(sys.stdout.buffer, {"started": True})
        limit_request(seconds)
        error = _convert(request, guard, memory_bytes)
        end_request()
        send(sys.stdout.buffer, {"error": error, "spent": address_space() - idle > SPENT_BYTES})


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell what ends the process; C code also reports here that memory ran out, when the file is refused already."""
    if kind is not SystemError:
        sys.__excepthook__(kind, error, trace)


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


def _convert(request: dict[str, Any], guard: Guard, memory_bytes: int) -> str | None:
    """Convert one file; the sentence when it is refused."""
    source, target = Path(request["source"]), Path(request["target"])
    guard.watch(source, target)
    try:
        with open(source, "rb") as file:
            arrays = _arrays(file, request["kind"], memory_bytes)
        return _write(arrays, target)
    except Refused as refusal:
        return str(refusal)
    except MemoryError:
        pass  # the sentence is made below, when everything that filled the memory has been let go
    except READ_ERRORS:
        return str(damaged(source.name))
    finally:
        guard.rest()
    return str(too_large(source.name, memory_bytes))


def _arrays(file: IO[bytes], kind: str, memory_bytes: int) -> dict[str, np.ndarray]:
    if kind.startswith(NETWORK_IN):
        return load_network(file, kind.removeprefix(NETWORK_IN), memory_bytes)
    return flatten(_load(file, kind, memory_bytes), memory_bytes)


def _load(file: IO[bytes], kind: str, memory_bytes: int) -> Any:
    if kind == "mat":
        return load_mat(file, memory_bytes)
    return load_torch(file) if kind == "torch" else load_pickle(file)


def _write(arrays: dict[str, np.ndarray], target: Path) -> str | None:
    """An uncompressed .npz of plain little-endian arrays in C order; the sentence when there is no room for it."""
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                plain = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, plain, allow_pickle=False)
    except OSError as error:
        return f"{target.parent} has no room for the numbers ({error.strerror}); free some space and try again"
    return None
