"""The gradient of each distillation loss against its formula, written out again on a linear UNet."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.prompts import PromptBatch
from pipeline.guidance.score_distillation import DISTILLATIONS, Step, dsd, interval, ism, sds
from tests.guidance.toy import EMBED, ToyUnet, ToyVae, toy_model, toy_scheduler

GUIDANCE = 7.5


def _step(t, rows=3, index=0, weight=None, inversions=3, seed=0, latents=None):
    made = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=made)

    timesteps = torch.tensor(t) if isinstance(t, list) else torch.full((rows,), t)
    texts = [normal(rows, 3, EMBED) for _ in range(3)]
    drawn = normal(rows, 4, 2, 2)
    return Step(
        latents=drawn.requires_grad_() if latents is None else latents,
        prompts=PromptBatch(*texts),
        conditions=torch.rand(rows, 4, 16, 16, generator=made),
        condition_scale=torch.tensor([1.0, 0.0, 1.5])[:rows],
        noise=normal(rows, 4, 2, 2),
        timesteps=timesteps,
        guidance_scale=GUIDANCE,
        interval=interval(index, 400),
        weight=weight,
        inversions=inversions,
    )


class _Formula:
    """What the toy modules answer and the published formulas, one row at a time in double precision."""

    def __init__(self, model, step, row):
        unet = model.unet
        self.mix, self.time, self.text = unet.mix.double(), unet.time.double(), unet.text.double()
        self.kept = model.alphas_cumprod.double()
        self.added = 1.5 * step.condition_scale[row].double() * functional.avg_pool2d(step.conditions[row].double(), 8)
        self.texts = {name: getattr(step.prompts, name)[row].double() for name in ("positive", "negative", "null")}
        self.z, self.noise = step.latents[row].detach().double(), step.noise[row].double()
        self.t, self.interval = int(step.timesteps[row]), step.interval

    def seen(self, z, t, text):
        flat = (
            torch.tensordot(self.mix, z, 1)
            + (t / 1000 * self.time + self.text @ self.texts[text].mean(0))[:, None, None]
        )
        return flat + self.added

    def noised(self, t):
        return self.kept[t].sqrt() * self.z + (1 - self.kept[t]).sqrt() * self.noise

    def inverted(self, z, now, then):
        seen = self.seen(z, now, "null")
        clean = (z - (1 - self.kept[now]).sqrt() * seen) / self.kept[now].sqrt()
        return self.kept[then].sqrt() * clean + (1 - self.kept[then]).sqrt() * seen, seen

    def ism(self, inversions=3):
        s = max(self.t - self.interval, 0)
        now = max(s - 50 * inversions, 0)
        z = self.noised(now)
        for _ in range(inversions):
            if now == s:
                break
            then = min(now + 50, s)
            z, _ = self.inverted(z, now, then)
            now = then
        z, target = self.inverted(z, s, self.t)
        negative, positive = self.seen(z, self.t, "negative"), self.seen(z, self.t, "positive")
        weight = ((1 - self.kept[self.t]) / self.kept[self.t]).sqrt()
        return weight * (negative + GUIDANCE * (positive - negative) - target)

    def sds(self):
        z = self.noised(self.t)
        text, null = self.seen(z, self.t, "positive"), self.seen(z, self.t, "null")
        return (1 - self.kept[self.t]) * (null + GUIDANCE * (text - null) - self.noise)

    def dsd(self):
        z = self.noised(self.t)
        text, null, negative = (self.seen(z, self.t, name) for name in ("positive", "null", "negative"))
        domain = null if self.t < 200 else null - negative
        return (1 - self.kept[self.t]) * (GUIDANCE * (text - null) + domain)


def _expected(model, step, name, **options):
    rows = [getattr(_Formula(model, step, row), name)(**options) for row in range(len(step.latents))]
    return torch.stack(rows).float()


def _gradient(loss, step):
    return torch.autograd.grad(loss, step.latents)[0]


def _is_equal(value, expected):
    return ((value - expected).abs() <= 1e-5 * expected.abs().max()).all()


@pytest.mark.parametrize("index", [0, 123, 400, 900])
@pytest.mark.parametrize("t", [15, 60, 101, 180, 260, 300, 555, 750])
def test_interval_score_matching(t, index):
    model, step = toy_model(), _step(t, index=index)
    loss = ism(model, step)
    assert _is_equal(_gradient(loss, step), _expected(model, step, "ism"))


@pytest.mark.parametrize("inversions", [0, 1, 2])
def test_fewer_inversions(inversions):
    model, step = toy_model(), _step(500, inversions=inversions)
    assert _is_equal(_gradient(ism(model, step), step), _expected(model, step, "ism", inversions=inversions))
    assert model.unet.rows == [3] * (inversions + 1) + [6]


@pytest.mark.parametrize("t", [40, 300, 750])
def test_inversions_change_nothing_where_the_model_recognises_the_latents(t):
    """Why they may be left out: a noise that leads back to the latents is the same all along the inversion."""

    class Knowing(ToyUnet):
        def forward(self, latents, timesteps, encoder_hidden_states, **residuals):
            kept = toy_scheduler().alphas_cumprod[timesteps].view(-1, 1, 1, 1)
            clean = encoder_hidden_states.mean((1, 2)).view(-1, 1, 1, 1) + step.latents.detach().repeat(
                len(latents) // 3, 1, 1, 1
            )
            return SimpleNamespace(sample=(latents - kept.sqrt() * clean) / (1 - kept).sqrt())

    step = replace(_step(t), condition_scale=torch.zeros(3))
    step = replace(step, prompts=replace(step.prompts, null=torch.zeros(3, 3, EMBED)))
    model = DiffusionModel(Knowing(), ToyVae(), toy_scheduler())
    with_them = _gradient(ism(model, step), step)
    without = _gradient(ism(model, replace(step, inversions=0)), step)
    assert _is_equal(without, with_them)
    assert with_them.abs().max() > 0.1


@pytest.mark.parametrize("name", ["sds", "dsd"])
def test_score_distillation_of_different_timesteps(name):
    model, step = toy_model(), _step([20, 199, 200])
    assert _is_equal(_gradient(DISTILLATIONS[name](model, step), step), _expected(model, step, name))


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_the_loss_is_half_the_square_of_its_gradient(name):
    model, step = toy_model(), _step(400)
    loss = DISTILLATIONS[name](model, step)
    assert torch.allclose(loss, 0.5 * _gradient(loss, step).square().sum(), rtol=1e-4)


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_the_gradient_reaches_the_picture_through_the_vae(name):
    model = toy_model()
    images = torch.rand(3, 3, 16, 16, requires_grad=True)
    step = _step(300, latents=model.encode(images, torch.randn(3, 4, 2, 2)))
    (gradient,) = torch.autograd.grad(DISTILLATIONS[name](model, step), images)
    in_squares = torch.einsum("ki,bihw->bkhw", model.vae.axes, _expected(model, step, name))
    assert _is_equal(gradient, 2 * 0.18215 * functional.pixel_shuffle(in_squares, 8))


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_a_batch_is_the_same_as_one_by_one(name):
    step = _step(444)
    together = _gradient(DISTILLATIONS[name](toy_model(), step), step)
    for row in range(3):
        part = slice(row, row + 1)
        latents = step.latents[part].detach().requires_grad_()
        alone = Step(
            latents, step.prompts[part], step.conditions[part], step.condition_scale[part], step.noise[part],
            step.timesteps[part], GUIDANCE, step.interval,
        )  # fmt: skip
        assert torch.allclose(_gradient(DISTILLATIONS[name](toy_model(), alone), alone), together[part], atol=1e-4)


@pytest.mark.parametrize("name", DISTILLATIONS)
def test_what_another_crop_guides_is_left_alone(name):
    weight = torch.ones(3, 1, 2, 2)
    weight[1, :, 0] = 0
    masked, free = _step(333, weight=weight), _step(333)
    gradient = _gradient(DISTILLATIONS[name](toy_model(), masked), masked)
    assert (gradient[1, :, 0] == 0).all()
    expected = weight * _gradient(DISTILLATIONS[name](toy_model(), free), free)
    assert torch.allclose(gradient, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("t", "index", "inversions"),
    [
        (750, 0, 3),
        (250, 0, 3),
        (201, 0, 3),
        (200, 0, 2),
        (150, 0, 1),
        (101, 0, 1),
        (100, 0, 0),
        (15, 0, 0),
        (100, 400, 1),
    ],
)
def test_a_step_calls_the_unet_five_times_and_fewer_near_the_end(t, index, inversions):
    """Each call holds the whole batch; the ControlNet sees conditioned rows alone."""
    model = toy_model()
    ism(model, _step(t, index=index))
    assert model.unet.rows == [3] * inversions + [3, 6]
    assert model.controlnet.rows == [2] * inversions + [2, 4]


def test_the_other_losses_call_the_unet_once():
    for loss, texts in ((sds, 2), (dsd, 3)):
        model = toy_model()
        loss(model, _step(400))
        assert model.unet.rows == [3 * texts]
        assert model.controlnet.rows == [2 * texts]


def test_the_interval_falls_from_100_to_50():
    assert [interval(index, 400) for index in (0, 1, 8, 123, 399, 400, 900)] == [100, 100, 99, 85, 51, 50, 50]
    assert [interval(index, 100) for index in (0, 2, 100)] == [interval(index, 400) for index in (0, 8, 400)]
    assert interval(0, 0) == 100


def test_interval_score_matching_wants_one_timestep():
    with pytest.raises(ValueError, match=r"one timestep for all crops, not \[20, 20, 30\]"):
        ism(toy_model(), _step([20, 20, 30]))
