"""The threads that share a frame's work, and the memory that frames use again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

MAX_THREADS = 16


def _available_cores() -> int:
    limit = os.environ.get("NUMBA_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(limit) if limit and limit.isdigit() else cores, MAX_THREADS))


class Workers:
    """A thread pool in which the caller works too; kernels release the GIL, so plain Python threads do.

    Numba's own threading layers either crash when two Python threads enter at once (workqueue) or spin while they wait
    (OpenMP), which hurts when two people render at the same time.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def share(self, work: Callable[[int], object]) -> None:
        """Calls work(0) here and work(1) … work(threads - 1) beside it; helpers that come too late are let off.

        Each call of `work` must go on until the shared counter has run out, so that any of them can do it all.
        """
        helpers = [self._executor().submit(work, k) for k in range(1, self.threads)]
        try:
            work(0)
        finally:
            for helper in helpers:
                if not helper.cancel():
                    helper.result()

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._process != os.getpid():  # threads do not survive a fork
                self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="rasterize")
                self._process = os.getpid()
            return self._pool


WORKERS = Workers(_available_cores())


class Buffers:
    """The scratch arrays of one frame in flight; they grow and stay."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.uint8]] = {}

    def get(self, name: str, shape: int | tuple[int, ...], dtype: type = np.float32) -> NDArray:
        """An array with undefined contents that starts on a cache line."""
        shape = (shape,) if isinstance(shape, int) else shape
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        array = self._arrays.get(name)
        if array is None or array.size < size:
            raw = np.empty(size + size // 4 + 64, np.uint8)
            array = self._arrays[name] = raw[-raw.ctypes.data % 64 :]
        return array[:size].view(dtype).reshape(shape)


class Lease:
    """Buffers of `count` frames, taken from what earlier frames have left; they go back when the lease is dropped.

    An autograd graph holds its lease until it is freed, whether or not anybody ever calls backward.
    """

    _free: list[Buffers] = []  # noqa: RUF012 - shared on purpose; append and pop are atomic

    def __init__(self, count: int) -> None:
        self.buffers = [self._take() for _ in range(count)]

    def _take(self) -> Buffers:
        try:
            return self._free.pop()
        except IndexError:
            return Buffers()

    def __del__(self) -> None:
        self._free.extend(self.buffers)
