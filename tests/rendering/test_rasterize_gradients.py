"""Gradients: against float64 autograd through the reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pipeline.rendering.rasterize import rasterize
from pipeline.rendering.spherical_harmonics import sh_colors

from .reference import render_reference
from .scenes import NEEDLES, Scene, random_scene


def leaves(tensors: list[Tensor]) -> list[Tensor]:
    return [t.clone().requires_grad_() for t in tensors]


def relative_error(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def loss_weights(shape: tuple[int, ...], certain: Tensor, seed: int) -> Tensor:
    """What the loss asks of every pixel; nothing where rounding may decide a cut-off the other way."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * certain[..., None]


@pytest.mark.parametrize("mode", ["antialiased", "classic"])
@pytest.mark.parametrize(
    "scene",
    [
        random_scene(),
        random_scene(count=600, pixels=0.4, seed=1),
        random_scene(pixels=1.5, stretch=NEEDLES, seed=2),
        random_scene(count=60, pixels=12.0, channels=6, seed=3),
    ],
    ids=["usual", "below a pixel", "needles", "large"],
)
def test_all_gradients_match(scene: Scene, mode: str) -> None:
    ours, background = leaves(scene.parameters), torch.rand(1, scene.colors.shape[1]).requires_grad_()
    render, alpha, _ = rasterize(*ours, *scene.camera, backgrounds=background, render_mode="RGB+D", rasterize_mode=mode)
    s = scene.double()
    theirs, behind = leaves(s.parameters), background.detach().double().requires_grad_()
    expected = render_reference(
        *theirs, s.viewmat, s.K, s.width, s.height, background=behind[0], antialiased=mode == "antialiased"
    )
    weights = loss_weights(tuple(render[0].shape), expected.certain, 1)
    alpha_weights = loss_weights((s.height, s.width, 1), expected.certain, 2)
    ((render[0] * weights).sum() + (alpha[0] * alpha_weights).sum()).backward()
    picture = torch.cat([expected.render, expected.depth], -1)
    ((picture * weights).sum() + (expected.alpha * alpha_weights).sum()).backward()
    names = ("means", "quats", "scales", "opacities", "colors", "backgrounds")
    for name, a, b in zip(names, [*ours, background], [*theirs, behind], strict=True):
        assert relative_error(a.grad, b.grad) < 1e-3, name


@pytest.mark.parametrize("degree", [1, 3])
def test_the_view_direction_moves_the_means(degree: int) -> None:
    scene = random_scene(count=60)
    coefficients = 0.3 * torch.randn(60, 16, 3)
    means, sh = leaves([scene.means, coefficients])
    render, _, _ = rasterize(means, *scene.parameters[1:4], sh, *scene.camera, sh_degree=degree)
    s = scene.double()
    means64, sh64 = leaves([s.means, coefficients.double()])
    position = torch.linalg.inv(s.viewmat)[:3, 3]
    colors = sh_colors(degree, means64 - position, sh64)
    expected = render_reference(means64, *s.parameters[1:4], colors, s.viewmat, s.K, s.width, s.height)
    assert float((render[0] - expected.render)[expected.certain].detach().abs().max()) < 5e-4
    weights = loss_weights(tuple(render[0].shape), expected.certain, 3)
    (render[0] * weights).sum().backward()
    (expected.render * weights).sum().backward()
    assert relative_error(means.grad, means64.grad) < 1e-3
    assert relative_error(sh.grad, sh64.grad) < 1e-3
    assert not sh.grad[:, (degree + 1) ** 2 :].any()


def test_expected_depth_and_several_cameras() -> None:
    scene = random_scene(count=60)
    other = torch.eye(4)
    other[:3, 3] = torch.tensor([0.1, -0.2, 0.4])
    viewmats, Ks = torch.stack([scene.viewmat, other]), torch.stack([scene.K, scene.K])
    ours = leaves(scene.parameters)
    render, _, _ = rasterize(*ours, viewmats, Ks, scene.width, scene.height, render_mode="RGB+ED")
    s = scene.double()
    theirs, loss = leaves(s.parameters), torch.zeros((), dtype=torch.float64)
    asked = []
    for c, viewmat in enumerate(viewmats.double()):
        expected = render_reference(*theirs, viewmat, s.K, s.width, s.height)
        solid = expected.certain & (expected.alpha[..., 0] > 0.05)
        asked.append(loss_weights(tuple(render[c].shape), solid, c))
        picture = torch.cat([expected.render, expected.depth / expected.alpha.clamp_min(1e-10)], -1)
        loss = loss + (picture * asked[c]).sum()
    (render * torch.stack(asked)).sum().backward()
    loss.backward()
    for a, b in zip(ours, theirs, strict=True):
        assert relative_error(a.grad, b.grad) < 1e-3


def test_depth_alone_and_double_precision_inputs() -> None:
    scene = random_scene(count=40).double()
    ours, theirs = leaves(scene.parameters[:4]), leaves(scene.parameters[:4])
    render, _, _ = rasterize(*ours, scene.colors, *scene.camera, render_mode="D")
    expected = render_reference(*theirs, scene.colors, scene.viewmat, scene.K, scene.width, scene.height)
    weights = loss_weights(tuple(render[0].shape), expected.certain, 5)
    (render[0] * weights).sum().backward()
    (expected.depth * weights).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad.dtype == torch.float64
        assert relative_error(a.grad, b.grad) < 1e-3


def test_projected_means_carry_their_own_gradient() -> None:
    """Moving the principal point moves every projected mean alike, so their gradients add up to its."""
    scene = random_scene()
    ours = leaves(scene.parameters)
    render, _, meta = rasterize(*ours, *scene.camera)
    meta["means2d"].retain_grad()
    s = scene.double()
    K = s.K.clone().requires_grad_()
    expected = render_reference(*s.parameters, s.viewmat, K, s.width, s.height)
    weights = loss_weights(tuple(render[0].shape), expected.certain, 4)
    (render[0] * weights).sum().backward()
    (expected.render * weights).sum().backward()
    assert meta["means2d"].grad.shape == (1, len(scene.means), 2)
    torch.testing.assert_close(meta["means2d"].grad[0].sum(0).double(), K.grad[:2, 2], rtol=1e-3, atol=1e-2)


def test_absgrad_sums_the_pixels_magnitudes() -> None:
    scene = random_scene(count=12, width=9, height=7)
    ours = leaves(scene.parameters)
    render, _, meta = rasterize(*ours, *scene.camera, absgrad=True)
    means2d = meta["means2d"]
    weights = torch.randn(render.shape)
    total = torch.zeros_like(means2d)
    for y in range(scene.height):
        for x in range(scene.width):
            pixel = (render[0, y, x] * weights[0, y, x]).sum()
            total += torch.autograd.grad(pixel, means2d, retain_graph=True)[0].abs()
    (render * weights).sum().backward()
    torch.testing.assert_close(means2d.absgrad, total, rtol=1e-3, atol=1e-4)


def test_backward_can_run_twice_and_gives_the_same() -> None:
    scene = random_scene()
    ours = leaves(scene.parameters)
    render, _, _ = rasterize(*ours, *scene.camera)
    rasterize(*leaves(random_scene(seed=9).parameters), *scene.camera)  # another graph in between
    first = torch.autograd.grad(render.sum(), ours, retain_graph=True)
    second = torch.autograd.grad(render.sum(), ours)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    scene = random_scene(count=20)
    colors = scene.colors.clone().requires_grad_()
    render, _, meta = rasterize(*scene.parameters[:4], colors, *scene.camera)
    render.sum().backward()
    assert colors.grad.abs().sum() > 0
    assert not meta["means2d"].requires_grad


def test_inputs_changed_before_backward_are_noticed() -> None:
    scene = random_scene(count=20)
    ours = leaves(scene.parameters)
    scaled = ours[2] * 1.0
    render, _, _ = rasterize(*ours[:2], scaled, *ours[3:], *scene.camera)
    scaled.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        render.sum().backward()
