"""The app's side of the worker process: one that stays for uploads, one of its own for each model file."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.safe_load.kinds import NETWORK_IN, foreign_kind
from pipeline.safe_load.refusal import FORBIDDEN, GET_AGAIN, HOW_TO_SAVE, runs_code, too_slow

START_SECONDS = 60
STARTS = 2
LONGEST_ANSWER = 2**16
ISOLATED = ("-I", "-B", "-X", "utf8", "-W", "ignore")
KEPT_VARIABLES = ("LD_LIBRARY_PATH", "TZ")
BOOT = """
import sys
memory_bytes, seconds, *places = sys.argv[1:]
sys.path += places
from pipeline.safe_load.worker import serve
serve(int(memory_bytes), float(seconds))
"""
"""Python's isolated mode (``-I``) looks neither at the environment nor in the working folder; it is told the places."""


@dataclass(frozen=True)
class Limits:
    """What reading one file may cost."""

    memory_bytes: int
    """Beyond what the idle worker has mapped; also the most that the arrays may hold together."""
    seconds: float
    """Wall-clock time."""


UPLOAD_LIMITS = Limits(512 * 2**20, 2.0)
"""A stranger's file, read by the worker that stays."""
MODEL_LIMITS = Limits(4 * 2**30, 120.0)
"""A head model of the operator's, read by a process of its own."""


def convert(path: Path, target_npz: Path, limits: Limits = UPLOAD_LIMITS) -> None:
    """Write the numbers and texts of a pickle, .pt or .mat file to ``target_npz``, whole or not at all.

    The result is an uncompressed .npz of plain arrays, named by their path inside the object (``exp``, ``0/pose``,
    ``model/expression``; a bare array is ``array``), at most 4096 of them with names of at most 60 characters. Numbers
    and texts become 0-d arrays, lists of equally long number lists one array, sparse matrices dense ones, bfloat16
    float32. None, bytes and arrays of more than 4 axes are left out.

    Raises `UserError`, one sentence, for a file that asks for any Python object off the allow-list, that is damaged,
    too large or too slow, or that holds no numbers. Nothing is unpickled in this process. Threads may call it at once.
    """
    kind = foreign_kind(path)
    if kind is None:
        raise UserError(f"{path.name} is no pickle, .pt or MATLAB 5 file; save the numbers with np.savez")
    with whole_file(target_npz, durable=False) as partial:
        if limits == UPLOAD_LIMITS:
            _uploads.convert(path, partial, kind)
            return
        _convert_alone(path, partial, kind, limits)


def convert_network(path: Path, target_npz: Path, limits: Limits = MODEL_LIMITS) -> None:
    """Write the weights of a pickled network to ``target_npz``, whole or not at all, under their state dict's names.

    Of a training's snapshot (a pickle with ``G_ema``, as NVIDIA's networks are published) those of ``G_ema``, of a
    checkpoint (``state_dict`` in a file of `torch.save`) those of that. Program text in the file is neither read nor
    run, and classes need not be installed. Raises `UserError` as `convert` does.
    """
    kind = foreign_kind(path)
    if kind not in ("pickle", "torch"):
        raise UserError(f"{path.name} is no pickle and no file of torch.save; give a network as it was published")
    try:
        with whole_file(target_npz, durable=False) as partial:
            _convert_alone(path, partial, NETWORK_IN + kind, limits)
    except UserError as error:
        raise UserError(str(error).replace(HOW_TO_SAVE, GET_AGAIN)) from error


def _convert_alone(path: Path, target: Path, kind: str, limits: Limits) -> None:
    """By a process that does nothing else and ends."""
    worker = Worker(limits)
    try:
        worker.convert(path, target, kind)
    finally:
        worker.close()


class Worker:
    """A process that reads files within ``limits``, one after the other; it is started when first needed and again
    after it has died."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, when there is one."""
        return None if self._process is None else self._process.pid

    def convert(self, path: Path, target: Path, kind: str) -> None:
        """Have ``path`` (of a `foreign_kind`) written to ``target`` and wait for the end.

        Raises `UserError` when the file is refused, or breaks the process.
        """
        request = {"source": os.path.abspath(path), "target": os.path.abspath(target), "kind": kind}
        with self._lock:
            answer = self._ask(request)
            if answer["spent"]:
                self._stop()
        if answer["error"] is not None:
            raise UserError(str(answer["error"]))

    def close(self) -> None:
        """End the process; the next request starts another."""
        with self._lock:
            self._stop()

    def forget(self) -> None:
        """In a forked copy of the app: the process belongs to the original."""
        self._lock, self._process = threading.Lock(), None

    def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        name, answer = Path(request["source"]).name, None
        try:
            process = self._begun(request)
            answer = _receive(process, self._limits.seconds)
            return answer
        except TimeoutError as error:
            raise UserError(str(too_slow(name, self._limits.seconds))) from error
        except EOFError as error:
            raise UserError(self._death(process, name)) from error
        finally:
            if answer is None:
                self._stop()

    def _begun(self, request: dict[str, str]) -> subprocess.Popen[bytes]:
        """Hand the request over until the worker says that its clock runs; one that died idle is replaced."""
        for _ in range(STARTS):
            process = self._running()
            with suppress(TimeoutError, EOFError, BrokenPipeError):
                _send(process, request)
                _receive(process, START_SECONDS)
                return process
            self._stop()
        raise RuntimeError("the process that reads pickles, .pt and .mat files does not start; it tells why on stderr")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = _start(self._limits)
        return self._process

    def _death(self, process: subprocess.Popen[bytes], name: str) -> str:
        """What the end of the process in the middle of a request says about the file."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        status = process.poll()
        if status == FORBIDDEN:
            return str(runs_code(""))
        if status in (-signal.SIGXCPU, -signal.SIGALRM):
            return str(too_slow(name, self._limits.seconds))
        return (
            f"{name} broke the process that reads it, so it was not opened; it is damaged or too large. {HOW_TO_SAVE}"
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _start(limits: Limits) -> subprocess.Popen[bytes]:
    """A Python without the environment of this one, in the root folder, with one thread in numpy."""
    places = dict.fromkeys(str(_home(name)) for name in ("pipeline", "numpy"))
    return subprocess.Popen(
        [sys.executable, *ISOLATED, "-c", BOOT, str(limits.memory_bytes), str(limits.seconds), *places],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd="/",
        env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"},
    )


def _home(package: str) -> Path:
    """The folder that a package is imported from."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.origin).resolve().parents[1]


def _send(process: subprocess.Popen[bytes], message: dict[str, str]) -> None:
    body = json.dumps(message).encode()
    assert process.stdin is not None
    process.stdin.write(struct.pack(">I", len(body)) + body)


def _receive(process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    """The next message. Raises `TimeoutError`, or `EOFError` when the process ends before it."""
    until = time.monotonic() + seconds
    (length,) = struct.unpack(">I", _read(process, 4, until))
    if length > LONGEST_ANSWER:
        raise EOFError
    return json.loads(_read(process, length, until))


def _read(process: subprocess.Popen[bytes], count: int, until: float) -> bytes:
    assert process.stdout is not None
    pipe, content = process.stdout.fileno(), b""
    while len(content) < count:
        if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError
        piece = os.read(pipe, count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content


_uploads = Worker(UPLOAD_LIMITS)
atexit.register(_uploads.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_uploads.forget)
