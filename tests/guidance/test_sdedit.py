"""Edited pictures: any scheduler, any batch, and the folder in which they are kept."""

import diffusers
import pytest
import torch

from pipeline.errors import UserError
from pipeline.guidance.diffusion import DiffusionModel
from pipeline.guidance.prompts import PromptBatch
from pipeline.guidance.sdedit import Targets, edit
from tests.guidance.toy import EMBED, NOISE, ToyUnet, ToyVae, toy_model, toy_scheduler
from tests.tiny_checkpoint import tiny_components

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
    "TCDScheduler",
)


def _scheduler(name, **options):
    kind = getattr(diffusers, name)
    options = {"skip_prk_steps": True, **options} if name == "PNDMScheduler" else options
    return kind.from_config({**NOISE, "clip_sample": False}, **options)


def _edit(model, scheduler, images, batch=8, strength=0.5, steps=8, guidance_scale=5.0, scale=1.0):
    made = torch.Generator().manual_seed(3)
    rows = len(images)
    prompts = PromptBatch(*(torch.randn(rows, 3, EMBED, generator=made) for _ in range(3)))
    return edit(
        model,
        scheduler,
        images,
        prompts,
        torch.rand(rows, 4, *images.shape[-2:], generator=made),
        torch.full((rows,), scale),
        strength=strength,
        steps=steps,
        guidance_scale=guidance_scale,
        generators=[torch.Generator().manual_seed(i) for i in range(rows)],
        batch=batch,
    )


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_batch_does_not_matter_whatever_the_scheduler(name):
    images, scheduler = torch.rand(5, 3, 16, 16), _scheduler(name)
    steps = scheduler.num_inference_steps
    together = _edit(toy_model(), scheduler, images, batch=4)
    again = _edit(toy_model(), scheduler, images, batch=4)
    one_by_one = _edit(toy_model(), scheduler, images, batch=1)
    assert torch.equal(together, again)
    assert torch.allclose(together, one_by_one, atol=1e-4)
    assert together.shape == images.shape
    assert 0 <= together.min() < together.max() <= 1
    assert scheduler.num_inference_steps == steps


def test_the_noise_is_that_of_each_pictures_own_generator():
    images = torch.rand(1, 3, 16, 16).repeat(2, 1, 1, 1)
    alike = _edit(toy_model(), toy_scheduler(), images)
    assert (alike[0] - alike[1]).abs().max() > 1e-3


@pytest.mark.parametrize(("name", "calls"), [("DDIMScheduler", 6), ("HeunDiscreteScheduler", 11), ("LCMScheduler", 6)])
def test_only_the_share_of_the_schedule_is_run(name, calls):
    model = toy_model()
    _edit(model, _scheduler(name), torch.rand(3, 3, 16, 16), strength=0.3, steps=20)
    assert model.unet.rows == [6] * calls
    assert model.controlnet.rows == [6] * calls


def test_without_guidance_the_negative_prompt_is_not_asked():
    model = toy_model()
    _edit(model, _scheduler("LCMScheduler"), torch.rand(3, 3, 16, 16), strength=0.9, steps=4, guidance_scale=1.0)
    assert model.unet.rows == [3] * 3


def test_a_step_too_few_is_one():
    model = toy_model()
    _edit(model, toy_scheduler(), torch.rand(1, 3, 16, 16), strength=0.01, steps=20)
    assert model.unet.rows == [2]


def test_it_is_diffusers_image_to_image():
    """The same latents, noise and prompts through diffusers' own pipeline."""
    parts = tiny_components()
    scheduler = diffusers.DDIMScheduler.from_config(parts["scheduler"].config)
    pipe = diffusers.StableDiffusionImg2ImgPipeline(
        **{k: v for k, v in parts.items() if k not in ("controlnet", "scheduler")}, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    images, texts = torch.rand(1, 3, 32, 32), torch.randn(3, 1, 77, 32)
    expected = pipe(
        image=images, prompt_embeds=texts[0], negative_prompt_embeds=texts[1], strength=0.5, guidance_scale=4.0,
        num_inference_steps=6, generator=torch.Generator().manual_seed(0), output_type="pt",
    ).images  # fmt: skip
    model = DiffusionModel(parts["unet"], parts["vae"], parts["scheduler"])
    edited = edit(
        model, scheduler, images, PromptBatch(*texts), None, torch.zeros(1), strength=0.5, steps=6, guidance_scale=4.0,
        generators=[torch.Generator().manual_seed(0)], batch=4,
    )  # fmt: skip
    assert torch.allclose(edited, expected, atol=1e-4)


def test_velocity_models_edit_as_those_that_predict_noise():
    """A UNet whose v stands for the same noise gives the same picture."""

    class Velocity(ToyUnet):
        kept = toy_scheduler().alphas_cumprod

        def forward(self, latents, timesteps, encoder_hidden_states, **residuals):
            answer = super().forward(latents, timesteps, encoder_hidden_states, **residuals)
            kept = self.kept[timesteps].view(-1, 1, 1, 1)
            answer.sample = (answer.sample - (1 - kept).sqrt() * latents) / kept.sqrt()
            return answer

    kind = toy_scheduler("v_prediction")
    model = DiffusionModel(Velocity(), ToyVae(), kind, toy_model().controlnet)
    images = torch.rand(2, 3, 16, 16)
    expected = _edit(toy_model(), toy_scheduler(), images)
    assert torch.allclose(_edit(model, kind, images), expected, atol=1e-3)


def test_a_scheduler_that_cannot_start_midway_is_refused():
    with pytest.raises(UserError, match="FlowMatchEulerDiscreteScheduler"):
        _edit(toy_model(), diffusers.FlowMatchEulerDiscreteScheduler(), torch.rand(1, 3, 16, 16))


def test_a_picture_of_no_finite_numbers_is_told():
    model = toy_model()
    model.vae.axes.data[0] = torch.inf
    with pytest.raises(UserError, match="no finite numbers"):
        _edit(model, toy_scheduler(), torch.rand(2, 3, 16, 16))


class _Maker:
    """Pictures that depend on their number; remembers what it made."""

    def __init__(self):
        self.made = []

    def __call__(self, numbers):
        self.made.append(list(numbers))
        return torch.stack([torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in numbers])


@pytest.mark.parametrize("kept", [True, False])
def test_each_target_is_made_once_in_batches(tmp_path, kept):
    maker, targets = _Maker(), Targets(tmp_path if kept else None, batch=3)
    targets.make(range(7), maker)
    pictures = targets.of([6, 0, 6], maker)
    assert maker.made == [[0, 1, 2], [3, 4, 5], [6]]
    assert pictures.dtype == torch.float32
    assert torch.equal(pictures[0], pictures[2])
    assert torch.allclose(pictures[:2], _Maker()([6, 0]), atol=0.51 / 255)
    assert targets.missing([3, 9, 9]) == [9]


def test_what_is_read_back_is_bit_for_bit_what_was_made(tmp_path):
    maker = _Maker()
    made = Targets(tmp_path, batch=4).of(range(6), maker)
    other = _Maker()
    assert torch.equal(Targets(tmp_path, batch=4).of(range(6), other), made)
    assert other.made == []
    assert torch.equal(Targets(None, batch=1).of(range(6), _Maker()), made)


def test_processes_that_share_a_folder_share_their_pictures(tmp_path):
    first, second, maker = Targets(tmp_path, batch=2), Targets(tmp_path, batch=2), _Maker()
    first.make(range(0, 6, 2), maker)
    second.make(range(1, 6, 2), maker)
    unused = _Maker()
    first.of(range(6), unused)
    second.of(range(6), unused)
    assert unused.made == []


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_damaged_file_is_made_again(tmp_path, is_cut):
    expected = Targets(tmp_path, batch=4).of(range(2), _Maker())
    file = tmp_path / "00001.png"
    whole = file.read_bytes()
    length = whole.index(b"IDAT") - 4
    file.write_bytes(b"\x89PNG\r\n" if is_cut else whole[:length] + bytes([0, 0, 0, 8]) + whole[length + 4 :])
    maker = _Maker()
    assert torch.equal(Targets(tmp_path, batch=4).of(range(2), maker), expected)
    assert maker.made == [[1]]


def test_stopped_in_the_middle_it_goes_on_with_the_batches_that_were_there(tmp_path):
    maker = _Maker()

    def stopped(numbers):
        if 4 in numbers:
            raise KeyboardInterrupt
        return maker(numbers)

    with pytest.raises(KeyboardInterrupt):
        Targets(tmp_path, batch=2).make(range(6), stopped)
    after = Targets(tmp_path, batch=2).of(range(6), maker)
    assert maker.made == [[0, 1], [2, 3], [4, 5]]
    assert torch.equal(after, Targets(None, batch=2).of(range(6), _Maker()))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        Targets(tmp_path / "file" / "targets", batch=2).make([0], _Maker())
