"""`RunConfig`: everything that a run depends on, as config.json holds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.config import Portrait3DConfig
from pipeline.stages.config import RefinementConfig
from pipeline.stages.initialization import PRESETS, InitializationConfig
from pipeline.stages.plain_values import read

CONFIG_VERSION, OLDEST_VERSION = 2, 1
RESOLUTIONS = range(64, 1025, 64)
MOST_THREADS = 1024


@dataclass(frozen=True)
class PortraitFile:
    """A static head that a run begins with; the run folder holds a copy of it."""

    kind: Literal["trigrid", "avatar"]
    """A tri-grid of Portrait3D, or an avatar folder, which is put on another head."""
    files: dict[str, str]
    """Name of each file as the person had it → SHA-256 of its bytes."""


@dataclass(frozen=True)
class RunConfig:
    """The making of one head: what it starts from, what refines it, and how often it is kept."""

    prompt: str
    """May be empty where a portrait is given and nothing is refined."""
    model: str = ""
    """Stable Diffusion 1.5 or one trained from it: a repository of the Hub, or a folder; empty where none is used."""
    controlnet: str = ""
    """A repository of the Hub, or a folder; empty where nothing is refined."""
    refinement: RefinementConfig | None = None
    """Recipe and length, constant by constant: a later version's recipe does not change a run that is under way. None:
    the start is the result."""
    portrait: PortraitFile | None = None
    """The static head to start from."""
    text_to_trigrid: Portrait3DConfig | None = None
    """How Portrait3D makes the static head of the prompt, where that is what it starts from."""
    initialization: InitializationConfig | None = None
    """How the static head is rigged. None, and no portrait: the start is the procedural prior's, rigged as it comes."""
    landmarks: str = ""
    """What detects landmarks, as `portrait_models` takes it; empty takes what is on the machine."""
    parser: str = ""
    """What tells skin, hair and clothes apart, likewise."""
    normals: str = ""
    """What sees normals, likewise; empty leaves the surface as the portrait has it."""
    seed: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    """Overrides what the sentence says."""
    head: str = "anny"
    num_steps_scale: float = 1.0
    """What ``refinement`` and ``text_to_trigrid`` were scaled by; for people."""
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
        for name in self._needed:
            _check(name, getattr(self, name), bool(getattr(self, name).strip()), "it must be said")
        _check(
            "version",
            self.version,
            self.version == CONFIG_VERSION,
            f"this program reads {OLDEST_VERSION} and {CONFIG_VERSION}",
        )
        _check("seed", self.seed, 0 <= self.seed < 2**32, f"it must be between 0 and {2**32 - 1}")
        _check("checkpoint_every", self.checkpoint_every, self.checkpoint_every >= 1, "it must be at least 1")
        _check("checkpoint_seconds", self.checkpoint_seconds, self.checkpoint_seconds > 0, "it must be above 0")
        _check("threads", self.threads, 0 <= self.threads <= MOST_THREADS, f"it goes from 0 to {MOST_THREADS}")
        if self.portrait is not None and self.text_to_trigrid is not None:
            raise UserError("the run has a portrait and makes another from the prompt; it takes one of them")
        if (self.initialization is None) != (self.portrait is None and self.text_to_trigrid is None):
            raise UserError("the run's portrait and initialization belong together; give both or none")

    @classmethod
    def of(
        cls,
        prompt: str,
        *,
        refine: bool = True,
        recipe: str = "animportrait3d",
        num_steps_scale: float = 1.0,
        resolution: int | None = None,
        model: str | None = None,
        controlnet: str | None = None,
        portrait: PortraitFile | None = None,
        from_text: bool = False,
        initialization: str | None = None,
        landmarks: str = "",
        parser: str = "",
        normals: str = "",
        seed: int = 0,
        threads: int | None = None,
        **others: Any,
    ) -> RunConfig:
        """A run of a recipe of this version: what is None is the recipe's, this place's model, and its threads.

        ``refine``: let the diffusion model improve the start, which is ``portrait`` on a rig, or, ``from_text``, what
        Portrait3D makes of the prompt, or else the procedural prior's. ``resolution``: pixels of what the diffusion
        model sees. ``initialization``: ``quick`` or ``published``; None takes what this place's device allows.
        Raises `UserError` for a value out of range.
        """
        from pipeline.pretrained import base_model, controlnet_of  # diffusers takes seconds to import
        from pipeline.refining import refinement_config

        if resolution is not None and resolution not in RESOLUTIONS:
            raise UserError(f"resolution is {resolution}; it must be a multiple of 64 from 64 to 1024")
        refinement = refinement_config(recipe, num_steps_scale, resolution, seed=seed) if refine else None
        is_rigged = portrait is not None or from_text
        return cls(
            prompt=prompt,
            model=_absolute(model or base_model()) if refine or from_text else "",
            controlnet=_absolute(controlnet or controlnet_of(recipe, model)) if refine else "",
            refinement=refinement,
            portrait=portrait,
            text_to_trigrid=replace(Portrait3DConfig().scaled(num_steps_scale), seed=seed) if from_text else None,
            initialization=_initialization(initialization, seed) if is_rigged else None,
            landmarks=_absolute(landmarks),
            parser=_absolute(parser),
            normals=_absolute(normals),
            seed=seed,
            num_steps_scale=num_steps_scale,
            threads=torch.get_num_threads() if threads is None else threads,
            **others,
        )

    @property
    def _needed(self) -> list[str]:
        """Fields that must not be empty."""
        return [
            "head",
            *(["prompt"] if self.portrait is None or self.refinement is not None else []),
            *(["model"] if self.diffuses else []),
            *(["controlnet"] if self.refinement is not None else []),
        ]

    @property
    def diffuses(self) -> bool:
        """Whether a diffusion model is needed."""
        return self.refinement is not None or self.text_to_trigrid is not None

    @property
    def recipe(self) -> str:
        """Name of the refinement's recipe; empty where nothing is refined."""
        return "" if self.refinement is None else self.refinement.recipe

    @property
    def start_phases(self) -> tuple[tuple[str, int], ...]:
        """Name and steps of each phase that makes the start."""
        made = () if self.text_to_trigrid is None else self.text_to_trigrid.phases
        config = self.initialization
        if config is None:
            return made
        meshed = (("mesh_normals", config.normals.steps),) if self.normals else ()
        return (*made, *meshed, ("initialization", config.steps))

    @property
    def phases(self) -> tuple[tuple[str, int], ...]:
        """Name and steps of every phase, in order."""
        refined = () if self.refinement is None else self.refinement.phases
        return (*self.start_phases, *((phase.name, phase.steps) for phase in refined))

    @property
    def total(self) -> int:
        """Steps of all phases."""
        return sum(steps for _, steps in self.phases)

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
        if isinstance(values, dict) and values.get("version") == OLDEST_VERSION:  # lacks only what has a default
            values = values | {"version": CONFIG_VERSION}
        return read(cls, values, "config.json of the run")


def _absolute(model: str) -> str:
    """The name of a folder or file that holds wherever the run is gone on with; a repository's as it is."""
    place = Path(model).expanduser()
    return str(place.absolute()) if model and place.exists() else model


def _initialization(name: str | None, seed: int) -> InitializationConfig:
    name = name or ("published" if torch.cuda.is_available() else "quick")
    return replace(PRESETS[name], seed=seed)


def _check(name: str, value: Any, right: bool, told: str) -> None:
    if not right:
        raise UserError(f"{name} of the run is {value!r}; {told}")
