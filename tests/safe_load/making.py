"""Pickles put together by hand: classes that are not installed, and code where only numbers belong."""

from __future__ import annotations

import itertools
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import safe_load

TORCH_SAVED = "\x80\x02\x8a\nl\xfc\x9cF"
"""How the nested bytes of a tensor begin, as Python 3 writes bytes into protocol 2."""


def shared_clip(name: str) -> Path:
    """A real clip that lies beside the repository and may not be shipped with it."""
    place = os.environ.get("ANIMPORTRAIT3D_REAL_MOTION", Path(__file__).parents[3] / "shared" / "data" / "motion")
    return Path(place) / name


def converted(path: Path) -> dict[str, np.ndarray]:
    """Everything that `convert` makes of ``path``, read without pickles."""
    target = path.with_name(f"{path.name}.npz")
    safe_load.convert(path, target)
    with np.load(target, allow_pickle=False) as arrays:
        return dict(arrays)


def text(value: str) -> bytes:
    """A string in protocol 2."""
    body = value.encode("utf-8")
    return pickle.BINUNICODE + len(body).to_bytes(4, "little") + body


def name(module: str, attribute: str) -> bytes:
    """A global in protocol 2."""
    return pickle.GLOBAL + f"{module}\n{attribute}\n".encode()


def inner(value: Any) -> bytes:
    """A value's own instructions in protocol 2, to be put inside others."""
    return pickle.dumps(value, 2)[2:-1]


def called(function: bytes, *arguments: bytes) -> bytes:
    """A call."""
    return function + pickle.MARK + b"".join(arguments) + pickle.TUPLE + pickle.REDUCE


def built(kind: bytes, state: dict[str, bytes]) -> bytes:
    """An object of Python 2 without arguments, and its attributes."""
    items = b"".join(text(key) + value for key, value in state.items())
    return kind + pickle.EMPTY_TUPLE + pickle.NEWOBJ + pickle.EMPTY_DICT + pickle.MARK + items + b"u" + pickle.BUILD


def whole(instructions: bytes) -> bytes:
    """A pickle of protocol 2."""
    return pickle.PROTO + b"\x02" + instructions + pickle.STOP


def command(proof: Path) -> bytes:
    """Instructions that run a shell command, which leaves ``proof`` behind, and drop its result."""
    return called(name("os", "system"), text(f"touch {proof}")) + pickle.POP


def with_command(content: bytes, proof: Path) -> bytes:
    """The same pickle of protocol 2 or newer, which runs a command first."""
    return content[:2] + command(proof) + content[2:]


def with_nested_command(content: bytes, proof: Path) -> bytes:
    """A pickle of tensors whose first nested file of `torch.save` runs a command before it gives its numbers."""
    operations = list(pickletools.genops(content))
    for (operation, argument, start), (_, _, end) in itertools.pairwise(operations):
        if operation.name == "BINUNICODE" and argument.startswith(TORCH_SAVED):
            saved = argument.encode("latin1")
            return content[:start] + text(_in_object(saved, proof).decode("latin1")) + content[end:]
    raise AssertionError("no tensor inside")


def _in_object(saved: bytes, proof: Path) -> bytes:
    """The fourth pickle of the older torch format is the object itself."""
    place = 0
    for _ in range(3):
        place += max(start for _, _, start in pickletools.genops(saved[place:])) + 1
    return saved[:place] + with_command(saved[place:], proof)
