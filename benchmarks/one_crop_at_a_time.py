"""AnimPortrait3D's own schedule of a refinement, as its published code runs it: every crop by itself, nothing kept.

Each view is drawn as one frame and cut up. Distillation inverts and denoises crop after crop; an SDEdit target is made
anew in every step, from a second drawing of the frozen start, with the texts encoded again and a whole pass of its own.
Left out in its favour: videos under way, pictures through PIL, the second copy of the VAE.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.diffusion_sizes import Networks
from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.guidance import Guidance
from pipeline.guidance.prompts import PromptBatch
from pipeline.guidance.score_distillation import Step, interval, ism
from pipeline.guidance.sdedit import edit
from pipeline.guidance.shot import Shot, View
from pipeline.stages.appearance import photometric_loss
from pipeline.stages.cameras import portrait_orbit
from pipeline.stages.config import Phase, RefinementConfig
from pipeline.stages.drawing import draw, pose_vertices
from pipeline.stages.training import Training


class Forgetful(DiffusionModel):
    """Empties PyTorch's cache of GPU memory after each prediction of noise, as the published code does."""

    def predict_noise(self, *arguments: Tensor | None, **options: Tensor | None) -> Tensor:
        answer = super().predict_noise(*arguments, **options)  # type: ignore[arg-type]
        torch.cuda.empty_cache()
        return answer


@dataclass(frozen=True)
class Cut:
    """A crop of a frame."""

    shot: Shot
    left: int
    top: int
    side: int

    def of(self, frame: Tensor) -> Tensor:
        """(1,K,side,side) of a frame (1,K,H,W)."""
        return frame[:, :, self.top : self.top + self.side, self.left : self.left + self.side]


class OneCropAtATime:
    """One phase; `step` is one iteration of the original."""

    def __init__(
        self, avatar: SplatAvatar, phase: Phase, guidance: Guidance, networks: Networks, config: RefinementConfig
    ) -> None:
        self._phase, self._guidance, self._networks, self._config = phase, guidance, networks, config
        model = guidance.model
        self._model = Forgetful(model.unet, model.vae, networks.scheduler, model.controlnet, device=model.device)
        self._training = Training(avatar, phase, config, model.device)
        self._start = avatar
        self._K = portrait_orbit(avatar.rig).camera(90, 90, config.frame).K
        self._compare = photometric_loss(phase.photometric, model.device, lambda note: None)
        self._draws = torch.Generator().manual_seed(0)

    def step(self, index: int, timestep: int, views: list[View]) -> None:
        """Iteration ``index`` at ``timestep``, which SDEdit does not use."""
        for view in views:
            vertices = pose_vertices(self._training.avatar.rig, [view.pose])[0]
            camera = Camera(view.shots[0].camera.viewmat, self._K, self._config.frame, self._config.frame)
            frame = self._frame(self._training.avatar, view, camera, vertices)
            shown = self._guidance.condition(vertices, [camera]) if self._phase.conditioned else None
            if self._phase.method == "sdedit":
                with torch.no_grad():
                    start = self._frame(self._start, view, camera, vertices)
            losses = []
            for cut in map(self._cut, view.shots):
                condition = None
                if shown is not None and cut.shot.conditioned:
                    condition = self._enlarged(cut.of(shown))
                if self._phase.method == "sdedit":
                    losses.append(self._edited(cut, cut.of(frame), cut.of(start), condition))
                else:
                    losses.append(self._distilled(cut, cut.of(frame), condition, index, timestep))
            torch.stack(losses).sum().backward()
        gradients = self._training.take_gradients()
        # random networks guide nowhere; what is not finite would only slow the rasteriser down
        self._training.step({name: gradient.nan_to_num(0, 0, 0) for name, gradient in gradients.items()})

    def _frame(self, avatar: SplatAvatar, view: View, camera: Camera, vertices: Tensor) -> Tensor:
        whole = View(view.pose, (Shot("full", camera, view.shots[0].direction, False),))
        return draw(avatar, whole, vertices, self._config.background).images

    def _cut(self, shot: Shot) -> Cut:
        """Where a shot's camera looks, in pixels of the frame."""
        K = shot.camera.K
        zoom = float(K[0, 0] / self._K[0, 0])
        left, top = (round(float(self._K[axis, 2] - K[axis, 2] / zoom)) for axis in (0, 1))
        return Cut(shot, left, top, round(shot.camera.width / zoom))

    def _enlarged(self, picture: Tensor) -> Tensor:
        return functional.interpolate(picture, (self._config.resolution,) * 2, mode="bilinear")

    def _distilled(self, cut: Cut, picture: Tensor, condition: Tensor | None, index: int, timestep: int) -> Tensor:
        image = self._enlarged(picture)
        step = Step(
            latents=self._model.encode(image, self._noise(image)),
            prompts=self._guidance.prompts.batch([cut.shot], self._phase.negative, self._phase.named_views),
            conditions=condition,
            condition_scale=torch.tensor([1.0]),
            noise=self._noise(image),
            timesteps=torch.tensor([timestep]),
            guidance_scale=self._phase.guidance_scale,
            interval=interval(index, self._phase.warm_steps),
        )
        return ism(self._model, step)

    def _edited(self, cut: Cut, picture: Tensor, start: Tensor, condition: Tensor | None) -> Tensor:
        texts = [self._networks.encode_text(1) for _ in range(2)]
        target = edit(
            self._model,
            self._guidance.scheduler,
            self._enlarged(start),
            PromptBatch(*texts, texts[1]),
            condition,
            torch.tensor([1.0]),
            strength=self._phase.strength,
            steps=self._phase.edit_steps,
            guidance_scale=self._phase.guidance_scale,
            generators=[self._draws],
            batch=1,
        )
        target = functional.interpolate(target, picture.shape[-2:], mode="bilinear")
        return self._compare(picture, target.to(picture)).sum()

    def _noise(self, image: Tensor) -> Tensor:
        return torch.randn(1, *self._model.latent_shape(*image.shape[-2:]), generator=self._draws)
