"""What a machine runs out of in the middle of a run, told from our own defects and said in a sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import torch

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_MEMORY_TEXTS = ("not enough memory", "can't allocate memory", "out of memory")
MORE_MEMORY = "close other programs or take a machine with more"
FULL_TEXTS = ("os error 28", "os error 122", "os error 27", "No space left on device")


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk, a quota or a limit on the size of files is behind an error."""
    return any(
        isinstance(one, OSError) and (one.errno in FULL or any(text in str(one) for text in FULL_TEXTS))
        for one in _chain(error)
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the GPU or of the machine, did not suffice."""
    return any(
        isinstance(one, MemoryError | torch.OutOfMemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or (isinstance(one, RuntimeError) and any(text in str(one) for text in NO_MEMORY_TEXTS))
        for one in _chain(error)
    )


def disk_sentence(path: Path) -> str:
    """What to do about a full disk."""
    return (
        f"the disk of {path} is full; free some space, then go on with --resume {path}: "
        "what was kept at the last checkpoint is whole"
    )


def memory_sentence(path: Path, batch: int | None) -> str:
    """What to do about too little memory, when even ``batch`` pictures at once were too many; None: in the making of
    the start, which has no such number."""
    if batch is None:
        return f"memory does not suffice; {MORE_MEMORY}, then go on with --resume {path}"
    return (
        f"memory does not suffice, even for {batch} picture{'s' * (batch != 1)} at once; {MORE_MEMORY}, then go on "
        f"with --resume {path}; a new run may take a smaller --resolution"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
