"""`spaces.GPU` as a ZeroGPU Space has it, without a GPU: forks, pickles, and loses what is left in memory.

Follows spaces 0.51 (zero/decorator.py, zero/wrappers.py) where an app can tell the difference: a coroutine is refused;
arguments, results and everything that a generator yields go through pickle; the work runs in a forked daemon, in a
thread of its own, with one process kept per function; an exception that is no `gr.Error` arrives as a `gr.Error` that
only names its class; closing a generator stops the worker at its next yield.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import pickle
import sys
import types
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr

FORK = multiprocessing.get_context("fork")
DECORATED: dict[str, Callable[..., Any]] = {}
"""Every GPU function by its name."""
LEASES: list[tuple[str, float | None]] = []
"""Name and duration of every claim."""


def install() -> None:
    """Stand in for the package from now on; call it before anything imports it."""
    fake = types.ModuleType("spaces")
    fake.GPU = GPU  # type: ignore[attr-defined]
    sys.modules["spaces"] = fake


def GPU(task: Callable[..., Any] | None = None, *, duration: Any = None, size: str | None = None) -> Any:
    """The decorator, with or without arguments."""
    if task is None:
        return functools.partial(GPU, duration=duration, size=size)
    if inspect.iscoroutinefunction(task) or inspect.isasyncgenfunction(task):
        raise NotImplementedError(f"{task.__name__} is asynchronous")
    assert size in (None, "large", "xlarge")
    DECORATED[task.__name__] = task
    lent = _generator(task, duration) if inspect.isgeneratorfunction(task) else _function(task, duration)
    return functools.wraps(task)(lent)


def _function(task: Callable[..., Any], duration: Any) -> Callable[..., Any]:
    def lent(*args: Any, **kwargs: Any) -> Any:
        (result,) = _generator(_once(task), duration, task.__name__)(*args, **kwargs)
        return result

    return lent


def _once(task: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    def once(*args: Any, **kwargs: Any) -> Iterator[Any]:
        yield task(*args, **kwargs)

    return once


def _generator(
    task: Callable[..., Iterator[Any]], duration: Any, name: str = ""
) -> Callable[..., Generator[Any, None, None]]:
    name = name or task.__name__
    kept: list[_Worker] = []

    def lent(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        LEASES.append((name, duration(*args, **kwargs) if callable(duration) else duration))
        worker = kept.pop() if kept else _Worker(task)
        worker.arguments.put(pickle.dumps((args, kwargs)))
        closing = False
        while (message := worker.results.get()) is not None:
            kind, value = pickle.loads(message)
            if kind == "error":
                worker.stop()
                raise value if isinstance(value, gr.Error) else gr.Error(value)
            if not closing:
                try:
                    yield value
                except GeneratorExit:
                    worker.stopping.set()
                    closing = True
        kept.append(worker)

    return lent


class _Worker:
    """A forked process that serves one function."""

    def __init__(self, task: Callable[..., Iterator[Any]]) -> None:
        self.arguments, self.results, self.stopping = FORK.SimpleQueue(), FORK.SimpleQueue(), FORK.Event()
        self.process = FORK.Process(target=self._serve, args=(task,), daemon=True)
        self.process.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.join()

    def _serve(self, task: Callable[..., Iterator[Any]]) -> None:
        while True:
            args, kwargs = pickle.loads(self.arguments.get())
            self.stopping.clear()
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._work, task, args, kwargs).result()
            self.results.put(None)

    def _work(self, task: Callable[..., Iterator[Any]], args: Any, kwargs: Any) -> None:
        work = task(*args, **kwargs)
        try:
            for value in work:
                if self.stopping.is_set():
                    work.close()  # type: ignore[attr-defined]
                    return
                self.results.put(pickle.dumps(("value", value)))
        except Exception as error:  # noqa: BLE001 — as the real one does
            told = error if isinstance(error, gr.Error) else type(error).__name__
            self.results.put(pickle.dumps(("error", told)))
