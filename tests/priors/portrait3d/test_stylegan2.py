"""Modulated convolutions, blocks and the network of styles against their formulas, written out and not fused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from pipeline.priors.portrait3d.layers import FullyConnected, resample_filter, upsample
from pipeline.priors.portrait3d.stylegan2 import (
    MappingNetwork,
    Modulated,
    SynthesisBlock,
    SynthesisLayer,
    SynthesisNetwork,
    ToRGB,
    slices,
)
from pipeline.stages.randomness import generator


def drawn(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With random weights, biases and strengths of noise, so that nothing is hidden by a zero."""
    draws = generator(seed, "module")
    for part in module.modules():
        if isinstance(part, FullyConnected | Modulated | SynthesisBlock):
            part.draw(draws)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draws))
    return module


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2.0)


def styles_of(layer: Modulated, w: Tensor) -> np.ndarray:
    affine = layer.affine
    return (w @ affine.weight.T / np.sqrt(w.shape[1]) + affine.bias).detach().double().numpy()


def convolved(x: np.ndarray, kernels: np.ndarray, up: bool) -> np.ndarray:
    """One sample (I,H,W) by (O,I,k,k): correlated, or with zeros between its samples truly convolved and smoothed."""
    out = []
    for kernel in kernels:
        if up:
            spread = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2]))
            spread[:, ::2, ::2] = x
            summed = sum(signal.convolve2d(plane, own) for plane, own in zip(spread, kernel, strict=True))
            taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16.0
            out.append(signal.convolve2d(summed, taps)[2 : 2 + spread.shape[1], 2 : 2 + spread.shape[2]])
        else:
            mode = "same"
            out.append(sum(signal.correlate2d(plane, own, mode) for plane, own in zip(x, kernel, strict=True)))
    return np.stack(out)


@pytest.mark.parametrize("up", [False, True])
def test_a_layer_is_scale_convolve_demodulate_add_noise_and_bend(up: bool) -> None:
    layer = drawn(SynthesisLayer(5, 4, 8, 6, up=up))
    assert isinstance(layer, SynthesisLayer)
    draws = generator(1, "x")
    side = 3 if up else 6
    x, w = torch.randn((2, 5, side, side), generator=draws), torch.randn((2, 8), generator=draws)
    kernels = layer.weight.detach().double().numpy()
    noise = (layer.noise_const * layer.noise_strength).detach().double().numpy()
    bias = layer.bias.detach().double().numpy()[:, None, None]
    expected = []
    for sample, style in zip(x.double().numpy(), styles_of(layer, w), strict=True):
        y = convolved(sample * style[:, None, None], kernels, up)
        scale = 1.0 / np.sqrt(((kernels * style[None, :, None, None]) ** 2).sum(axis=(1, 2, 3)) + 1e-8)
        expected.append(leaky(y * scale[:, None, None] + noise + bias))
    np.testing.assert_allclose(layer(x, w, "const").detach().numpy(), np.stack(expected), atol=1e-5)


def test_the_layer_for_an_image_does_not_demodulate_and_scales_its_styles() -> None:
    layer = drawn(ToRGB(5, 3, 8))
    assert isinstance(layer, ToRGB)
    draws = generator(2, "x")
    x, w = torch.randn((2, 5, 4, 4), generator=draws), torch.randn((2, 8), generator=draws)
    kernels = layer.weight[:, :, 0, 0].detach().double().numpy()
    styles = styles_of(layer, w) / np.sqrt(5.0)
    expected = np.einsum("oi,bi,bihw->bohw", kernels, styles, x.double().numpy())
    expected += layer.bias.detach().double().numpy()[:, None, None]
    np.testing.assert_allclose(layer(x, w).detach().numpy(), expected, atol=1e-5)


def test_noise_is_stored_or_drawn_or_none() -> None:
    layer = drawn(SynthesisLayer(4, 4, 8, 5))
    x, w = torch.randn((2, 4, 5, 5), generator=generator(3, "x")), torch.randn((2, 8), generator=generator(3, "w"))
    plain, stored = layer(x, w, "none"), layer(x, w, "const")
    random, again, other = (layer(x, w, generator(seed, "noise")) for seed in (1, 1, 2))
    assert torch.equal(random, again)
    assert not torch.equal(random, other)
    assert not torch.equal(plain, stored)
    with torch.no_grad():
        layer.noise_strength.zero_()  # type: ignore[union-attr, operator]
    assert torch.equal(layer(x, w, "const"), plain)


def test_demodulated_activations_keep_a_second_moment_of_about_one() -> None:
    layer = SynthesisLayer(64, 64, 16, 16)
    layer.draw(generator(4, "layer"))
    layer.affine.draw(generator(4, "affine"))
    draws = generator(4, "x")
    y = layer(torch.randn((2, 64, 16, 16), generator=draws), torch.randn((2, 16), generator=draws), "none")
    assert 0.9 < y.square().mean().item() < 1.1


def test_a_block_adds_to_the_upsampled_image() -> None:
    block = drawn(SynthesisBlock(6, 4, 8, 8, 3))
    assert isinstance(block, SynthesisBlock)
    draws = generator(5, "x")
    x, image = torch.randn((1, 6, 4, 4), generator=draws), torch.randn((1, 3, 4, 4), generator=draws)
    ws = torch.randn((1, 3, 8), generator=draws)
    features, sum_ = block(x, image, ws, "const")
    again, added = block(x, None, ws, "const")
    torch.testing.assert_close(features, again)
    torch.testing.assert_close(sum_, upsample(image, resample_filter()) + added)
    by_hand = block.conv1(block.conv0(x, ws[:, 0], "const"), ws[:, 1], "const")
    torch.testing.assert_close(added, block.torgb(by_hand, ws[:, 2]))


def test_the_last_style_of_a_block_is_the_first_of_the_next() -> None:
    network = SynthesisNetwork(8, 16, 3, channel_base=64, channel_max=8)
    blocks = [network.get_submodule(f"b{r}") for r in (4, 8, 16)]
    rows = torch.arange(6.0)[None, :, None]
    parts = slices(rows, blocks)  # type: ignore[arg-type]
    assert [part[0, :, 0].tolist() for part in parts] == [[0, 1], [1, 2, 3], [3, 4, 5]]
    assert network.num_ws == 6


def test_a_network_sums_the_images_of_its_blocks() -> None:
    network = drawn(SynthesisNetwork(8, 16, 3, channel_base=64, channel_max=8))
    ws = torch.randn((1, 6, 8), generator=generator(6, "ws"))
    x = image = None
    for r, first in ((4, 0), (8, 1), (16, 3)):
        block = network.get_submodule(f"b{r}")
        own = ws[:, first : first + (2 if r == 4 else 3)]
        x, added = block(x, None, own, "const")
        image = added if image is None else upsample(image, resample_filter()) + added
    torch.testing.assert_close(network(ws, "const"), image)


def test_the_mapping_normalises_both_inputs() -> None:
    mapping = drawn(MappingNetwork(6, 4, 8, 5, layers=2))
    assert isinstance(mapping, MappingNetwork)
    draws = generator(7, "z")
    z, c = torch.randn((2, 6), generator=draws), torch.randn((2, 4), generator=draws)
    ws = mapping(z, c)
    assert ws.shape == (2, 5, 8)
    torch.testing.assert_close(ws, ws[:, :1].expand(-1, 5, -1))
    torch.testing.assert_close(mapping(3.0 * z, c), ws)

    x = z.double().numpy()
    embedded = (c @ mapping.embed.weight.T / 2.0 + mapping.embed.bias).detach().double().numpy()
    rows = [part / np.sqrt((part**2).mean(axis=1, keepdims=True)) for part in (x, embedded)]
    y = np.concatenate(rows, axis=1)
    for layer in (mapping.fc0, mapping.fc1):
        weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))  # type: ignore[union-attr]
        y = leaky(y @ (weight * 0.01 / np.sqrt(y.shape[1])).T + bias * 0.01)
    np.testing.assert_allclose(ws[:, 0].detach().numpy(), y, atol=1e-5)
