"""Splats fitted to the pictures of a head that keeps still."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pipeline.avatar import Gaussians, Layer, SplatAvatar
from pipeline.reconstruction.multiview import Views
from pipeline.rendering.rasterize import rasterize
from pipeline.stages.config import Densification, LearningRates
from pipeline.stages.densification import Change, Statistics, densify, prune
from pipeline.stages.drawing import DEGREES
from pipeline.stages.journal import Journal, Progress, State
from pipeline.stages.photometric import photometric_loss
from pipeline.stages.randomness import generator
from pipeline.stages.regularizers import Start, position_penalty, scale_penalty
from pipeline.stages.splat_optimizer import SplatOptimizer
from pipeline.stages.training import BOUND, LEARNED, attributes, copies, with_attributes

PHASE = "initialization"


@dataclass(frozen=True)
class StaticFitConfig:
    """How splats are fitted; the rates are those published with AnimPortrait3D, whose extent is 2.985."""

    steps: int = 3000
    views: int = 1
    """Pictures of a step."""
    learning_rates: LearningRates = field(default_factory=lambda: LearningRates(means=5e-4 * 2.985))
    structure: float = 0.2
    """Share of the structural dissimilarity in the loss."""
    position_weight: float = 1e5
    """Of mean relu(| |x| − |x₀| | − 1)."""
    scale_weight: float = 1e4
    """Of mean ‖relu(exp(s) − limit)‖."""
    densification: Densification = field(
        default_factory=lambda: Densification(
            steps=tuple(range(200, 2801, 200)), prune_steps=tuple(range(200, 3001, 400)), most=120_000
        )
    )


@dataclass(frozen=True)
class Scene:
    """What splats are fitted to."""

    views: Views
    vertices: Tensor
    """(V, 3) of the posed rig."""
    held: Tensor
    """(F,) bool: triangles whose splats stay as they are."""
    extent: float
    """Metres: its size."""

    def to(self, device: torch.device) -> Scene:
        """With the tensors of each step on a device; the pictures stay, and go there one by one."""
        return replace(self, vertices=self.vertices.to(device), held=self.held.to(device))


def fit_to_views(
    avatar: SplatAvatar, scene: Scene, config: StaticFitConfig, seed: int, journal: Journal
) -> SplatAvatar:
    """The avatar, on the device of the scene, with splats that look like its views.

    What is inside the mouth, and what hangs on held triangles, stays exactly as it is. Pictures are drawn over a random
    colour at each step, which tells what is covered.

    Raises:
        Interrupted: the journal asked to stop.
    """
    found = journal.resume((PHASE,))
    fit = _StaticFit(avatar, scene, config, seed, None if found is None else found[1])
    while fit.done < config.steps:
        loss = fit.step()
        journal.step(Progress(PHASE, fit.done, config.steps, {"photometric": loss}), fit.avatar, fit.state)
    return fit.avatar


class _StaticFit:
    def __init__(
        self, avatar: SplatAvatar, scene: Scene, config: StaticFitConfig, seed: int, state: State | None
    ) -> None:
        self.done = 0
        self._scene, self._config, self._seed = scene, config, seed
        self._optimizer = SplatOptimizer(config.learning_rates)
        self._take(avatar, attributes(avatar))
        self._start = Start(self.avatar.means.detach().clone(), self.avatar.log_scales.detach().clone())
        self._statistics = Statistics.empty(self._start.means)
        if state is not None:
            self._load(state)

    @torch.enable_grad()
    def step(self) -> float:
        """One step of the optimiser; the photometric loss before it."""
        splats = self.avatar.gaussians(self._scene.vertices)
        loss, means2d, radii = self._difference(splats)
        (loss + self._penalty()).backward()
        self._statistics.add(_screen_gradients(means2d, self._scene.views.cameras[0].width), radii)
        self._optimizer.step({name: getattr(self.avatar, name) for name in LEARNED}, self._gradients())
        self.done += 1
        self._restructure()
        return float(loss.detach())

    def state(self) -> State:
        """A copy of everything that the next step depends on."""
        return {
            "step": self.done,
            "avatar": attributes(self.avatar),
            "optimizer": self._optimizer.state(),
            "start": copies(vars(self._start)),
            "densification": copies(vars(self._statistics)),
        }

    def _load(self, state: State) -> None:
        device = self._scene.vertices.device
        self.done = state["step"]
        self._take(self.avatar, copies(state["avatar"], device))
        self._optimizer.load(state["optimizer"], device)
        self._start = Start(**copies(state["start"], device))
        self._statistics = Statistics(**copies(state["densification"], device))

    def _take(self, avatar: SplatAvatar, values: dict[str, Tensor]) -> None:
        self.avatar = with_attributes(avatar, values).to(self._scene.vertices.device)
        self._trained = ~(self._scene.held[self.avatar.face.long()] | (self.avatar.layer == Layer.MOUTH))

    def _difference(self, splats: Gaussians) -> tuple[Tensor, Tensor, Tensor]:
        """The photometric loss of this step's views, and places and radii on the screen, (B, N, 2) and (B, N)."""
        rows, views = self._rows(), self._scene.views
        color = torch.rand(3, generator=generator(self._seed, PHASE, self.done, "background")).to(splats.means)
        cameras = [views.cameras[row] for row in rows]
        degree = DEGREES[splats.sh.shape[1]]
        renders, alphas, meta = rasterize(
            splats.means, splats.quats, splats.scales, splats.opacities,
            splats.colors if degree is None else splats.sh,
            torch.stack([camera.viewmat for camera in cameras]).to(color),
            torch.stack([camera.K for camera in cameras]).to(color),
            cameras[0].width, cameras[0].height, sh_degree=degree, backgrounds=color.expand(len(rows), 3),
            rasterize_mode=self.avatar.config["rasterize_mode"],
        )  # fmt: skip
        meta["means2d"].retain_grad()
        coverage = self._scene.views.pictures[rows][..., 3].to(color).div(255)
        loss = photometric_loss(
            renders.movedim(-1, 1),
            alphas[..., 0],
            self._scene.views.over(color, rows),
            coverage,
            self._config.structure,
        )
        radii = meta["radii"]
        return loss, meta["means2d"], radii.amax(-1) if radii.dim() == 3 else radii

    def _rows(self) -> list[int]:
        """The views of this step: all come once before any comes again."""
        count = len(self._scene.views.cameras)
        numbers = range(self.done * self._config.views, (self.done + 1) * self._config.views)
        return [int(_order(self._seed, number // count, count)[number % count]) for number in numbers]

    def _penalty(self) -> Tensor:
        config = self._config
        size = scale_penalty(self.avatar, self._start) / len(self.avatar.means)
        return config.position_weight * position_penalty(self.avatar, self._start) + config.scale_weight * size

    def _gradients(self) -> dict[str, Tensor]:
        gradients = {}
        for name in LEARNED:
            parameter = getattr(self.avatar, name)
            assert parameter.grad is not None
            gradients[name] = parameter.grad * self._trained.view(-1, *[1] * (parameter.dim() - 1))
            parameter.grad = None
        return gradients

    def _restructure(self) -> None:
        """Add and remove splats if it is time to."""
        options = self._config.densification
        if self.done in options.steps:
            draws = generator(self._seed, PHASE, self.done, "split")
            self._change(densify(self.avatar, self._statistics, options, self._trained, self._scene.extent, draws))
            self._statistics = Statistics.empty(self._start.means)
        if self.done in options.prune_steps:
            sizes = self._start.log_scales
            self._change(prune(self.avatar, None, options, self._trained, sizes, self._scene.extent))

    def _change(self, change: Change) -> None:
        values = {name: change.rows(getattr(self.avatar, name).detach()) for name in (*LEARNED, *BOUND)}
        self._take(self.avatar, values | {"means": change.means, "log_scales": change.log_scales})
        self._optimizer.follow(change.momentum, LEARNED)
        self._start = replace(
            self._start, means=change.rows(self._start.means), log_scales=change.rows(self._start.log_scales)
        )
        self._statistics = Statistics(*(change.momentum(values) for values in vars(self._statistics).values()))


def _screen_gradients(means2d: Tensor, width: int) -> Tensor:
    """(B, N) norms in normalised device units, of each view's own loss: the step's is the mean over its views."""
    assert means2d.grad is not None
    return means2d.grad.norm(dim=2) * (len(means2d) * width / 2)


def _order(seed: int, round_: int, count: int) -> Tensor:
    return torch.randperm(count, generator=generator(seed, PHASE, "round", round_))
