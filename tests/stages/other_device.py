"""A device that is not the CPU, without any hardware: tensors that say they are on a GPU and compute on the CPU.

As on a real one, a tensor of the CPU cannot be mixed with them unless it is a single number or an index, and NumPy
cannot have them. Run as a program, since PyTorch takes one such device per process: refinements on it, by both recipes'
ways, each of which prints its name when it has come to its end there.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from pipeline.guidance.conditions import HeadCondition
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.landmark_condition import LandmarkCondition
from pipeline.guidance.prompts import PromptTable
from pipeline.rendering.rasterize import rasterize
from pipeline.stages import drawing
from pipeline.stages.config import Densification, LearningRates, RefinementConfig
from pipeline.stages.fitting import fit
from pipeline.stages.journal import Journal
from pipeline.stages.training import attributes, with_attributes
from tests.guidance.toy import toy_encode, toy_model, toy_scheduler
from tests.stages.small import PROMPT, distilling, editing, small_avatar, small_config

_setup_privateuseone_for_python_backend("gpu")
GPU = torch.device("gpu:0")
MIXING = ("aten::copy_", "aten::index", "aten::_index_put_impl_", "aten::index_put_")
"""Operators that CUDA too lets take tensors of the CPU."""


class OnGpu(Tensor):
    """Holds a tensor of the CPU."""

    is_cuda = True
    __torch_function__ = torch._C._disabled_torch_function_impl
    inner: Tensor

    @staticmethod
    def __new__(cls, inner, requires_grad=False):
        self = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), dtype=inner.dtype, device=GPU, requires_grad=requires_grad
        )
        self.inner = inner
        return self

    @classmethod
    def __torch_dispatch__(cls, operator, types, arguments=(), options=None):
        return compute(operator, arguments, options or {})

    def tolist(self):
        return self.detach().cpu().tolist()


class Watch(TorchDispatchMode):
    """Where tensors are made, or brought to the device."""

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        return compute(operator, arguments, options or {})


def compute(operator, arguments, options):
    """What an operator gives, on the device where its tensors are or that it names."""
    given = tree_leaves((arguments, options))
    there = [value for value in given if isinstance(value, OnGpu)]
    here = [value for value in given if isinstance(value, Tensor) and not isinstance(value, OnGpu) and value.dim()]
    if there and here and operator._schema.name not in MIXING:
        raise RuntimeError(f"{operator} was given tensors of both devices, {tuple(here[0].shape)} on the CPU")
    named = [value for value in given if isinstance(value, torch.device)]
    is_there = named[-1] == GPU if named else bool(there)
    own = {id(value.inner): value for value in there}

    def inside(value: Any) -> Any:
        if isinstance(value, OnGpu):
            return value.inner
        return torch.device("cpu") if isinstance(value, torch.device) else value

    def outside(value: Any) -> Any:
        if not isinstance(value, Tensor) or isinstance(value, OnGpu):
            return value
        return own[id(value)] if id(value) in own else OnGpu(value) if is_there else value

    return tree_map(outside, operator(*tree_map(inside, arguments), **tree_map(inside, options)))


def _copied(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    compute(torch.ops.aten.copy_.default, (target, source), {})
    return target


library = torch.library.Library("aten", "IMPL")
library.impl("empty_strided", lambda size, stride, dtype, **_: OnGpu(torch.empty_strided(size, stride, dtype=dtype)),
             "PrivateUse1")  # fmt: skip
library.impl("_copy_from", _copied, "PrivateUse1")


def rasterize_there(*arguments: Any, **options: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """In the place of gsplat."""
    tensors = [value for value in (*arguments, *options.values()) if isinstance(value, Tensor)]
    assert all(tensor.is_cuda for tensor in tensors)
    back = {name: value.cpu() if isinstance(value, Tensor) else value for name, value in options.items()}
    renders, alphas, meta = rasterize(*(v.cpu() if isinstance(v, Tensor) else v for v in arguments), **back)
    return renders.to(GPU), alphas.to(GPU), meta


def refined(config: RefinementConfig) -> None:
    """Fit the only phase of ``config`` on the device."""
    avatar = small_avatar()
    avatar = with_attributes(avatar, attributes(avatar)).to(GPU)
    toy = toy_model()
    model = DiffusionModel(toy.unet.to(GPU), toy.vae.to(GPU), toy_scheduler(), toy.controlnet.to(GPU))
    condition: Any = HeadCondition(avatar.rig)
    if config.condition == "landmarks":
        lines = LandmarkCondition(avatar.rig)
        condition = lambda vertices, cameras: torch.nn.functional.pad(  # noqa: E731 — the toy sees four channels
            lines(vertices, cameras), (0, 0, 0, 0, 0, 1)
        )
    guidance = Guidance(model, toy_scheduler(), PromptTable(lambda texts: toy_encode(texts).to(GPU), PROMPT), condition)
    accelerator: Any = SimpleNamespace(
        device=GPU, process_index=0, num_processes=1, is_main_process=True, wait_for_everyone=lambda: None
    )
    fitted = fit(avatar, config.phases[0], guidance, config, accelerator, Journal())
    assert fitted.means.device == fitted.rig.vertices.device == GPU
    print(config.phases[0].name)


HEADSTUDIO = replace(
    small_config(
        distilling(
            name="headstudio", method="dsd", steps=1, regions=("full",), views=1, conditioned_full=True, one_pose=True,
            regularizer="area", densification=Densification(prune_steps=(1,)),
        )
    ),
    learning_rates=LearningRates(shape=1e-3), shape_until=1, cameras="headstudio", condition="landmarks",
)  # fmt: skip

if __name__ == "__main__":
    drawing.rasterize = rasterize_there
    drawing.Drawn.screen = lambda self, frame: (  # gsplat's are on the device
        self.radii.amax(0).float().to(GPU), self.means2d.grad.norm(dim=2).sum(0).to(GPU)
    )  # fmt: skip
    with Watch():
        both = Densification(steps=(1,), prune_steps=(1,), gradient=1e-6, most=2000)
        refined(small_config(distilling(name="ism", views=1, steps=1, densification=both)))
        refined(small_config(editing(name="sdedit", conditioned=True, steps=1)))
        refined(HEADSTUDIO)
