"""`RunConfig`: everything that a run depends on, as config.json holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from pipeline.errors import UserError
from pipeline.stages.config import RefinementConfig
from pipeline.stages.plain_values import read

CONFIG_VERSION = 1
RESOLUTIONS = range(64, 1025, 64)
MOST_THREADS = 1024


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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes a GPU where one is there, anew at every start."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Of the diffusion model; ``auto`` is float16 on a GPU."""
    threads: int = 0
    """Of the CPU, on which sums depend bit for bit; 0 leaves it to torch."""
    version: int = CONFIG_VERSION

    def __post_init__(self) -> None:
        for name in ("prompt", "model", "controlnet", "head"):
            _check(name, getattr(self, name), bool(getattr(self, name).strip()), "it must be said")
        _check("version", self.version, self.version == CONFIG_VERSION, f"this program reads {CONFIG_VERSION}")
        _check("seed", self.seed, 0 <= self.seed < 2**32, f"it must be between 0 and {2**32 - 1}")
        _check("checkpoint_every", self.checkpoint_every, self.checkpoint_every >= 1, "it must be at least 1")
        _check("checkpoint_seconds", self.checkpoint_seconds, self.checkpoint_seconds > 0, "it must be above 0")
        _check("threads", self.threads, 0 <= self.threads <= MOST_THREADS, f"it goes from 0 to {MOST_THREADS}")

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
        from pipeline.refining import refinement_config

        if resolution is not None and resolution not in RESOLUTIONS:
            raise UserError(f"resolution is {resolution}; it must be a multiple of 64 from 64 to 1024")
        refinement = refinement_config(recipe, num_steps_scale, resolution, seed=seed)
        return cls(
            prompt=prompt,
            model=_absolute(model or base_model()),
            controlnet=_absolute(controlnet or controlnet_of(recipe, model)),
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
        return read(cls, values, "config.json of the run")


def _absolute(model: str) -> str:
    """A folder's name that holds wherever the run is gone on with; a repository's as it is."""
    place = Path(model).expanduser()
    return str(place.absolute()) if place.is_dir() else model


def _check(name: str, value: Any, right: bool, told: str) -> None:
    if not right:
        raise UserError(f"{name} of the run is {value!r}; {told}")
