"""Portrait3D's weights as they are published: NVIDIA's persistent classes in a plain pickle, program text included."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SOURCE = "import os\nos.system('touch {proof}')\n"
"""Stands where the real file has the text of its modules, which its own reader runs."""


def _module(name: str) -> types.ModuleType:
    return types.ModuleType(name)


@contextmanager
def published_classes(source: str) -> Iterator[types.SimpleNamespace]:
    """The classes by the names that the file knows, for as long as it is written; ``source`` is their text."""
    modules = {name: _module(name) for name in ("torch_utils", "torch_utils.persistence", "training", "dnnlib.util")}
    modules |= {name: _module(name) for name in ("training.triplane", "training.layers", "dnnlib", "smplx.body_models")}

    def reconstruct(meta: Any) -> Any:
        raise AssertionError("this would run the program in the file")

    class Network(nn.Module):
        def __reduce__(self) -> tuple[Any, ...]:
            meta = {"type": "class", "version": 6, "module_src": source, "class_name": type(self).__name__}
            return reconstruct, ({**meta, "state": self.__dict__},), None

    class Renderer(nn.Module):
        """One that is pickled as usual."""

    class EasyDict(dict):
        def __getattr__(self, name: str) -> Any:
            try:
                return self[name]
            except KeyError as error:
                raise AttributeError(name) from error

    places = {
        "_reconstruct_persistent_obj": ("torch_utils.persistence", reconstruct),
        "TriPlaneGenerator": ("training.triplane", Network),
        "ImportanceRenderer": ("training.layers", Renderer),
        "EasyDict": ("dnnlib.util", EasyDict),
    }
    for name, (module, thing) in places.items():
        thing.__module__, thing.__qualname__, thing.__name__ = module, name, name
        setattr(modules[module], name, thing)
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield types.SimpleNamespace(Network=Network, Renderer=Renderer, EasyDict=EasyDict)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def write_generator(path: Path, state: Mapping[str, Tensor], extra: object = None) -> Path:
    """A snapshot of a training whose ``G_ema`` has these weights; ``extra`` is one of its attributes."""
    with published_classes(SOURCE.format(proof=path.with_name("executed"))) as classes:
        trained, average = (_network(classes, state, change) for change in (1.0, 0.0))
        average.init_kwargs = classes.EasyDict(z_dim=512, folder=path.parent, extra=extra)
        average.renderer = classes.Renderer()
        average.renderer.register_buffer("body", torch.ones(3, 4))
        average.device, average.kind = torch.device("cpu"), torch.float32
        settings = classes.EasyDict(class_name="training.dataset.ImageFolderDataset", resolution=512)
        snapshot = {"G": trained, "D": None, "G_ema": average, "training_set_kwargs": settings, "augment_pipe": None}
        path.write_bytes(pickle.dumps(snapshot))
    return path


def write_decoder(path: Path, state: Mapping[str, Tensor], params: object = None, zipped: bool = True) -> Path:
    """A ``decoder_512.ckpt``."""
    others = {"pose_branch.net.0.bias": torch.zeros(128)}
    with published_classes("") as classes:
        kept = classes.EasyDict(w_dim=512, extra=params)
        torch.save({"params": kept, "state_dict": {**state, **others}}, path, _use_new_zipfile_serialization=zipped)
    return path


def _network(classes: types.SimpleNamespace, state: Mapping[str, Tensor], change: float) -> nn.Module:
    """Networks inside each other whose state dict is ``state``, plus ``change``."""
    root = classes.Network()
    for name, value in state.items():
        *places, last = name.split(".")
        owner = root
        for place in places:
            if place not in dict(owner.named_children()):
                owner.add_module(place, nn.ModuleList() if place == "net" else classes.Network())
            owner = owner.get_submodule(place)
        changed = value + change
        if value.is_floating_point() and last != "resample_filter":
            owner.register_parameter(last, nn.Parameter(changed))
        else:
            owner.register_buffer(last, changed)
    return root
