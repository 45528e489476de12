"""Work beside the thread that reports on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

Cancel = Callable[[], bool]
"""Asked now and then by the work: whether nobody waits for it any more."""
Result = TypeVar("Result")


@contextmanager
def beside(name: str, work: Callable[[Cancel], Result]) -> Iterator[Future[Result]]:
    """Do ``work`` in a thread of its own, called ``name``, for as long as the block lasts.

    Leaving the block before the work has ended calls it off and does not wait for it: Gradio closes the iterator of an
    event that was cancelled in the one thread that serves everybody.
    """
    stop = Event()
    worker = ThreadPoolExecutor(1, thread_name_prefix=name)
    try:
        yield worker.submit(work, stop.is_set)
    finally:
        stop.set()
        worker.shutdown(wait=False)
