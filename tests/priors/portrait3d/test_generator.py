"""The generator: what its parts are made of, and that it is the published one in names, shapes and behaviour."""

from __future__ import annotations

import pytest
import torch

from pipeline.priors.portrait3d.generator import PUBLISHED, GeneratorSize, Portrait3DGenerator
from pipeline.priors.portrait3d.layers import resample_filter, upsample
from pipeline.priors.portrait3d.trigrid import RESOLUTIONS
from pipeline.stages.randomness import generator
from tests.priors.portrait3d.generator_weights import SMALL, small_generator


@pytest.fixture(scope="module")
def portraits() -> Portrait3DGenerator:
    return small_generator()


@pytest.fixture(scope="module")
def ws() -> torch.Tensor:
    return torch.randn((1, SMALL.num_ws, 512), generator=generator(1, "ws"))


def test_at_the_published_size_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        portraits = Portrait3DGenerator()
        z, camera = torch.zeros(1, 512), torch.zeros(1, 25)
        ws = portraits.mapping(z, camera)
        trigrid = portraits.planes(ws)
        background = portraits.background(ws)
        picture = portraits.superresolution(torch.zeros(1, 3, 128, 128), background, ws)
    assert ws.shape == (1, 14, 512)
    assert [level.shape for level in trigrid.levels] == [(1, 3, 36, r, r) for r in RESOLUTIONS]
    assert background.shape == (1, 32, 128, 128)
    assert picture.shape == (1, 3, 512, 512)
    assert portraits.bcg_synthesis.num_ws == 12


def test_the_3d_branch_sees_the_2d_image_and_its_own_last_level(
    portraits: Portrait3DGenerator, ws: torch.Tensor
) -> None:
    synthesis = portraits.backbone.synthesis
    b4, b8, first, second = (synthesis.get_submodule(name) for name in ("b4", "b8", "b3d4.block", "b3d8.block"))
    x, image = b4(None, None, ws[:, 0:2], "const")
    w = ws[:, 1:2].repeat(1, 3, 1)
    _, level8 = first(image.reshape(3, 36, 4, 4), None, w, "const")
    _, added = b8(x, None, ws[:, 1:4], "const")
    image = upsample(image, resample_filter()) + added
    w = ws[:, 3:4].repeat(1, 3, 1)
    _, level16 = second(image.reshape(3, 36, 8, 8) + level8, None, w, "const")
    levels = portraits.planes(ws).levels
    torch.testing.assert_close(levels[0][0], level8)
    torch.testing.assert_close(levels[1][0], level16)


def test_a_batch_is_its_samples(portraits: Portrait3DGenerator) -> None:
    draws = generator(2, "batch")
    z, camera = torch.randn((2, 512), generator=draws), torch.randn((2, 25), generator=draws)
    ws = portraits.mapping(z, camera)
    together = portraits.backbone.synthesis(ws, "const")
    for sample in range(2):
        alone = portraits.mapping(z[sample : sample + 1], camera[sample : sample + 1])
        torch.testing.assert_close(ws[sample : sample + 1], alone)
        for level, own in zip(together, portraits.planes(alone).levels, strict=True):
            torch.testing.assert_close(level[sample : sample + 1], own, atol=1e-4, rtol=1e-4)


def test_styles_depend_on_the_camera_and_are_those_of_the_canonical_pose(portraits: Portrait3DGenerator) -> None:
    draws = generator(3, "styles")
    z, camera = torch.randn((1, 512), generator=draws), torch.randn((1, 25), generator=draws)
    ws = portraits.mapping(z, camera)
    condition = torch.cat([camera, torch.zeros(1, 6)], dim=1)
    assert torch.equal(portraits.backbone.mapping(z, condition), ws)
    assert not torch.allclose(portraits.mapping(z, -camera), ws)
    assert 0.5 < ws.std() < 1.5


def test_noise_changes_planes_only_with_a_strength(ws: torch.Tensor) -> None:
    portraits = small_generator()
    assert torch.equal(portraits.planes(ws, "const").levels[1], portraits.planes(ws, "none").levels[1])
    with torch.no_grad():
        for name, strength in portraits.backbone.synthesis.named_parameters():
            if name.endswith("noise_strength"):
                strength.fill_(0.5)
    pictures = [portraits.planes(ws, noise).levels[1] for noise in ("const", "none", generator(1, "n"))]
    assert not any(torch.equal(a, b) for a, b in ((pictures[0], pictures[1]), (pictures[1], pictures[2])))
    assert torch.equal(portraits.planes(ws, generator(1, "n")).levels[1], pictures[2])


def test_noise_maps_are_replaced_by_name_for_one_call_and_have_gradients(ws: torch.Tensor) -> None:
    portraits = small_generator()
    synthesis = portraits.backbone.synthesis
    with torch.no_grad():
        synthesis.get_submodule("b8.conv1").noise_strength.fill_(0.5)  # type: ignore[union-attr, operator]
    stored = portraits.noise_maps()
    assert {name: tuple(noise.shape) for name, noise in stored.items()} == {
        "b4.conv1.noise_const": (4, 4),
        "b3d4.block.conv0.noise_const": (8, 8),
        "b3d4.block.conv1.noise_const": (8, 8),
        "b8.conv0.noise_const": (8, 8),
        "b8.conv1.noise_const": (8, 8),
        "b3d8.block.conv0.noise_const": (16, 16),
        "b3d8.block.conv1.noise_const": (16, 16),
    }
    before = portraits.planes(ws).levels[1]
    own = {name: torch.zeros_like(noise).requires_grad_() for name, noise in stored.items()}
    changed = portraits.planes(ws, own).levels[1]
    assert not torch.equal(changed, before)
    assert torch.equal(changed, portraits.planes(ws, "none").levels[1])
    changed.sum().backward()
    gradient = own["b8.conv1.noise_const"].grad
    assert gradient is not None
    assert gradient.abs().min() > 0
    assert torch.equal(portraits.planes(ws).levels[1], before)


def test_a_noise_map_of_no_layer_is_refused(portraits: Portrait3DGenerator, ws: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"no noise map 'b512\.conv0\.noise_const'"):
        portraits.planes(ws, {"b512.conv0.noise_const": torch.zeros(1)})


def test_the_background_takes_its_own_first_styles(portraits: Portrait3DGenerator, ws: torch.Tensor) -> None:
    before = portraits.background(ws)
    assert before.shape == (1, 32, 8, 8)
    longer = torch.cat([ws, torch.randn((1, 3, 512), generator=generator(4, "more"))], dim=1)
    assert torch.equal(portraits.background(longer), before)


def test_a_picture_needs_no_more_styles_than_there_are() -> None:
    with pytest.raises(ValueError, match="a picture of 512 needs more styles"):
        GeneratorSize(grid_resolution=64)


def test_every_row_of_styles_has_a_gradient(portraits: Portrait3DGenerator, ws: torch.Tensor) -> None:
    rows = ws.clone().requires_grad_()
    sum(level.square().mean() for level in portraits.planes(rows).levels).backward()
    assert rows.grad is not None
    assert (rows.grad.abs().amax(dim=2) > 0).all()


def test_the_published_size_is_the_default() -> None:
    assert (PUBLISHED.num_ws, PUBLISHED.background_resolution, PUBLISHED.superresolution_widths) == (
        14,
        128,
        (256, 128),
    )


def test_half_of_the_precision_is_enough_for_planes(portraits: Portrait3DGenerator, ws: torch.Tensor) -> None:
    exact = portraits.planes(ws).levels
    with torch.autocast("cpu", torch.bfloat16):
        rough = portraits.planes(ws).levels
    for level, approximate in zip(exact, rough, strict=True):
        error = (approximate.float() - level).square().mean().sqrt() / level.square().mean().sqrt()
        assert error < 0.02
