"""The decoder and the last layer against the slow reference, and their published names."""

from __future__ import annotations

import numpy as np
import torch

from tests.priors.portrait3d import slow_reference
from tests.priors.portrait3d.scenes import random_scene

PUBLISHED = {
    "decoder.net.0.weight": (32, 12),
    "decoder.net.0.bias": (32,),
    "decoder.net.2.weight": (33, 32),
    "decoder.net.2.bias": (33,),
    "torgb.affine.weight": (32, 512),
    "torgb.affine.bias": (32,),
    "torgb.weight": (3, 32, 1, 1),
    "torgb.bias": (3,),
}


def test_the_state_dict_has_the_published_keys() -> None:
    _, painter = random_scene((4,))
    assert {name: tuple(value.shape) for name, value in painter.state_dict().items()} == PUBLISHED
    assert sum(p.numel() for p in painter.decoder.parameters()) == 1505


def test_density_colours_and_picture_are_those_of_the_slow_reference() -> None:
    trigrid, painter = random_scene((4,))
    features = torch.randn(5, 3, 12, generator=torch.Generator().manual_seed(1))
    sigma, colors = painter.decode(features)
    image = painter.paint(colors, trigrid.ws)
    for k in range(5):
        expected_sigma, expected_colors = slow_reference.decode(painter, features[k].double().mean(0).numpy())
        np.testing.assert_allclose(sigma[k].item(), expected_sigma, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(colors[k].detach(), expected_colors, rtol=1e-5, atol=1e-5)
        expected = slow_reference.paint(painter, expected_colors, trigrid.ws[0].double().numpy())
        np.testing.assert_allclose(image[k].detach(), expected, rtol=1e-4, atol=1e-4)
