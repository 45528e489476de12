"""Fused levels, the lattice of voxels, and both fast renderers against the plain one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.priors.portrait3d.cameras import ANIMPORTRAIT3D_ORBIT, PORTRAIT3D_ORBIT, sampled_camera
from pipeline.priors.portrait3d.compact_rays import CompactRays
from pipeline.priors.portrait3d.decoder import Painter
from pipeline.priors.portrait3d.fast_rendering import FastRenderer, _threshold
from pipeline.priors.portrait3d.fused import fuse
from pipeline.priors.portrait3d.kernel_rays import KernelRays
from pipeline.priors.portrait3d.rendering import ANIMPORTRAIT3D, PORTRAIT3D, Rendering, RenderOptions, density, render
from pipeline.priors.portrait3d.trigrid import TriGrid
from pipeline.stages.cameras import Orbit
from tests.priors.portrait3d.scenes import ball, random_scene

LEVELS = 1 / 127.5
"""A grey level of a picture in −1..1."""
FEW = {"coarse": 24, "fine": 24}


@pytest.fixture(scope="module")
def noise() -> tuple[TriGrid, Painter]:
    return random_scene((4, 8, 32))


def with_torch(trigrid: TriGrid, painter: Painter, options: RenderOptions, voxels: int) -> FastRenderer:
    """What a graphics card would do."""
    fast = FastRenderer(trigrid, painter, options, voxels=8)
    with torch.no_grad():
        fast._rays = CompactRays(fuse(trigrid), painter, options, voxels, _threshold(options))
    return fast


def with_kernels(trigrid: TriGrid, painter: Painter, options: RenderOptions, voxels: int) -> FastRenderer:
    return FastRenderer(trigrid, painter, options, voxels=voxels)


def differences(found: Rendering, expected: Rendering) -> torch.Tensor:
    """Grey levels."""
    return (found.image.clamp(-1, 1) - expected.image.clamp(-1, 1)).abs() / LEVELS


def test_fused_levels_say_the_same_everywhere(noise: tuple[TriGrid, Painter]) -> None:
    trigrid, _ = noise
    points = (torch.rand(3000, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 1.1
    torch.testing.assert_close(fuse(trigrid).sample(points), trigrid.sample(points).mean(1), atol=1e-5, rtol=0)


def test_a_single_level_needs_no_other() -> None:
    trigrid, _ = random_scene((8,))
    points = (torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 1.1
    torch.testing.assert_close(fuse(trigrid).sample(points), trigrid.sample(points).mean(1), atol=1e-5, rtol=0)


def test_levels_that_do_not_halve_are_refused() -> None:
    trigrid, _ = random_scene((6, 8))
    with pytest.raises(UserError, match="level of 6"):
        fuse(trigrid)


@pytest.mark.parametrize("make", [with_kernels, with_torch])
def test_density_is_that_of_the_plain_renderer(make, noise: tuple[TriGrid, Painter]) -> None:
    trigrid, painter = noise
    points = (torch.rand(5000, 3, generator=torch.Generator().manual_seed(0)) - 0.5) * 1.1
    expected = density(trigrid, painter, points).detach()
    torch.testing.assert_close(make(trigrid, painter, PORTRAIT3D, 8).density(points), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", [with_kernels, with_torch])
@pytest.mark.parametrize(("options", "orbit"), [(PORTRAIT3D, PORTRAIT3D_ORBIT), (ANIMPORTRAIT3D, ANIMPORTRAIT3D_ORBIT)])
def test_fog_everywhere_looks_the_same(
    make, options: RenderOptions, orbit: Orbit, noise: tuple[TriGrid, Painter]
) -> None:
    trigrid, painter = noise
    options, camera = replace(options, **FEW), sampled_camera(70, 100, 20, orbit)
    with torch.no_grad():
        expected = render(trigrid, painter, camera, options)
    found = make(trigrid, painter, options, 16).render(camera)
    torch.testing.assert_close(found.alpha, expected.alpha, atol=5e-4, rtol=0)
    torch.testing.assert_close(found.depth, expected.depth, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.features, expected.features, atol=5e-3, rtol=5e-3)


@pytest.mark.parametrize("make", [with_kernels, with_torch])
def test_a_solid_looks_the_same_to_a_grey_level(make) -> None:
    trigrid, painter = ball((8, 32))
    camera = sampled_camera(60, 75, 40)
    with torch.no_grad():
        expected = render(trigrid, painter, camera, PORTRAIT3D)
    found = make(trigrid, painter, PORTRAIT3D, 48).render(camera)
    assert differences(found, expected).max() < 0.5
    torch.testing.assert_close(found.alpha, expected.alpha, atol=1e-3, rtol=0)
    met = expected.alpha > 0.5
    torch.testing.assert_close(found.depth[met], expected.depth[met], atol=1e-3, rtol=0)
    assert met.any()


def test_both_find_the_same_voxels(noise: tuple[TriGrid, Painter]) -> None:
    trigrid, painter = noise
    with torch.no_grad():
        fused, points = fuse(trigrid), torch.rand(999, 3, generator=torch.Generator().manual_seed(0)) - 0.5
        threshold = float(density(trigrid, painter, points).quantile(0.95))
        kernels = KernelRays(fused, painter, PORTRAIT3D, 24, threshold)._cells.voxels
        compact = CompactRays(fused, painter, PORTRAIT3D, 24, threshold)._voxels
    assert 0.1 < kernels.mean() < 0.9
    assert (torch.from_numpy(kernels) > 0).eq(compact).all()


def test_only_what_may_be_dense_is_looked_at() -> None:
    trigrid, painter = ball((8, 32))
    rays = KernelRays(fuse(trigrid), painter, PORTRAIT3D, 48, _threshold(PORTRAIT3D))
    voxels = rays._cells.voxels
    x, y, z = (
        (torch.arange(n) + 0.5) / rays._cells.lattice.per_unit * 0.35 - half * 0.35
        for n, half in zip(
            voxels.shape,
            (rays._cells.lattice.half_width, rays._cells.lattice.half_height, rays._cells.lattice.half_width),
            strict=True,
        )
    )
    radius = (x[:, None, None] ** 2 + y[:, None] ** 2 + z**2).sqrt()
    occupied = torch.from_numpy(voxels) > 0
    assert occupied[radius < 0.15].all()
    assert not occupied[(radius > 0.2) & (radius < 0.23)].any()


@pytest.mark.parametrize("make", [with_kernels, with_torch])
def test_a_strand_two_pixels_wide_is_not_lost(make) -> None:
    trigrid, painter = ball((64,))  # dense where feature 0 is below 0.15²
    level = torch.zeros_like(trigrid.levels[0])
    level[:, 0, :3] = 3 * 0.06
    level[:, 0, :3, :, 21:23] = 0.0
    trigrid = TriGrid((level,), trigrid.ws)
    camera = sampled_camera(90, 90, 48)
    with torch.no_grad():
        expected = render(trigrid, painter, camera, PORTRAIT3D)
    found = make(trigrid, painter, PORTRAIT3D, 32).render(camera)  # voxels as large, in pixels, as usual
    torch.testing.assert_close(found.alpha, expected.alpha, atol=2e-3, rtol=0)
    assert 0.005 < (expected.alpha > 0.9).float().mean() < 0.2


@pytest.mark.parametrize("make", [with_kernels, with_torch])
def test_a_picture_that_shows_nothing_is_empty(make) -> None:
    trigrid, painter = ball((8, 32))
    away = sampled_camera(90, 90, 8)
    pose = away.viewmat.clone()
    pose[:3, 3] += torch.tensor([9.0, 0.0, 0.0])
    found = make(trigrid, painter, PORTRAIT3D, 16).render(replace(away, viewmat=pose))
    assert found.alpha.max() == 0
    assert found.depth.min() > PORTRAIT3D.far
    torch.testing.assert_close(found.image[:, 0, 0], painter.torgb.bias.detach())


def test_pictures_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch, noise) -> None:
    trigrid, painter = noise
    fast = with_kernels(trigrid, painter, replace(PORTRAIT3D, **FEW), 16)
    camera = sampled_camera(100, 80, 20)
    alone = fast.render(camera).image
    monkeypatch.setattr("pipeline.rendering.cpu.workers.WORKERS.threads", 3)
    assert torch.equal(fast.render(camera).image, alone)
