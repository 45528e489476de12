"""The last two blocks: fitted inputs, no noise, one style."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.priors.portrait3d.generator import Portrait3DGenerator
from pipeline.priors.portrait3d.layers import resample_filter, upsample
from pipeline.stages.randomness import generator
from tests.priors.portrait3d.generator_weights import small_generator


@pytest.fixture(scope="module")
def portraits() -> Portrait3DGenerator:
    return small_generator()


def inputs(side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = generator(1, "super-resolution", side)
    image, features = (
        torch.randn((2, 3, side, side), generator=draws),
        torch.randn((2, 32, side, side), generator=draws),
    )
    return image, features, torch.randn((2, 4, 512), generator=draws)


def test_the_image_is_upsampled_twice_and_added_to(portraits: Portrait3DGenerator) -> None:
    network = portraits.superresolution
    image, features, ws = inputs(8)
    last = ws[:, 3:].repeat(1, 3, 1)
    x, first = network.block0(features, None, last, "none")
    _, second = network.block1(x, None, last, "none")
    taps = resample_filter()
    expected = upsample(upsample(image, taps) + first, taps) + second
    torch.testing.assert_close(network(image, features, ws), expected)
    assert expected.shape == (2, 3, 32, 32)


def test_other_sizes_are_brought_to_the_input_resolution(portraits: Portrait3DGenerator) -> None:
    image, features, ws = inputs(16)
    small = [functional.interpolate(x, (8, 8), mode="bilinear", antialias=True) for x in (image, features)]
    torch.testing.assert_close(
        portraits.superresolution(image, features, ws), portraits.superresolution(small[0], small[1], ws)
    )


def test_only_the_last_style_counts_and_noise_does_not(portraits: Portrait3DGenerator) -> None:
    image, features, ws = inputs(8)
    before = portraits.superresolution(image, features, ws)
    changed = ws.clone()
    changed[:, :3] = 0.0
    assert torch.equal(portraits.superresolution(image, features, changed), before)
    loud = small_generator()
    with torch.no_grad():
        loud.superresolution.block1.conv1.noise_strength.fill_(9.0)
    assert torch.equal(loud.superresolution(image, features, ws), before)
