"""What a refinement depends on, phase by phase; `pipeline.stages.recipes` has the published constants."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.guidance.shot import Region
from pipeline.stages.plain_values import read

Method = Literal["ism", "sds", "dsd", "sdedit"]
LONGEST = 1_000_000
"""Steps of a phase."""


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
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's two rates of forgetting."""


@dataclass(frozen=True)
class Densification:
    """When splats are cloned, split and removed. The extent of the scene is that of the view sampler."""

    steps: tuple[int, ...] = ()
    """Steps of the phase, from 1, after which splats are cloned and split."""
    prune_steps: tuple[int, ...] = ()
    """Steps after which splats are removed; where both lists name a step, it adds first."""
    gradient: float = 2e-4
    """Mean gradient of the screen position, in normalised device units, above which a splat is cloned or split."""
    normalized: bool = False
    """Whether the gradients of each step are divided by their norm over all splats (HeadStudio)."""
    split_scale: float = 0.01
    """World size, in extents of the scene, above which a splat is split instead of cloned."""
    min_opacity: float = 0.005
    max_scale: float = 0.1
    """World size, in extents of the scene."""
    max_radius: float = 20.0
    """Pixels of a view's frame; looked at in those of ``prune_steps`` that also add, as the published codes do."""
    most: int = 300_000
    """Splats; none are added beyond. The published code goes up to two million, which no browser draws in time."""


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
    warm_steps: int = 400
    """In which the interval of ``ism`` falls from 100 timesteps to 50."""
    inversions: int = 3
    """Steps by which ``ism`` inverts latents to the start of its interval; 3 is the paper's, 0 adds noise instead and
    saves up to half of the UNet's rows."""
    strength: float = 0.0
    """Of SDEdit: share of the noise schedule that is run again."""
    edit_steps: int = 20
    """Steps of the whole noise schedule of SDEdit."""
    conditioned: bool = True
    """Whether the ControlNet sees the head model in crops."""
    conditioned_full: bool = False
    """Whether it does in the full frame."""
    condition_scale: float = 1.0
    photometric: Literal["l2", "l1+lpips"] = "l2"
    """How a picture is compared with its SDEdit target."""
    pool: Literal["all", "open_mouth"] = "all"
    """Expressions that are drawn from."""
    weighted_pool: bool = False
    """Strong expressions and open jaws are drawn more often."""
    one_pose: bool = False
    """Whether all views of a step show the same pose."""
    moves_eyes: bool = True
    """Whether each pose gets a gaze and lids of its own; at rest otherwise."""
    turns_head: bool = False
    """Whether neck and head move with the clip."""
    yaw: tuple[float, float] = (15.0, 165.0)
    """Degrees, 90 is the front, 0 the subject's right, 180 the left."""
    back_share: float = 0.0
    """Share of views drawn from the back half, 180° to 360°."""
    pitch: tuple[float, float] = (70.0, 110.0)
    """Degrees v of AnimPortrait3D's camera, 90 is level: the polar angle is arccos(1 − 2v/180)."""
    named_views: bool = False
    """Whether the prompt says "front view", "side view" or "back view"."""
    regularizer: Literal["local", "area"] = "local"
    """In units of the triangle, from where a splat began (AnimPortrait3D), or against the posed triangle's own size
    (HeadStudio)."""
    scale_weight: float = 0.0
    """Of the penalty on splats that are too large: for ``local`` than a fifth of their triangle."""
    position_weight: float = 1e-2
    """Of the penalty on splats that have left their place: for ``local`` by more than a triangle."""
    position_from: int = 0
    """Step from which that penalty counts."""
    densification: Densification = Densification()

    def __post_init__(self) -> None:
        where = f"phase {self.name!r}"
        _within(f"{where}: steps", self.steps, 1, LONGEST)
        _within(f"{where}: views", self.views, 1, 64)
        for name in ("timesteps", "late_timesteps"):
            for value in getattr(self, name) or ():
                _within(f"{where}: {name}", value, 0, 999)
        _within(f"{where}: strength", self.strength, 0, 1)
        _within(f"{where}: edit_steps", self.edit_steps, 1, 1000)
        _within(f"{where}: inversions", self.inversions, 0, 20)
        _within(f"{where}: warm_steps", self.warm_steps, 0, LONGEST)
        _within(f"{where}: back_share", self.back_share, 0, 1)
        if not self.regions:
            raise UserError(f"{where} has no regions; name some, such as full or face")
        low, high = self.yaw
        if "full" not in self.regions and (self.back_share or low < 0 or high > 180):
            raise UserError(
                f"{where} looks at {', '.join(self.regions)} from behind; add full, or keep yaw in 0 to 180"
            )


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
    """Most shots that the diffusion model edits at once."""
    rows: int | None = None
    """Most rows of one call of the UNet while distilling; None takes all of a step at once, which is quickest."""
    sh_degree: int = 0
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Behind the head, display sRGB."""
    condition: Literal["normals", "landmarks"] = "normals"
    """What the ControlNet was trained to see."""
    cameras: Literal["animportrait3d", "headstudio"] = "animportrait3d"
    """Whose; ``headstudio`` goes round the whole head and leaves ``yaw``, ``pitch`` and ``back_share`` aside."""
    start: Literal["avatar", "super_dense"] = "avatar"
    """Splats of the avatar, or ``per_triangle`` grey ones on each of its head's triangles."""
    per_triangle: int = 10
    shape_until: int = 0
    """Step from which the shape of the head is learned no more."""

    def __post_init__(self) -> None:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names) or not names:
            raise UserError(f"the phases are {', '.join(names) or 'none'}; there must be some, each with its own name")
        if self.learning_rates.shape and len(names) > 1:
            raise UserError(f"the shape of the head is learned in one phase alone, not in {', '.join(names)}")
        if self.cameras == "headstudio" and any("full" not in phase.regions for phase in self.phases):
            raise UserError("HeadStudio's cameras go round the whole head; add full to the regions of each phase")
        _within("edit_pool", self.edit_pool, 1, LONGEST)
        _within("batch", self.batch, 1, 1024)
        _within("rows", self.rows or 1, 1, LONGEST)
        _within("sh_degree", self.sh_degree, 0, 3)
        _within("per_triangle", self.per_triangle, 1, 100)
        _within("frame", self.frame, 64, 4096)
        _within("resolution", self.resolution, 8, 2048)
        if self.resolution % 8:
            raise UserError(f"resolution is {self.resolution}; it must be a multiple of 8")

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def scaled(self, num_steps_scale: float) -> RefinementConfig:
        """The same with every phase that many times as long, at least one step.

        Raises `UserError` for a scale that is no positive number.
        """
        if not 0 < num_steps_scale <= 10:
            raise UserError(f"num_steps_scale is {num_steps_scale}; it must be above 0 and at most 10, 1 as published")

        def to(step: int) -> int:
            return max(1, round(step * num_steps_scale))

        phases = []  # what the noise schedule says (timesteps, strength, edit_steps) stays
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
                    warm_steps=phase.warm_steps and to(phase.warm_steps),
                    late_from=phase.late_from and to(phase.late_from),
                    position_from=phase.position_from and to(phase.position_from),
                    densification=densification,
                )
            )
        return replace(
            self,
            phases=tuple(phases),
            edit_pool=to(self.edit_pool),
            shape_until=self.shape_until and to(self.shape_until),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; `from_dict` reads them again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> RefinementConfig:
        """From what `to_dict` gave, also by way of JSON; what is left out has its default.

        Raises `UserError` naming the field that is unknown, missing or no value that it can have.
        """
        return read(cls, values, "config")


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:  # also for NaN
        raise UserError(f"{name} is {value}; it goes from {lowest} to {highest}")
