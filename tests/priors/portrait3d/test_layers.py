"""Layers of StyleGAN2 against their formulas written out."""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal

from pipeline.priors.portrait3d.layers import (
    FullyConnected,
    low_pass,
    normalize_second_moment,
    resample_filter,
    upsample,
)
from pipeline.stages.randomness import generator


def test_a_fully_connected_layer_multiplies_by_its_equalised_weight() -> None:
    draws = generator(1, "fully connected")
    layer = FullyConnected(7, 5, lr_multiplier=0.01, activation="lrelu", bias_init=2.0)
    layer.draw(draws)
    x = torch.randn((3, 7), generator=draws)
    weight = layer.weight.detach().numpy() * 0.01 / np.sqrt(7.0)
    linear = x.numpy() @ weight.T + 2.0 * 0.01
    expected = np.where(linear > 0, linear, 0.2 * linear) * np.sqrt(2.0)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-6)


def test_a_linear_layer_has_no_activation_and_keeps_leading_dimensions() -> None:
    layer = FullyConnected(4, 2, bias_init=1.0)
    layer.draw(generator(2, "linear"))
    x = torch.randn((2, 3, 4), generator=generator(2, "x"))
    expected = x @ layer.weight.T / 2.0 + 1.0
    torch.testing.assert_close(layer(x), expected)


def test_equalised_learning_rate_keeps_the_variance_whatever_the_multiplier() -> None:
    x = torch.randn((256, 512), generator=generator(3, "x"))
    for lr_multiplier in (1.0, 0.01):
        layer = FullyConnected(512, 512, lr_multiplier=lr_multiplier)
        layer.draw(generator(3, "weights"))
        assert abs(layer.weight.std().item() * lr_multiplier - 1.0) < 0.02
        assert abs(layer(x).std().item() - 1.0) < 0.02


def test_equalised_learning_rate_learns_as_fast_as_its_multiplier() -> None:
    x = torch.ones((1, 16))
    gradients = []
    for lr_multiplier in (1.0, 0.01):
        layer = FullyConnected(16, 1, lr_multiplier=lr_multiplier)
        layer(x).sum().backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad[0, 0].item())
    np.testing.assert_allclose(gradients, [1.0 / 4.0, 0.01 / 4.0], rtol=1e-6)


def test_second_moments_become_one() -> None:
    rows = normalize_second_moment(torch.randn((4, 64), generator=generator(4, "z")) * 7.0)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(4))


def test_upsampling_is_scipys_along_both_axes() -> None:
    x = torch.randn((2, 3, 5, 6), generator=generator(5, "x"))
    taps = np.array([1.0, 3.0, 3.0, 1.0]) / 4.0
    rows = signal.upfirdn(taps, x.double().numpy(), up=2, axis=2)[:, :, 1:11]
    expected = signal.upfirdn(taps, rows, up=2, axis=3)[:, :, :, 1:13]
    np.testing.assert_allclose(upsample(x, resample_filter()).numpy(), expected, atol=1e-6)


def test_upsampling_keeps_what_is_constant_and_the_middle() -> None:
    double = upsample(torch.ones((1, 1, 6, 6)), resample_filter())
    torch.testing.assert_close(double[:, :, 1:-1, 1:-1], torch.ones((1, 1, 10, 10)))
    torch.testing.assert_close(double, double.flip(2, 3))


def test_the_low_pass_is_scipys_convolution_even_with_lopsided_taps() -> None:
    draws = generator(6, "low pass")
    x, taps = torch.randn((1, 2, 7, 5), generator=draws), torch.randn((4, 4), generator=draws)
    padded = np.pad(x[0].double().numpy(), ((0, 0), (1, 1), (1, 1)))
    expected = np.stack([signal.convolve2d(channel, taps.double().numpy(), mode="valid") for channel in padded])
    np.testing.assert_allclose(low_pass(x, taps)[0].numpy(), expected, atol=1e-5)
