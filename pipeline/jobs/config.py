"""`RunConfig`: everything that a run depends on, as config.json holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch

from pipeline.errors import UserError
from pipeline.stages.config import RefinementConfig

CONFIG_VERSION = 1
DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("auto", "float32", "float16", "bfloat16")
RESOLUTIONS = range(64, 1025)


@dataclass(frozen=True)
class RunConfig:
    """A refinement of one head: what it is of, what guides it, and how often it is kept."""

    prompt: str
    model: str
    """Stable Diffusion 1.5 or one trained from it: a repository of the Hub, or a folder."""
    controlnet: str
    """A repository of the Hub, or a folder."""
    refinement: RefinementConfig
    """Recipe and length, constant by constant: a later version's recipe does not change a run that is under way."""
    seed: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    """Overrides what the sentence says."""
    head: str = "anny"
    num_steps_scale: float = 1.0
    """What ``refinement`` was scaled by; for people."""
    checkpoint_every: int = 50
    """Steps."""
    checkpoint_seconds: float = 300.0
    """After so long a checkpoint is written also before ``checkpoint_every``."""
    device: str = "auto"
    """``auto`` takes a GPU where one is there, anew at every start."""
    dtype: str = "auto"
    """Of the diffusion model; ``auto`` is float16 on a GPU."""
    threads: int = 0
    """Of the CPU, on which sums depend bit for bit; 0 leaves it to torch."""
    version: int = CONFIG_VERSION

    def __post_init__(self) -> None:
        _check_values(self)

    @classmethod
    def of(
        cls,
        prompt: str,
        *,
        recipe: str = "animportrait3d",
        num_steps_scale: float = 1.0,
        resolution: int | None = None,
        model: str | None = None,
        controlnet: str | None = None,
        seed: int = 0,
        threads: int | None = None,
        **others: Any,
    ) -> RunConfig:
        """A run of a recipe of this version: what is None is the recipe's, this place's model, and its threads.

        ``resolution``: pixels of what the diffusion model sees. Raises `UserError` for a value out of range.
        """
        from pipeline.pretrained import base_model, controlnet_of  # diffusers takes seconds to import
        from pipeline.stages.recipes import RECIPES

        if recipe not in RECIPES:
            raise UserError(f"recipe is {recipe!r}; it is one of {', '.join(RECIPES)}")
        refinement = replace(RECIPES[recipe].scaled(num_steps_scale), seed=seed)
        if resolution is not None:
            if resolution % 64 or resolution not in RESOLUTIONS:
                raise UserError(f"resolution is {resolution}; it must be a multiple of 64 from 64 to 1024")
            refinement = replace(refinement, resolution=resolution)
        return cls(
            prompt=prompt,
            model=model or base_model(),
            controlnet=controlnet or controlnet_of(recipe),
            refinement=refinement,
            seed=seed,
            num_steps_scale=num_steps_scale,
            threads=torch.get_num_threads() if threads is None else threads,
            **others,
        )

    @property
    def recipe(self) -> str:
        """Name of the recipe."""
        return self.refinement.recipe

    @property
    def total(self) -> int:
        """Steps of all phases."""
        return sum(phase.steps for phase in self.refinement.phases)

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunConfig:
        """The run of a config.json. Raises `UserError` for anything that is missing, unknown or of another type."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UserError(f"config.json of the run is damaged ({error}); start the run anew") from error
        if not isinstance(values, dict):
            raise UserError("config.json of the run is no table of values; start the run anew")
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(f"config.json of the run holds {unknown[0]!r}, which this version does not know")
        if missing := sorted({"prompt", "model", "controlnet", "refinement"} - set(values)):
            raise UserError(f"config.json of the run lacks {missing[0]!r}; start the run anew")
        refinement = values.pop("refinement")
        if not isinstance(refinement, dict):
            raise UserError(f"refinement is {refinement!r} in config.json of the run; it must be a table of values")
        return cls(refinement=RefinementConfig.from_dict(refinement), **values)


def _check_values(config: RunConfig) -> None:
    """Raise `UserError` for a value of another type, or out of range."""
    types: dict[str, type | tuple[type, ...]] = {
        "prompt": str, "model": str, "controlnet": str, "seed": int, "attributes": dict, "head": str,
        "num_steps_scale": (int, float), "checkpoint_every": int, "checkpoint_seconds": (int, float), "device": str,
        "dtype": str, "threads": int, "version": int,
    }  # fmt: skip
    for name, kind in types.items():
        _check(config, name, isinstance(getattr(config, name), kind) and not isinstance(getattr(config, name), bool))
    pairs: Any = config.attributes.items()
    _check(config, "attributes", all(isinstance(key, str) and isinstance(value, str) for key, value in pairs))
    for name in ("prompt", "model", "controlnet", "head"):
        _check(config, name, bool(getattr(config, name).strip()))
    _check(config, "version", config.version == CONFIG_VERSION)
    _check(config, "seed", 0 <= config.seed < 2**32)
    _check(config, "checkpoint_every", config.checkpoint_every >= 1)
    _check(config, "checkpoint_seconds", config.checkpoint_seconds > 0)
    _check(config, "threads", 0 <= config.threads <= 1024)
    _check(config, "device", config.device in DEVICES, ", ".join(DEVICES))
    _check(config, "dtype", config.dtype in DTYPES, ", ".join(DTYPES))


def _check(config: RunConfig, name: str, right: bool, allowed: str = "") -> None:
    if not right:
        told = f"it is one of {allowed}" if allowed else "that is not allowed"
        raise UserError(f"{name} of the run is {getattr(config, name)!r}; {told}")
