"""Weights out of pickled networks, such as NVIDIA's, which store the text of their own program: it is never read.

Only names of the allow-list have a meaning here. Names of Python's own library beside them are refused; all others,
classes of layers that need not be installed, stand for one inert holder of arguments and attributes.
"""

from __future__ import annotations

import sys
from typing import IO, Any

import numpy as np

from pipeline.safe_load.pickles import AllowListUnpickler, load_pickle, load_torch
from pipeline.safe_load.refusal import Refused
from pipeline.safe_load.stand_ins import Array, Function, Malformed
from pipeline.safe_load.tensors import Tensor

PERSISTENT = ("torch_utils.persistence", "_reconstruct_persistent_obj")
"""How StyleGAN2 and all that follow it pickle a network: a call with a dict of source text, class name and state."""
HARMLESS_MODULES = frozenset({"argparse", "enum", "functools", "pathlib", "types"})
"""Of Python's library: settings of a training hold their objects. They stand for inert holders like the rest."""
NETWORK, STATE = "G_ema", "state_dict"
"""Keys of a training's snapshot, and of a checkpoint."""
HOSTILE = "This file asks for {!r}, which can run code, so it was not opened; get it from where it was published"
MOST_WEIGHTS = 8192
MOST_DEPTH = 24
LONGEST_NAME = 160


class Foreign(dict):
    """An object of any class: what its attributes were, nothing of what it could do."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__()
        self.state: dict[Any, Any] = {}

    def __new__(cls, *arguments: Any, **named: Any) -> Foreign:
        made = super().__new__(cls)
        made.state = {}
        return made

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __setstate__(self, state: Any) -> None:
        """A dict of attributes; of the two of an object with slots the first. Anything else is left out."""
        if type(state) is tuple and len(state) == 2:
            state = state[0]
        self.state = dict(state) if isinstance(state, dict) else {}

    def append(self, item: Any) -> None:
        """What a list of another class holds is left out."""

    def extend(self, items: Any) -> None:
        """See `append`."""


class NetworkUnpickler(AllowListUnpickler):
    """Also reads classes that are not on the allow-list, as `Foreign`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == PERSISTENT:
            return Function(_persistent)
        try:
            return super().find_class(module, name)
        except Refused:
            if _of_python(module):
                raise Refused(HOSTILE.format(f"{module}.{name}"[:LONGEST_NAME])) from None
            return Foreign


def load_network(file: IO[bytes], kind: str, most_bytes: int) -> dict[str, np.ndarray]:
    """All weights by their names in the state dict: of ``G_ema`` in a snapshot, of ``state_dict`` in a checkpoint.

    ``kind``: a `foreign_kind`. Raises `Refused` for a file without them, `MemoryError` above ``most_bytes`` in all.
    """
    root = load_torch(file, NetworkUnpickler) if kind == "torch" else load_pickle(file, NetworkUnpickler)
    if not isinstance(root, dict) or not (NETWORK in root or STATE in root):
        raise Refused(f"This file holds neither a network {NETWORK} nor a {STATE}; give it as it was published")
    collected = _Weights(most_bytes)
    if NETWORK in root:
        collected.module(root[NETWORK], "", 0)
    else:
        collected.entries(root[STATE], "")
    if not collected.arrays:
        raise Refused("This file holds a network without weights; give it as it was published")
    return collected.arrays


class _Weights:
    """Parameters and buffers as plain arrays."""

    def __init__(self, most_bytes: int) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._left = most_bytes

    def module(self, value: Any, prefix: str, depth: int) -> None:
        """A network's own weights, then those of the networks inside it."""
        if not isinstance(value, Foreign):
            return
        if depth > MOST_DEPTH:
            raise Refused(f"This file nests more than {MOST_DEPTH} networks in each other; it was not opened")
        for kind in ("_parameters", "_buffers"):
            self.entries(value.state.get(kind), prefix)
        inner = value.state.get("_modules")
        for name, child in inner.items() if isinstance(inner, dict) else ():
            if type(name) is str:
                self.module(child, f"{prefix}{name}.", depth + 1)

    def entries(self, values: Any, prefix: str) -> None:
        """Name → tensor; what is none is left out."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if type(name) is str and isinstance(value, (Tensor, Array)):
                self._keep(f"{prefix}{name}", value)

    def _keep(self, name: str, value: Tensor | Array) -> None:
        array = value.array(self._left) if isinstance(value, Tensor) else value.values
        if array is None or array.dtype.kind not in "biuf":
            return
        if len(self.arrays) >= MOST_WEIGHTS or len(name) > LONGEST_NAME or not name.isprintable() or "/" in name:
            raise Refused("This file names its weights as no network does, so it was not opened")
        self._left -= array.nbytes
        if self._left < 0:
            raise MemoryError
        self.arrays[name] = array


def _of_python(module: str) -> bool:
    """Whether a name of this module belongs to Python itself and could do more than hold settings."""
    root = module.partition(".")[0]
    return (root in sys.stdlib_module_names or root == "__builtin__") and root not in HARMLESS_MODULES


def _persistent(meta: Any) -> Foreign:
    """`torch_utils.persistence._reconstruct_persistent_obj`, which in the original runs the source text."""
    if not isinstance(meta, dict):
        raise Malformed("no description of a network")
    made = Foreign()
    made.__setstate__(meta.get("state"))
    return made
