"""The optimiser against its formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.priors.portrait3d.adan import Adan
from pipeline.priors.portrait3d.config import AdanConfig

RATES = (0.5, 0.02)


def written_out(start: np.ndarray, gradients: list[np.ndarray], rate: float, config: AdanConfig) -> np.ndarray:
    """Algorithm 1 with the corrections of the start at zero, one number after the other, in float64."""
    k1, k2, k3 = config.betas
    theta, m, v, n = start.copy(), 0.0, 0.0, 0.0
    last = gradients[0]
    for t, g in enumerate(gradients, 1):
        m = k1 * m + (1 - k1) * g
        v = k2 * v + (1 - k2) * (g - last)
        n = k3 * n + (1 - k3) * (g + k2 * (g - last)) ** 2
        m_hat, v_hat, n_hat = m / (1 - k1**t), v / (1 - k2**t), n / (1 - k3**t)
        theta = (theta - rate * (m_hat + k2 * v_hat) / (np.sqrt(n_hat) + config.eps)) / (1 + rate * config.weight_decay)
        last = g
    return theta


@pytest.mark.parametrize("norm", [1e9, 0.7])
def test_it_is_the_formula(norm):
    config = AdanConfig(max_grad_norm=norm, weight_decay=0.01)
    draws = np.random.default_rng(0)
    starts = [draws.normal(size=(3, 4)), draws.normal(size=5)]
    steps = [[draws.normal(size=start.shape) for start in starts] for _ in range(6)]
    parameters = [torch.from_numpy(start.copy()) for start in starts]
    optimizer = Adan(parameters, RATES, config)
    for gradients in steps:
        optimizer.step([torch.from_numpy(gradient) for gradient in gradients])
    norms = [np.sqrt(sum((gradient**2).sum() for gradient in gradients)) for gradients in steps]
    scales = [min(1.0, norm / size) for size in norms]
    for index, (parameter, start, rate) in enumerate(zip(parameters, starts, RATES, strict=True)):
        clipped = [gradients[index] * scale for gradients, scale in zip(steps, scales, strict=True)]
        np.testing.assert_allclose(parameter.numpy(), written_out(start, clipped, rate, config), rtol=1e-6, atol=1e-8)


def test_it_goes_on_from_its_state():
    draws = torch.Generator().manual_seed(1)
    gradients = [torch.randn(7, generator=draws) for _ in range(5)]
    whole, first = torch.ones(7), torch.ones(7)
    unbroken, before = (Adan([parameter], RATES[:1], AdanConfig()) for parameter in (whole, first))
    for gradient in gradients:
        unbroken.step([gradient])
    for gradient in gradients[:2]:
        before.step([gradient])
    state, second = before.state(), first.clone()
    after = Adan([second], RATES[:1], AdanConfig())
    after.load(state)
    before.step([gradients[2]])  # changes nothing of what was taken
    for gradient in gradients[2:]:
        after.step([gradient])
    assert torch.equal(whole, second)


def test_it_finds_the_bottom_of_a_narrow_valley():
    place = torch.tensor([3.0, -2.0], requires_grad=True)
    curvature = torch.tensor([1.0, 100.0])
    optimizer = Adan([place], [0.05], AdanConfig(weight_decay=0.0))
    for _ in range(400):
        (gradient,) = torch.autograd.grad((curvature * place.square()).sum(), place)
        optimizer.step([gradient])
    assert place.abs().max() < 0.02
