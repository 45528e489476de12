"""Every constant of Portrait3D's way from a sentence to a tri-grid.

Names and numbers are those of the paper (Wu et al., Portrait3D, SIGGRAPH 2024, sections 3.3 to 3.5) and, where it is
silent, of its published code. Timesteps are of 1000, angles degrees, sizes pixels, lengths the world's units, in which
the tri-grid is a cube of 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.errors import UserError

TRAIN_TIMESTEPS = 1000
LONGEST = 1_000_000
"""Steps of a phase."""
FEWEST_SAMPLES = 4
"""On a ray: the two outermost have no part in placing others."""
INVERSION, DISTILLATION, VIEW_FIT = "inversion", "sds", "view_fit"
"""The phases, as a journal knows them."""


def _within(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:  # also for NaN
        raise UserError(f"{name} is {value}; it goes from {lowest} to {highest}")


def _check_kept(name: str, shares: tuple[float, ...]) -> None:
    """What is kept of running means from one step to the next: with all of it they would stay zero."""
    for index, share in enumerate(shares):
        _within(f"{name}[{index}]", share, 0, 1 - 1e-6)


@dataclass(frozen=True)
class ImageConfig:
    """Section 3.3: the portrait that the generator is to show, made by the diffusion model from the sentence."""

    prefix: str = "upper body photo"
    """Words that the text must begin with: they decide how much of the person is in the picture."""
    negative: str = ""
    size: int = 512
    """Width and height."""
    steps: int = 50
    """Of PLMS (Liu et al. 2022), as the published script runs it."""
    guidance_scale: float = 5.0
    samples: int = 6
    """Pictures that are made, of which one goes on."""

    def __post_init__(self) -> None:
        _within("image.size", self.size, 64, 2048)
        if self.size % 8:
            raise UserError(f"image.size is {self.size}; it must be a multiple of 8")
        _within("image.steps", self.steps, 1, TRAIN_TIMESTEPS)
        _within("image.guidance_scale", self.guidance_scale, 0, 1000)
        _within("image.samples", self.samples, 1, 100)


@dataclass(frozen=True)
class InversionConfig:
    """Section 3.3: latents of the generator that show the portrait, by the projector of StyleGAN2.

    Karras et al. 2020, appendix D; the constants are those of Portrait3D's run_inversion script.
    """

    steps: int = 500
    learning_rate: float = 0.01
    """Of Adam at its peak, for latents and noise alike."""
    betas: tuple[float, float] = (0.9, 0.999)
    ramp_up: float = 0.05
    """Share of the steps in which the learning rate rises linearly from 0."""
    ramp_down: float = 0.25
    """Share of the steps in which it falls to 0 as a cosine."""
    mean_samples: int = 600
    """Latents whose mean is the start and whose deviation measures the noise on the latents."""
    mean_seed: int = 123
    latent_noise: float = 0.05
    """Standard deviation of the noise on the latents at first, in deviations of the generator's latents."""
    latent_noise_until: float = 0.75
    """Share of the steps after which there is none; it falls to there as a square."""
    noise_weight: float = 1e5
    """Of the autocorrelation of the noise images."""
    compared_size: int = 256
    """Pictures are compared at this size."""
    samples: int = 96
    """On each ray, in each of the two passes."""

    def __post_init__(self) -> None:
        _within("inversion.steps", self.steps, 1, LONGEST)
        _within("inversion.learning_rate", self.learning_rate, 0, 10)
        _check_kept("inversion.betas", self.betas)
        _within("inversion.mean_samples", self.mean_samples, 2, LONGEST)
        _within("inversion.compared_size", self.compared_size, 16, 2048)
        _within("inversion.samples", self.samples, FEWEST_SAMPLES, 1024)
        for name in ("ramp_up", "ramp_down", "latent_noise_until"):
            _within(f"inversion.{name}", getattr(self, name), 0, 1)


@dataclass(frozen=True)
class AdanConfig:
    """Adan (Xie et al. 2022), as Portrait3D's code calls it."""

    betas: tuple[float, float, float] = (0.98, 0.92, 0.99)
    """How much is kept of the mean gradient, of its differences and of the squares; the paper's 1 - β."""
    eps: float = 1e-8
    weight_decay: float = 2e-5
    max_grad_norm: float = 5.0
    """Of all gradients together, beyond which they are scaled down."""

    def __post_init__(self) -> None:
        _check_kept("adan.betas", self.betas)
        _within("adan.eps", self.eps, 1e-30, 1)
        _within("adan.weight_decay", self.weight_decay, 0, 1)
        _within("adan.max_grad_norm", self.max_grad_norm, 1e-6, 1e12)


@dataclass(frozen=True)
class DistillationConfig:
    """Section 3.4: score distillation sampling on the tri-grid; the decoder and its style stay."""

    steps: int = 2000
    size: int = 128
    """Of the view that is rendered; it is enlarged to that of the diffusion model."""
    encoded_size: int = 512
    samples: int = 48
    """On each ray, in each of the two passes."""
    guidance_scale: float = 100.0
    timesteps: tuple[int, int] = (20, 400)
    """Drawn from, both included."""
    learning_rates: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.1)
    """Of each level, from 8² to 512²: the code's 5e-3 times 200, 40 and 20."""
    adan: AdanConfig = AdanConfig()
    ema: float = 0.95
    """How much of the running mean is kept at each of its updates; the mean is the result."""
    ema_every: int = 100
    """Steps from one update of the mean to the next."""
    entropy_weight: float = 1e-3
    """Of the entropy of the samples' weights; it rises from 0 in the first half of the steps."""
    polar: tuple[float, float] = (60.0, 105.0)
    """Of the cameras, from straight up."""
    azimuth: tuple[float, float] = (-180.0, 180.0)
    """From the front towards the subject's left."""
    radius: float = 2.7
    fov: float = 12.447863
    """In the code's own convention: the focal length is 1 / (√2 tan(fov / 2)) widths of the picture, so that the true
    field of view is 8.8°."""
    pivot: float = 0.0649
    """Height of the point on the axis that cameras look at."""

    def __post_init__(self) -> None:
        _within("distillation.steps", self.steps, 1, LONGEST)
        _within("distillation.size", self.size, 8, 2048)
        _within("distillation.encoded_size", self.encoded_size, 16, 2048)
        if self.encoded_size % 8:
            raise UserError(f"distillation.encoded_size is {self.encoded_size}; it must be a multiple of 8")
        _within("distillation.samples", self.samples, FEWEST_SAMPLES, 1024)
        _within("distillation.ema", self.ema, 0, 1)
        _within("distillation.ema_every", self.ema_every, 1, LONGEST)
        for name, highest in (("timesteps", TRAIN_TIMESTEPS - 1), ("polar", 180.0), ("azimuth", 180.0)):
            lowest = -highest if name == "azimuth" else 0
            first, last = getattr(self, name)
            _within(f"distillation.{name}[0]", first, lowest, last)
            _within(f"distillation.{name}[1]", last, first, highest)
        if not self.learning_rates:
            raise UserError("distillation.learning_rates is empty; give one for each level of the tri-grid")


@dataclass(frozen=True)
class ViewRefinementConfig:
    """Section 3.5: views that the diffusion model made sharper, and the tri-grid fitted to them."""

    horizontal: int = 7
    """Views round the head: angles k · 360° / 7 of the look-at sampler, in which 90° is the front."""
    horizontal_offset: float = 0.0
    """Added to them. As published none is an exact front view, the nearest being 102.9°; 38.5714 makes one."""
    vertical: tuple[float, ...] = (60.0, 90.0, 120.0)
    """The sampler's other angle v, 90 being level; the polar angle is arccos(1 - 2v / 180°)."""
    vertical_jitter: float = 5.0
    """Most that is added to or taken from it, uniformly."""
    size: int = 512
    view_samples: int = 96
    """On each ray of the views, in each of the two passes."""
    timestep: int = 200
    """Noise from which views are denoised again."""
    schedule: int = 50
    """Steps of DDIM from pure noise, of which those up to ``timestep`` are run."""
    guidance_scale: float = 7.5
    negative: str = "worst quality, low quality, jpeg artifacts, blurry"
    edit_seed: int = 42
    batch: int = 1
    """Views that the diffusion model sees at once."""
    epochs: int = 19
    """How often each view is fitted to; a step is one view."""
    learning_rate: float = 1.0
    """Of every level."""
    adan: AdanConfig = AdanConfig()
    patch: int = 256
    """Width and height of the part of the view that a step renders."""
    samples: int = 48
    """On each ray of the fit, in each of the two passes."""
    weight: float = 1000.0
    """Of the mean of the squared differences in -1..1, each times the coverage of its pixel."""

    def __post_init__(self) -> None:
        _within("view_refinement.horizontal", self.horizontal, 1, 360)
        _within("view_refinement.size", self.size, 16, 2048)
        if self.size % 8:
            raise UserError(f"view_refinement.size is {self.size}; it must be a multiple of 8")
        _within("view_refinement.timestep", self.timestep, 1, TRAIN_TIMESTEPS - 1)
        _within("view_refinement.schedule", self.schedule, 1, TRAIN_TIMESTEPS)
        _within("view_refinement.epochs", self.epochs, 1, LONGEST)
        _within("view_refinement.batch", self.batch, 1, 1024)
        _within("view_refinement.view_samples", self.view_samples, FEWEST_SAMPLES, 1024)
        _within("view_refinement.samples", self.samples, FEWEST_SAMPLES, 1024)
        _within("view_refinement.patch", self.patch, 8, self.size)
        _within("view_refinement.vertical_jitter", self.vertical_jitter, 0, 45)
        if not self.vertical:
            raise UserError("view_refinement.vertical is empty; give one angle at least, 90 being level")
        for index, angle in enumerate(self.vertical):
            _within(f"view_refinement.vertical[{index}]", angle, self.vertical_jitter, 180 - self.vertical_jitter)

    @property
    def views(self) -> int:
        """How many there are; 21 as published."""
        return self.horizontal * len(self.vertical)

    @property
    def steps(self) -> int:
        """Of the fit."""
        return self.epochs * self.views


@dataclass(frozen=True)
class Portrait3DConfig:
    """From a sentence to a tri-grid."""

    image: ImageConfig = ImageConfig()
    inversion: InversionConfig = InversionConfig()
    distillation: DistillationConfig = DistillationConfig()
    view_refinement: ViewRefinementConfig = ViewRefinementConfig()
    seed: int = 0
    """Of all draws but those with a seed of their own."""

    @property
    def phases(self) -> tuple[tuple[str, int], ...]:
        """Names and steps of the optimisations, in order."""
        return (
            (INVERSION, self.inversion.steps),
            (DISTILLATION, self.distillation.steps),
            (VIEW_FIT, self.view_refinement.steps),
        )

    def scaled(self, num_steps_scale: float) -> Portrait3DConfig:
        """The same with every phase that many times as long, at least one step.

        Raises `UserError` for a scale that is no positive number.
        """
        if not 0 < num_steps_scale <= 10:
            raise UserError(f"num_steps_scale is {num_steps_scale}; it must be above 0 and at most 10, 1 as published")

        def to(steps: int) -> int:
            return max(1, round(steps * num_steps_scale))

        distillation, views = self.distillation, self.view_refinement
        return replace(
            self,
            inversion=replace(self.inversion, steps=to(self.inversion.steps)),
            distillation=replace(distillation, steps=to(distillation.steps), ema_every=to(distillation.ema_every)),
            view_refinement=replace(views, epochs=to(views.epochs)),
        )
