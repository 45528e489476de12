"""Layers of StyleGAN2 against their formulas written out."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.priors.portrait3d.layers import FullyConnected, normalize_second_moment
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


def test_equalised_learning_rate_keeps_the_variance_whatever_the_width() -> None:
    x = torch.randn((256, 512), generator=generator(3, "x"))
    for lr_multiplier in (1.0, 0.01):
        layer = FullyConnected(512, 512, lr_multiplier=lr_multiplier, activation="linear")
        layer.draw(generator(3, "weights"))
        assert abs(layer.weight.std().item() * lr_multiplier - 1.0) < 0.02
        assert abs(layer(x).std().item() - 1.0) < 0.02


def test_second_moments_become_one() -> None:
    rows = normalize_second_moment(torch.randn((4, 64), generator=generator(4, "z")) * 7.0)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(4))
