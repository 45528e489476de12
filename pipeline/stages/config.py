"""The constants of a refinement, phase by phase.

``animportrait3d``: AnimPortrait3D (SIGGRAPH 2025), as its published code runs it. ``headstudio``: HeadStudio (ECCV
2024); where paper and code differ, the paper's constants.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.guidance.shot import Region

Method = Literal["ism", "sds", "dsd", "sdedit"]
NEGATIVE_EYES = (
    "tattoo, hair, eyelash, make up, oversaturation, low-resolution, unrealistic, blurry, low quality, out of focus, "
    "ugly, low contrast, dull"
)
NEGATIVE_MOUTH = "tattoo, highlight, blur, no-shadow, lowres, bad anatomy, cropped, worst quality"
NEGATIVE_HEAD = "tattoo, blur, lowres, bad anatomy, bad hands, cropped, worst quality"
NEGATIVE_EDIT = (
    "oversaturation, low-resolution, unrealistic, blurry, low quality, out of focus, ugly, low contrast, dull"
)


@dataclass(frozen=True)
class LearningRates:
    """Adam's step of each attribute, in the attribute's own unit."""

    means: float = 2.98e-5
    """Local units of the triangle."""
    quats: float = 1.5e-3
    log_scales: float = 0.0255
    opacity_logits: float = 0.075
    sh: float = 3.75e-3
    """Of degree 0; the others take a twentieth."""
    shape: float = 0.0
    """Coefficients of the head model; 0 leaves the shape as it is."""


@dataclass(frozen=True)
class Densification:
    """When splats are cloned, split and removed."""

    steps: tuple[int, ...] = ()
    """Steps of the phase after which splats are added and removed."""
    prune_steps: tuple[int, ...] = ()
    """Steps after which splats are only removed."""
    gradient: float = 2e-4
    """Mean gradient of the screen position, in normalised device units, above which a splat is cloned or split."""
    split_scale: float = 0.01
    """World size, in extents of the scene, above which a splat is split instead of cloned."""
    min_opacity: float = 0.005
    max_scale: float = 0.1
    """World size, in extents of the scene."""
    max_radius: float = 20.0
    """Pixels."""
    most: int = 2_000_000
    """Splats; none are added beyond."""


@dataclass(frozen=True)
class Phase:
    """One optimisation with one loss."""

    name: str
    method: Method
    steps: int
    regions: tuple[Region, ...]
    """Shots of each view."""
    trained: Literal["eyes", "mouth", "all"]
    """Which splats move."""
    guidance_scale: float
    negative: str
    views: int = 1
    """Views of a step, shared out among processes."""
    timesteps: tuple[int, int] = (750, 15)
    """Of the distillation: first and last, in equal steps down; ``sds`` and ``dsd`` draw from between."""
    late_timesteps: tuple[int, int] | None = None
    """Range of the second part of the phase, which begins at ``late_from``."""
    late_from: int = 0
    """Step."""
    strength: float = 0.0
    """Of SDEdit: share of the noise schedule that is run again."""
    edit_steps: int = 20
    """Steps of the whole noise schedule of SDEdit."""
    conditioned: bool = True
    """Whether crops are seen by the ControlNet; the full frame never is in ``animportrait3d``."""
    condition_scale: float = 1.0
    photometric: Literal["l2", "l1+lpips"] = "l2"
    """How a picture is compared with its SDEdit target."""
    pool: Literal["all", "open_mouth"] = "all"
    """Expressions that are drawn from."""
    weighted_pool: bool = False
    """Strong expressions and open jaws are drawn more often."""
    turns_head: bool = False
    """Whether neck and head move with the clip."""
    yaw: tuple[float, float] = (15.0, 165.0)
    """Degrees, 90 is the front, 0 the subject's left."""
    back_share: float = 0.0
    """Share of views drawn from the back half, 180° to 360°."""
    pitch: tuple[float, float] = (70.0, 110.0)
    """Degrees v of AnimPortrait3D's camera, 90 is level: the polar angle is arccos(1 − 2v/180)."""
    named_views: bool = False
    """Whether the prompt begins with "front view", "side view" or "back view"."""
    scale_weight: float = 0.0
    """Of the penalty on splats larger than a fifth of their triangle."""
    position_weight: float = 1e-2
    """Of the penalty on splats that have left their place by more than a triangle."""
    densification: Densification = Densification()


@dataclass(frozen=True)
class RefinementConfig:
    """Everything that a refinement depends on besides the avatar, the prompt and the diffusion model."""

    recipe: str
    phases: tuple[Phase, ...]
    learning_rates: LearningRates = LearningRates()
    seed: int = 0
    resolution: int = 512
    """Pixels of a shot's side: what the diffusion model was trained on."""
    frame: int = 896
    """Pixels of a view's side, of which crops are measured."""
    edit_pool: int = 200
    """Pairs of pose and view for which SDEdit targets are made ahead of a phase, and drawn from."""
    batch: int = 8
    """Most shots that the diffusion model sees at once."""
    sh_degree: int = 0
    extras: dict[str, float] = field(default_factory=dict)
    """Constants of one recipe alone, by name."""

    def scaled(self, num_steps_scale: float) -> RefinementConfig:
        """The same with every phase that many times as long, at least one step.

        Raises `UserError` for a scale that is no positive number.
        """
        if not 0 < num_steps_scale <= 10:
            raise UserError(f"num_steps_scale is {num_steps_scale}; it must be above 0 and at most 10, 1 as published")

        def to(step: int) -> int:
            return max(1, round(step * num_steps_scale))

        phases = []
        for phase in self.phases:
            old = phase.densification
            densification = replace(
                old,
                steps=tuple(dict.fromkeys(map(to, old.steps))),
                prune_steps=tuple(dict.fromkeys(map(to, old.prune_steps))),
            )
            phases.append(
                replace(
                    phase,
                    steps=to(phase.steps),
                    late_from=phase.late_from and to(phase.late_from),
                    densification=densification,
                )
            )
        return replace(self, phases=tuple(phases), edit_pool=to(self.edit_pool))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)
