"""The picture: against the reference, and in the corners where rasterisers break."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.rendering.rasterize import rasterize, rasterize_rgb8

from .reference import Reference, render_reference
from .scenes import NEEDLES, Scene, random_scene


def reference(scene: Scene, **options: object) -> Reference:
    s = scene.double()
    return render_reference(*s.parameters, s.viewmat, s.K, s.width, s.height, **options)


def largest(difference: torch.Tensor, where: torch.Tensor) -> float:
    return float(difference[where].abs().max())


@pytest.mark.parametrize("mode", ["antialiased", "classic"])
@pytest.mark.parametrize(
    "scene",
    [
        random_scene(),
        random_scene(count=600, pixels=0.4, seed=1),
        random_scene(pixels=2.0, stretch=NEEDLES, seed=2),
        random_scene(count=60, pixels=12.0, width=70, height=33, seed=3),
    ],
    ids=["usual", "below a pixel", "needles", "large"],
)
def test_matches_the_reference(scene: Scene, mode: str) -> None:
    background = torch.tensor([[0.2, 0.5, 0.8]])
    render, alpha, _ = rasterize(*scene.parameters, *scene.camera, backgrounds=background, rasterize_mode=mode)
    expected = reference(scene, background=background[0].double(), antialiased=mode == "antialiased")
    assert expected.certain.double().mean() > 0.95
    assert largest(render[0] - expected.render, expected.certain) < 5e-4
    assert largest(alpha[0] - expected.alpha, expected.certain) < 5e-4
    assert float((render[0] - expected.render).abs().max()) < 2 / 255  # a cut-off decided otherwise is no more


@pytest.mark.parametrize("channels", [1, 2, 4, 8])
def test_any_number_of_channels_with_depth(channels: int) -> None:
    scene = random_scene(count=80, channels=channels)
    background = torch.linspace(0, 1, channels)[None]
    expected = reference(scene, background=background[0].double())
    render, _, _ = rasterize(*scene.parameters, *scene.camera, backgrounds=background, render_mode="RGB+D")
    assert render.shape == (1, scene.height, scene.width, channels + 1)
    assert largest(render[0, ..., :-1] - expected.render, expected.certain) < 5e-4
    assert largest(render[0, ..., -1:] - expected.depth, expected.certain) < 2e-3  # metres, of about 3


def test_depth_modes_agree() -> None:
    scene = random_scene()
    renders = {mode: rasterize(*scene.parameters, *scene.camera, render_mode=mode)[0] for mode in ("D", "ED")}
    both, alpha, _ = rasterize(*scene.parameters, *scene.camera, render_mode="RGB+ED")
    assert renders["D"].shape == (1, scene.height, scene.width, 1)
    torch.testing.assert_close(renders["ED"], renders["D"] / alpha.clamp_min(1e-10), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[..., -1:], renders["ED"], atol=1e-5, rtol=1e-5)


def test_each_camera_sees_what_it_sees_alone() -> None:
    scene = random_scene()
    other = random_scene(seed=5)
    viewmats = torch.stack([scene.viewmat, torch.linalg.inv(scene.viewmat)])
    Ks = torch.stack([scene.K, scene.K * torch.tensor([[1.3], [1.3], [1.0]])])
    colors = torch.stack([scene.colors, other.colors])
    backgrounds = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    together = rasterize(
        *scene.parameters[:4], colors, viewmats, Ks, scene.width, scene.height, backgrounds=backgrounds
    )[0]
    for c in range(2):
        alone = rasterize(
            *scene.parameters[:4], colors[c], viewmats[c : c + 1], Ks[c : c + 1], scene.width, scene.height,
            backgrounds=backgrounds[c : c + 1],
        )[0]  # fmt: skip
        assert torch.equal(together[c], alone[0])


def test_a_crop_is_a_part_of_the_whole() -> None:
    """Many tiles, and far more (tile, splat) pairs than the first guess has room for."""
    whole = random_scene(count=300, width=300, height=270, pixels=30.0, seed=7)
    # All means within the crop: the clamp of the Jacobian follows the image's edge.
    whole = replace(whole, means=whole.means * torch.tensor([0.25, 0.25, 1.0]), viewmat=torch.eye(4))
    left, top, width, height = 103, 82, 91, 99
    shifted = whole.K.clone()
    shifted[0, 2] -= left
    shifted[1, 2] -= top
    crop = replace(whole, K=shifted, width=width, height=height)
    image = rasterize(*whole.parameters, *whole.camera)[0][0, top : top + height, left : left + width]
    part = rasterize(*crop.parameters, *crop.camera)[0][0]
    assert (image.sum(-1) > 0).float().mean() > 0.9
    torch.testing.assert_close(part, image, atol=2e-4, rtol=0)


def test_splats_outside_the_depth_range_are_left_out() -> None:
    scene = random_scene()
    depth = scene.means @ scene.viewmat[2, :3] + scene.viewmat[2, 3]
    kept = (depth >= 3.0) & (depth <= 3.5)
    limited = rasterize(*scene.parameters, *scene.camera, near_plane=3.0, far_plane=3.5)
    chosen = rasterize(*(p[kept] for p in scene.parameters), *scene.camera)
    assert torch.equal(limited[0], chosen[0])
    assert torch.equal(limited[2]["radii"][0].amin(-1) > 0, kept & (limited[2]["radii"][0].amin(-1) > 0))


def test_meta_tells_densification_what_it_needs() -> None:
    scene = random_scene(count=40)
    scene.means[0, 2] = -1.0  # behind the camera
    _, _, meta = rasterize(*scene.parameters, *scene.camera)
    assert (meta["width"], meta["height"], meta["n_cameras"], meta["gaussian_ids"]) == (51, 38, 1, None)
    assert meta["radii"].shape == meta["means2d"].shape == (1, 40, 2)
    assert meta["radii"].dtype == torch.int32
    assert meta["radii"][0, 0].tolist() == [0, 0]
    seen = (meta["radii"][0] > 0).all(-1)
    points = scene.means @ scene.viewmat[:3, :3].T + scene.viewmat[:3, 3]
    screen = points @ scene.K.T
    torch.testing.assert_close(meta["means2d"][0, seen], (screen[:, :2] / screen[:, 2:])[seen], atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(meta["depths"][0, seen], points[seen, 2])


def test_radius_clip_drops_small_splats() -> None:
    scene = random_scene()
    radii = rasterize(*scene.parameters, *scene.camera)[2]["radii"][0].amax(-1)
    clipped = rasterize(*scene.parameters, *scene.camera, radius_clip=6.0)
    assert torch.equal(clipped[2]["radii"][0].amax(-1) > 0, radii > 6)
    chosen = rasterize(*(p[radii > 6] for p in scene.parameters), *scene.camera)
    assert torch.equal(clipped[0], chosen[0])


def test_bytes_are_the_rounded_picture() -> None:
    scene = random_scene(width=67, height=35)
    background = (0.1, 0.9, 0.4)
    render, _, _ = rasterize(*scene.parameters, *scene.camera, backgrounds=torch.tensor([background]))
    frame = rasterize_rgb8(
        *(p.numpy() for p in scene.parameters), scene.viewmat, scene.K, scene.width, scene.height, background=background
    )
    assert frame.dtype == np.uint8
    assert np.abs(render[0].numpy() * 255 - frame).max() <= 0.501
    out = np.zeros_like(frame)
    again = rasterize_rgb8(
        *scene.parameters, scene.viewmat, scene.K, scene.width, scene.height, background=background, out=out
    )
    assert again is out
    assert np.array_equal(out, frame)


def test_bytes_are_held_within_range() -> None:
    scene = random_scene()
    colors = scene.colors * 6 - 3
    frame = rasterize_rgb8(*scene.parameters[:4], colors, scene.viewmat, scene.K, scene.width, scene.height)
    render, _, _ = rasterize(*scene.parameters[:4], colors, *scene.camera)
    assert np.abs(render[0].clamp(0, 1).numpy() * 255 - frame).max() <= 0.501


def test_nonsense_splats_disturb_nobody() -> None:
    scene = random_scene(count=30)
    expected = rasterize(*scene.parameters, *scene.camera)[0]
    nan, inf = float("nan"), float("inf")
    broken = [
        {"means": [nan, 0, 3]}, {"means": [inf, 0, 3]}, {"means": [0, 0, nan]}, {"means": [0, 0, -inf]},
        {"quats": [0, 0, 0, 0]}, {"quats": [nan, 0, 0, 1]}, {"scales": [nan, 1, 1]}, {"scales": [1e30, 1e30, 1e30]},
        {"opacities": nan}, {"opacities": 0.0}, {"opacities": -1.0}, {"means": [0.0, 0.0, -0.2]},
    ]  # fmt: skip
    usual = {
        "means": [0, 0, 3.0],
        "quats": [1.0, 0, 0, 0],
        "scales": [0.1, 0.1, 0.1],
        "opacities": 0.9,
        "colors": [1.0, 1, 1],
    }
    rows = [usual | row for row in broken]
    extra = [torch.tensor([row[name] for row in rows], dtype=torch.float32) for name in usual]
    render, _, _ = rasterize(*(torch.cat([a, b]) for a, b in zip(extra, scene.parameters, strict=True)), *scene.camera)
    assert torch.equal(render, expected)


numbers = st.floats(-6, 6, width=32)
splat = st.tuples(
    st.tuples(numbers, numbers, st.floats(-1, 20, width=32)),
    st.tuples(numbers, numbers, numbers, numbers).filter(lambda q: sum(v * v for v in q) > 1e-6),
    st.tuples(*[st.sampled_from([0.0, 1e-20, 1e-6, 1e-3, 0.05, 1.0, 1e4])] * 3),
    st.floats(0, 1, width=32),
)


@given(st.lists(splat, max_size=5), st.integers(1, 70), st.integers(1, 70), st.sampled_from(["antialiased", "classic"]))
def test_any_splats_give_a_sound_picture(splats: list, width: int, height: int, mode: str) -> None:
    columns = list(zip(*splats, strict=True)) if splats else [(), (), (), ()]
    shapes = ((-1, 3), (-1, 4), (-1, 3), (-1,))
    means, quats, scales, opacities = (
        torch.tensor(c, dtype=torch.float32).reshape(s) for c, s in zip(columns, shapes, strict=True)
    )
    K = torch.tensor([[[40.0, 0, width / 2], [0, 40.0, height / 2], [0, 0, 1]]])
    background = torch.tensor([[0.25, 0.5, 0.75]])
    white = torch.ones(len(means), 3)
    render, alpha, meta = rasterize(
        means, quats, scales, opacities, white, torch.eye(4)[None], K, width, height,
        backgrounds=background, rasterize_mode=mode,
    )  # fmt: skip
    assert render.shape == (1, height, width, 3)
    assert meta["radii"].shape == (1, len(means), 2)
    assert alpha.min() >= 0
    assert alpha.max() <= 1 - 0.9e-4
    # White splats over a background: the colour follows from alpha alone.
    torch.testing.assert_close(render, alpha + (1 - alpha) * background[:, None, None], atol=1e-5, rtol=0)
    if not len(means):
        assert torch.equal(render, background.expand_as(render))
