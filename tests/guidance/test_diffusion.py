"""The diffusion model's parts put together: encoding, noise of any kind of prediction, conditioned rows."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.guidance import diffusion
from pipeline.guidance.diffusion import DiffusionModel, for_speed, guidance_embedding
from tests.guidance.toy import EMBED, ToyUnet, ToyVae, toy_model, toy_scheduler
from tests.tiny_checkpoint import tiny_components


def _inputs(rows: int, size: int = 2):
    latents, embeds = torch.randn(rows, 4, size, size), torch.randn(rows, 3, EMBED)
    return latents, torch.randint(1, 999, (rows,)), embeds, torch.rand(rows, 4, 8 * size, 8 * size)


@pytest.fixture(scope="module")
def tiny():
    parts = tiny_components()
    return DiffusionModel(parts["unet"], parts["vae"], parts["scheduler"], parts["controlnet"])


def test_latents_are_drawn_from_the_posterior_and_scaled():
    model = toy_model()
    images, noise = torch.rand(2, 3, 16, 24), torch.randn(2, 4, 2, 3)
    squares = functional.pixel_unshuffle(2 * images - 1, 8)
    mean = torch.einsum("ki,bkhw->bihw", model.vae.axes, squares)
    assert torch.allclose(model.encode(images, noise), 0.18215 * (mean + 0.1 * noise), atol=1e-6)
    assert model.latent_shape(16, 24) == (4, 2, 3)


def test_a_picture_of_another_size_is_resized():
    assert toy_model().encode(torch.rand(1, 3, 50, 50), torch.randn(1, 4, 4, 4)).shape == (1, 4, 4, 4)


def test_encoding_in_parts_changes_neither_latents_nor_gradients(tiny, monkeypatch):
    images, noise = torch.rand(5, 3, 32, 32), torch.randn(5, 4, 4, 4)
    results = []
    for rows in (8, 2):
        monkeypatch.setattr(diffusion, "VAE_PIXELS", rows * 32**2)
        given = images.clone().requires_grad_()
        latents = tiny.encode(given, noise)
        (gradient,) = torch.autograd.grad((latents * noise).sum(), given)
        results.append((latents, gradient))
    assert torch.allclose(results[0][0], results[1][0], atol=1e-5)
    assert torch.allclose(results[0][1], results[1][1], atol=1e-5)
    assert results[0][1].abs().max() > 1e-3
    assert all(parameter.grad is None for parameter in tiny.vae.parameters())


def test_a_decoded_picture_is_in_range_and_comes_back():
    model = toy_model()
    images = model.decode(torch.randn(3, 4, 2, 2) * 0.2)
    assert images.shape == (3, 3, 16, 16)
    assert 0 <= images.min() <= images.max() <= 1
    inside = model.decode(torch.randn(1, 4, 2, 2) * 0.02)
    assert torch.allclose(model.decode(model.encode(inside, torch.zeros(1, 4, 2, 2))), inside, atol=1e-5)


def test_noise_is_added_as_by_the_scheduler():
    model = toy_model()
    latents, timesteps, *_ = _inputs(3)
    noise = torch.randn_like(latents)
    expected = toy_scheduler().add_noise(latents, noise, timesteps)
    assert torch.allclose(model.add_noise(latents, noise, timesteps), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_kind_of_prediction_becomes_the_same_noise_that_the_scheduler_sees(kind):
    """With z0 as the scheduler derives it from the model's answer, z_t = sqrt(ᾱ) z0 + sqrt(1 - ᾱ) ε must hold."""
    model, scheduler = toy_model(kind), toy_scheduler(kind)
    latents, timesteps, embeds, _ = _inputs(1)
    answer = model.predict(latents, timesteps, embeds, None)
    scheduler.set_timesteps(1000)
    clean = scheduler.step(answer, int(timesteps), latents).pred_original_sample
    noise = model.predict_noise(latents, timesteps, embeds, None)
    assert torch.allclose(model.add_noise(clean, noise, timesteps), latents, atol=1e-4)


def test_only_conditioned_rows_reach_the_controlnet_each_with_its_scale():
    model = toy_model()
    latents, timesteps, embeds, conditions = _inputs(4)
    scale = torch.tensor([1.0, 0.0, 1.5, 0.0])
    noise = model.predict_noise(latents, timesteps, embeds, conditions, scale)
    bare = model.predict_noise(latents, timesteps, embeds, None)
    added = 1.5 * functional.avg_pool2d(conditions, 8) * scale.view(-1, 1, 1, 1)
    assert torch.allclose(noise - bare, added, atol=1e-5)
    assert model.controlnet.rows == [2]
    assert model.unet.rows == [4, 4]


def test_conditions_of_another_size_are_resized():
    latents, timesteps, embeds, _ = _inputs(1)
    model = toy_model()
    grey = torch.full((1, 4, 64, 64), 0.5)
    added = model.predict(latents, timesteps, embeds, grey) - model.predict(latents, timesteps, embeds, None)
    assert torch.allclose(added, torch.full_like(added, 0.75), atol=1e-5)


def test_calls_in_parts_answer_the_same():
    latents, timesteps, embeds, conditions = _inputs(5)
    scale = torch.tensor([0.0, 0.0, 1.0, 0.5, 1.0])
    whole, parts = toy_model(), toy_model(rows=2)
    expected = whole.predict_noise(latents, timesteps, embeds, conditions, scale)
    assert torch.allclose(parts.predict_noise(latents, timesteps, embeds, conditions, scale), expected, atol=1e-6)
    assert parts.unet.rows == [2, 2, 1]
    assert parts.controlnet.rows == [2, 1]


def test_rows_of_a_real_network_do_not_disturb_each_other(tiny):
    latents, timesteps, conditions = torch.randn(3, 4, 4, 4), torch.tensor([5, 300, 900]), torch.rand(3, 4, 32, 32)
    embeds, scale = torch.randn(3, 77, 32), torch.tensor([1.0, 0.0, 0.5])
    together = tiny.predict_noise(latents, timesteps, embeds, conditions, scale)
    alone = [
        tiny.predict_noise(*(x[i : i + 1] for x in (latents, timesteps, embeds, conditions, scale))) for i in range(3)
    ]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    unconditioned = tiny.predict_noise(latents, timesteps, embeds, None)
    assert (together - unconditioned).abs().amax((1, 2, 3)).gt(1e-4).tolist() == [True, False, True]


def test_no_gradient_passes_the_unet(tiny):
    latents = torch.randn(1, 4, 4, 4, requires_grad=True)
    answer = tiny.predict_noise(latents, torch.tensor([5]), torch.randn(1, 77, 32), torch.rand(1, 4, 32, 32))
    assert not answer.requires_grad


def test_half_precision_answers_in_single():
    parts = tiny_components()
    half = [parts[name].to(torch.bfloat16) for name in ("unet", "vae", "controlnet")]
    model = DiffusionModel(half[0], half[1], parts["scheduler"], half[2])
    images = torch.rand(1, 3, 32, 32, requires_grad=True)
    latents = model.encode(images, torch.randn(1, 4, 4, 4))
    answer = model.predict_noise(latents, torch.tensor([5]), torch.randn(1, 77, 32), torch.rand(1, 4, 32, 32))
    assert latents.dtype == answer.dtype == model.decode(latents).dtype == torch.float32
    assert torch.autograd.grad(latents.sum(), images)[0].dtype == torch.float32


def test_a_latent_consistency_model_is_told_its_guidance_scale():
    parts = tiny_components()
    unet = UNet2DConditionModel.from_config(parts["unet"].config, time_cond_proj_dim=8)
    model = DiffusionModel(unet, parts["vae"], parts["scheduler"])
    inputs = torch.randn(1, 4, 4, 4), torch.tensor([400]), torch.randn(1, 77, 32), None
    weak, strong = (model.predict(*inputs, guidance_scale=scale) for scale in (1.0, 8.0))
    assert model.guided_inside
    assert (weak - strong).abs().max() > 1e-4


def test_the_embedding_of_the_guidance_scale_is_that_of_diffusers():
    from diffusers import LatentConsistencyModelPipeline as Pipeline

    expected = Pipeline.get_guidance_scale_embedding(None, torch.tensor([6.5]), embedding_dim=256)
    assert torch.allclose(guidance_embedding(7.5, 256), expected, atol=1e-3)


def test_a_scheduler_without_a_noise_schedule_is_refused_by_name():
    with pytest.raises(UserError, match="FlowMatchEulerDiscreteScheduler"):
        DiffusionModel(ToyUnet(), ToyVae(), FlowMatchEulerDiscreteScheduler())


def test_what_is_made_fast_answers_the_same():
    inputs = _inputs(2)
    expected = toy_model().predict_noise(*inputs)
    assert torch.equal(for_speed(toy_model()).predict_noise(*inputs), expected)


def test_attention_is_pytorchs_own(tiny):
    processors = [*tiny.unet.attn_processors.values(), *tiny.controlnet.attn_processors.values()]
    assert {type(processor).__name__ for processor in processors} == {"AttnProcessor2_0"}
