"""Volume rendering against loops over rays and samples, against known solids, and its gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, softplus

from pipeline.camera import Camera
from pipeline.priors.portrait3d import rendering
from pipeline.priors.portrait3d.cameras import ANIMPORTRAIT3D_ORBIT, PORTRAIT3D_ORBIT, sampled_camera
from pipeline.priors.portrait3d.rendering import ANIMPORTRAIT3D, PORTRAIT3D, RenderOptions, density, rays, render
from pipeline.priors.portrait3d.sampling import shares
from pipeline.priors.portrait3d.trigrid import TriGrid
from tests.priors.portrait3d import slow_reference
from tests.priors.portrait3d.scenes import RADIUS, ball, ball_density, random_scene, slab, slab_density

FEW = replace(PORTRAIT3D, coarse=10, fine=9)


def skewed(camera: Camera) -> Camera:
    """Not square, with a skew and a middle elsewhere."""
    K = camera.K + torch.tensor([[0.0, 2.0, 0.7], [0.0, 3.0, -0.4], [0.0, 0.0, 0.0]])
    return Camera(camera.viewmat, K, camera.width, camera.height - 2)


@pytest.mark.parametrize(
    ("options", "orbit"), [(FEW, PORTRAIT3D_ORBIT), (replace(ANIMPORTRAIT3D, coarse=10, fine=9), ANIMPORTRAIT3D_ORBIT)]
)
@torch.no_grad()
def test_pictures_are_those_of_the_slow_reference(options: RenderOptions, orbit: object) -> None:
    trigrid, painter = random_scene((4, 8))
    camera = skewed(sampled_camera(70, 100, 6, orbit))  # type: ignore[arg-type]
    background = torch.randn(1, 32, 12, 12, generator=torch.Generator().manual_seed(2))
    found = render(trigrid, painter, camera, replace(options, chunk=7), background=background)
    resized = interpolate(background, (4, 6), mode="bilinear", antialias=True)[0].double().numpy()
    image, alpha, depth = slow_reference.render(trigrid, painter, camera, options, resized)
    np.testing.assert_allclose(found.alpha, alpha, atol=1e-5)
    np.testing.assert_allclose(found.depth, depth, atol=1e-5)
    np.testing.assert_allclose(found.image.movedim(0, -1), image, atol=1e-5 * np.abs(image).max())
    assert 0.05 < alpha.mean() < 0.95


@torch.no_grad()
def test_drawn_samples_lie_where_the_generator_says_whatever_the_chunks() -> None:
    trigrid, painter = random_scene((4,))
    camera = sampled_camera(120, 80, 4)
    found, chunked = (
        render(trigrid, painter, camera, replace(FEW, chunk=c), draws=torch.Generator().manual_seed(3)) for c in (99, 5)
    )
    drawn = torch.rand(16, 19, generator=torch.Generator().manual_seed(3)).double().numpy()
    _, alpha, depth = slow_reference.render(trigrid, painter, camera, FEW, drawn=drawn)
    np.testing.assert_allclose(found.alpha, alpha, atol=1e-5)
    np.testing.assert_allclose(found.depth, depth, atol=1e-5)
    torch.testing.assert_close(found.image, chunked.image, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_slab_has_the_coverage_and_depth_of_its_integral() -> None:
    trigrid, painter = slab()
    camera = sampled_camera(90, 90, 8)
    found = render(trigrid, painter, camera, replace(PORTRAIT3D, coarse=192, fine=192))
    alpha, depth = _integrated(camera, lambda points: slab_density(points[..., 2]))
    below = slice(2, 8)  # above, the plate reaches beyond the outermost slices and fades
    torch.testing.assert_close(found.alpha[below], alpha[below], atol=2e-3, rtol=0)
    torch.testing.assert_close(found.depth[below], depth[below], atol=5e-4, rtol=0)


@torch.no_grad()
def test_a_ball_has_its_silhouette_and_its_front() -> None:
    trigrid, painter = ball()
    camera = sampled_camera(60, 75, 32)
    found = render(trigrid, painter, camera, PORTRAIT3D)
    origin, directions = rays(camera, torch.zeros(1))
    distance = torch.linalg.cross(origin.expand_as(directions), directions).norm(dim=1).view(32, 32)
    assert found.alpha[distance < RADIUS - 0.03].min() > 0.99
    assert found.alpha[distance > RADIUS + 0.01].max() < 0.03
    alpha, depth = _integrated(camera, ball_density)
    inside = distance < RADIUS
    torch.testing.assert_close(found.alpha, alpha, atol=0.04, rtol=0)
    assert (found.alpha - alpha).abs().mean() < 2e-3
    torch.testing.assert_close(found.depth[inside], depth[inside], atol=5e-3, rtol=0)
    right, left = found.image[0, 16, 12], found.image[0, 16, 20]
    assert right < left  # the subject's left, +x, is red


@torch.no_grad()
def test_the_same_head_in_both_worlds() -> None:
    trigrid, painter = ball()
    here = sampled_camera(90, 90, 24)
    pose = here.viewmat.clone()
    pose[:3, 3] *= 3
    options = replace(PORTRAIT3D, near=3 * PORTRAIT3D.near, far=3 * PORTRAIT3D.far, scale=3.0)
    there = render(trigrid, painter, replace(here, viewmat=pose), options)
    found = render(trigrid, painter, here, PORTRAIT3D)
    assert torch.all(there.alpha >= found.alpha - 1e-3)  # three times the way through the same density
    assert (there.depth / 3 - found.depth)[found.alpha > 0.99].abs().max() < 0.02


@torch.no_grad()
def test_what_nothing_covers_has_the_colour_of_no_features() -> None:
    trigrid, painter = ball()
    found = render(trigrid, painter, sampled_camera(90, 90, 16), PORTRAIT3D)
    torch.testing.assert_close(found.image[:, 0, 0], painter.torgb.bias, atol=1e-3, rtol=0)
    assert found.depth[found.alpha == 0].numel() == 0 or found.depth[found.alpha == 0].min() > 3.12
    assert found.mask[0, 0] == pytest.approx(-0.001, abs=1e-3)


@torch.no_grad()
def test_density_is_the_raw_one() -> None:
    trigrid, painter = ball(resolutions=(8, 128))
    points = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    torch.testing.assert_close(density(trigrid, painter, points), ball_density(points), atol=0.5, rtol=1e-2)


def test_gradients_are_those_of_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = torch.linspace(2.4, 3.0, 5, dtype=torch.float64)  # else they would move with what is varied
    monkeypatch.setattr(rendering, "fine_depths", lambda depths, weights, u: placed.expand(len(depths), -1))
    trigrid, painter = random_scene((3, 4), dtype=torch.float64)
    camera = sampled_camera(50, 80, 3)
    options = replace(FEW, coarse=8, fine=5, chunk=4)
    parameters = [*trigrid.levels, painter.decoder.first.weight, painter.decoder.second.bias, painter.torgb.weight]
    for parameter in parameters:
        parameter.requires_grad_()
    asked = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss() -> Tensor:
        found = render(trigrid, painter, camera, options)
        return (found.image * asked).sum() + found.alpha.square().sum() + found.depth.mean()

    gradients = torch.autograd.grad(loss(), parameters)
    draws = torch.Generator().manual_seed(1)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        step = torch.randn(parameter.shape, generator=draws, dtype=torch.float64) * 1e-6
        with torch.no_grad():
            parameter += step
            above = loss()
            parameter -= 2 * step
            below = loss()
            parameter += step
        assert (above - below).item() == pytest.approx(2 * (gradient * step).sum().item(), rel=1e-4, abs=1e-11)


def test_gradients_do_not_depend_on_the_chunks() -> None:
    trigrid, painter = random_scene((4,))
    found = []
    for chunk in (4, 99):
        levels = tuple(level.clone().requires_grad_() for level in trigrid.levels)
        draws = torch.Generator().manual_seed(2)
        camera = sampled_camera(90, 90, 4)
        picture = render(TriGrid(levels, trigrid.ws), painter, camera, replace(FEW, chunk=chunk), draws=draws)
        found.append(torch.autograd.grad(picture.image.sum(), levels[0])[0])
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)
    assert found[0].abs().max() > 1e-3


def test_the_decoder_may_compute_in_half_precision() -> None:
    trigrid, painter = random_scene((4,))
    levels = tuple(level.requires_grad_() for level in trigrid.levels)
    camera = sampled_camera(90, 90, 4)
    exact = render(trigrid, painter, camera, FEW)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = render(trigrid, painter, camera, FEW)
    assert found.image.dtype == found.alpha.dtype == torch.float32
    torch.testing.assert_close(found.alpha, exact.alpha, atol=0.02, rtol=0)
    assert 0 < (found.features - exact.features).abs().max() < 0.05 * exact.features.abs().max()
    assert torch.autograd.grad(found.image.sum(), levels)[0].abs().max() > 1e-3


def test_entropy_is_that_of_the_weights() -> None:
    depths, sigma = torch.tensor([[0.0, 0.5, 1.0, 2.0]]), torch.tensor([[-3.0, 2.0, 1.0, 4.0]])
    weights = slow_reference.weights(depths[0].tolist(), sigma[0].tolist())
    bits = [-w * math.log2(w) - (1 - w) * math.log2(1 - w) for w in weights]
    assert shares(depths, sigma).entropy.item() == pytest.approx(sum(bits) / 3, abs=1e-5)
    nothing = torch.full((1, 4), -1000.0)
    assert shares(depths, nothing).entropy.item() == pytest.approx(0, abs=1e-3)


def _integrated(camera: Camera, raw_density: object) -> tuple[Tensor, Tensor]:
    """Coverage and mean depth by fine sums over the continuous density."""
    origin, directions = rays(camera, torch.zeros(1, dtype=torch.float64))
    edges = torch.linspace(PORTRAIT3D.near, PORTRAIT3D.far, 4001, dtype=torch.float64)
    middles, step = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    points = origin + middles[:, None] * directions[:, None]
    sigma = softplus(raw_density(points) - 1)  # type: ignore[operator]
    sigma = torch.where(points[..., (0, 2)].abs().amax(-1) <= 0.28, sigma, 0.0)
    alpha = 1 - torch.exp(-sigma * step)
    passed = torch.exp(-torch.cumsum(sigma, dim=1) * step) / (1 - alpha)
    weights = alpha * passed
    total = weights.sum(1)
    shape = (camera.height, camera.width)
    return total.view(shape).float(), ((weights * middles).sum(1) / total).view(shape).float()
