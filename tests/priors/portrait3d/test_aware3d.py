"""What planes tell each other, against loops over pixels and over planes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from pipeline.priors.portrait3d.aware3d import convolve_aware
from pipeline.priors.portrait3d.layers import FullyConnected, activate
from pipeline.priors.portrait3d.stylegan2 import Modulated, SynthesisLayer, ToRGB, convolve, convolve_spread
from pipeline.stages.randomness import generator

WIDTH_AND_HEIGHT = ("xy", "yz", "zx")


def by_loops(planes: np.ndarray) -> np.ndarray:
    """(3,C,R,R) → (3,3·C,R,R): what every plane says at the coordinate that it shares with the pixel."""
    count, channels, side, _ = planes.shape
    out = np.zeros((count, count * channels, side, side))
    for here, axes in enumerate(WIDTH_AND_HEIGHT):
        for there, other in enumerate(WIDTH_AND_HEIGHT):
            for row in range(side):
                for column in range(side):
                    place = dict(zip(axes, (column, row), strict=True))
                    x, y = place.get(other[0], slice(None)), place.get(other[1], slice(None))
                    said = planes[there][:, y, x].reshape(channels, -1).mean(axis=1)
                    out[here, there * channels : (there + 1) * channels, row, column] = said
    return out


@pytest.mark.parametrize(("up", "size"), [(False, 1), (False, 3), (True, 3)])
def test_planes_are_convolved_beside_what_they_tell_each_other(up: bool, size: int) -> None:
    draws = generator(1, "planes")
    planes = torch.randn((6, 2, 5, 5), generator=draws)
    weights = torch.randn((6, 4, 6, size, size), generator=draws)
    seen = [by_loops(sample.double().numpy()) for sample in planes.unflatten(0, (2, 3))]
    convolution = convolve_spread if up else convolve
    expected = convolution(torch.as_tensor(np.concatenate(seen)), weights.double())
    torch.testing.assert_close(convolve_aware(planes, weights, convolution, up), expected.float(), atol=1e-5, rtol=1e-5)


def drawn_layer(layer: SynthesisLayer | ToRGB) -> None:
    draws = generator(2, "layer")
    for part in layer.modules():
        if isinstance(part, FullyConnected | Modulated):
            part.draw(draws)
    with torch.no_grad():
        layer.bias.add_(torch.randn(layer.bias.shape, generator=draws))


def test_a_rolled_layer_has_a_row_of_styles_for_each_plane() -> None:
    layer = SynthesisLayer(4, 5, 8, 6, rolled=True)
    drawn_layer(layer)
    with torch.no_grad():
        layer.noise_strength.fill_(0.5)
    draws = generator(3, "x")
    x, w = torch.randn((6, 4, 6, 6), generator=draws), torch.randn((2, 8), generator=draws)
    styles = (w @ layer.affine.weight.T / np.sqrt(8.0) + 1.0).unflatten(1, (3, 12))
    for sample in range(2):
        seen = torch.as_tensor(by_loops(x[3 * sample : 3 * sample + 3].double().numpy())).float()
        for plane in range(3):
            kernels = layer.weight * styles[sample, plane, :, None, None]
            kernels = kernels / kernels.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
            y = functional.conv2d(seen[plane : plane + 1], kernels, padding=1) + 0.5 * layer.noise_const
            expected = activate(y + layer.bias[:, None, None], "lrelu")[0]
            torch.testing.assert_close(layer(x, w, "const")[3 * sample + plane], expected, atol=2e-5, rtol=1e-5)


def test_a_rolled_image_layer_scales_by_the_width_of_one_plane() -> None:
    layer = ToRGB(4, 5, 8, rolled=True)
    drawn_layer(layer)
    draws = generator(4, "x")
    x, w = torch.randn((3, 4, 6, 6), generator=draws), torch.randn((1, 8), generator=draws)
    styles = (w @ layer.affine.weight.T / np.sqrt(8.0) + 1.0).reshape(3, 12) / np.sqrt(4.0)
    scaled = torch.as_tensor(by_loops(x.double().numpy())).float() * styles[:, :, None, None]
    expected = functional.conv2d(scaled, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x, w), expected, atol=2e-5, rtol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    layer = SynthesisLayer(2, 2, 4, 6, up=True, rolled=True).double()
    drawn_layer(layer)
    draws = generator(5, "x")
    x = torch.randn((3, 2, 3, 3), generator=draws).double().requires_grad_()
    w = torch.randn((1, 4), generator=draws).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: layer(x, w, "const"), (x, w))
