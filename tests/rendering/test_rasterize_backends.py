"""Options, errors, threads, and which backend serves."""

from __future__ import annotations

import sys
import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.rendering.cpu import frame
from pipeline.rendering.cpu.workers import Workers
from pipeline.rendering.rasterize import rasterize, rasterize_rgb8
from pipeline.rendering.spherical_harmonics import sh_basis

from .scenes import random_scene

module = sys.modules["pipeline.rendering.rasterize"]


def with_gradients(threads: int, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    monkeypatch.setattr(frame, "WORKERS", Workers(threads))
    scene = random_scene(count=900, width=150, height=131)
    parameters = [p.clone().requires_grad_() for p in scene.parameters]
    render, alpha, meta = rasterize(*parameters, *scene.camera)
    gradients = torch.autograd.grad(render.square().sum() + alpha.sum(), parameters)
    return [render, alpha, meta["radii"], *gradients]


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    one = with_gradients(1, monkeypatch)
    for threads in (2, 5):
        assert all(torch.equal(a, b) for a, b in zip(one, with_gradients(threads, monkeypatch), strict=True))


def test_people_render_at_the_same_time() -> None:
    scenes = [random_scene(count=400, width=60 + 7 * k, height=90 - 5 * k, seed=k) for k in range(4)]
    alone = [rasterize_rgb8(*s.parameters, s.viewmat, s.K, s.width, s.height) for s in scenes]

    def repeat(k: int) -> bool:
        s = scenes[k]
        same = True
        for turn in range(12):
            if turn % 3:
                frame_now = rasterize_rgb8(*s.parameters, s.viewmat, s.K, s.width, s.height)
                same &= np.array_equal(frame_now, alone[k])
            else:
                parameters = [p.clone().requires_grad_() for p in s.parameters]
                render, _, _ = rasterize(*parameters, *s.camera)
                render.sum().backward()
                same &= bool(np.abs(render[0].detach().clamp(0, 1).numpy() * 255 - alone[k]).max() <= 0.501)
        return same

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(repeat, range(4)))


def test_helpers_start_again_after_a_fork() -> None:
    workers = Workers(2)
    seen: list[int] = []
    workers.share(seen.append)
    workers._process = -1  # as a forked child finds it
    workers.share(seen.append)
    assert seen.count(0) == 2


def test_an_error_in_a_helper_is_not_lost() -> None:
    def work(thread: int) -> None:
        if thread == 1:
            raise ArithmeticError("helper")
        time.sleep(0.05)  # the helper has surely begun

    with pytest.raises(ArithmeticError, match="helper"):
        Workers(2).share(work)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"means": torch.zeros(5, 2)}, r"means has shape \(5, 2\); \(any,3\) is needed"),
        ({"quats": torch.zeros(4, 4)}, r"quats has shape \(4, 4\); \(5,4\) is needed"),
        ({"scales": torch.zeros(5)}, "scales has shape"),
        ({"opacities": torch.zeros(5, 1)}, "opacities has shape"),
        ({"colors": torch.zeros(5, 0)}, "colors has no channel"),
        ({"colors": torch.zeros(5, 9)}, "9 channels; the CPU rasteriser takes at most 8"),
        ({"colors": torch.zeros(3, 5, 3)}, "colors has shape"),
        ({"sh_degree": 4}, "sh_degree is 4"),
        ({"sh_degree": 2, "colors": torch.zeros(5, 4, 3)}, "4 coefficients, enough for sh_degree 1, not 2"),
        ({"viewmats": torch.zeros(0, 4, 4)}, "viewmats is empty"),
        ({"Ks": torch.zeros(2, 3, 3)}, "Ks has shape"),
        ({"width": 0}, "width is 0"),
        ({"height": -3}, "height is -3"),
        ({"backgrounds": torch.zeros(1, 4)}, "backgrounds has shape"),
        ({"render_mode": "depth"}, "render_mode is 'depth'; it must be one of RGB, D, ED"),
        ({"rasterize_mode": "sharp"}, "rasterize_mode is 'sharp'"),
        ({"packed": True}, "no option packed"),
        ({"camera_model": "fisheye", "sparse_grad": True}, "no option camera_model, sparse_grad"),
        ({"viewmats": torch.eye(4)[None].requires_grad_()}, "gives viewmats no gradient"),
        ({"Ks": torch.eye(3)[None].requires_grad_()}, "gives Ks no gradient"),
        ({"colors": torch.zeros(5, 3, device="meta")}, "colors is on meta and means on cpu"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], sentence: str) -> None:
    arguments = {
        "means": torch.zeros(5, 3), "quats": torch.ones(5, 4), "scales": torch.ones(5, 3), "opacities": torch.ones(5),
        "colors": torch.ones(5, 3), "viewmats": torch.eye(4)[None], "Ks": torch.eye(3)[None], "width": 8, "height": 8,
    }  # fmt: skip
    with pytest.raises(ValueError, match=sentence):
        rasterize(**(arguments | change))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colors", np.ones((3, 4), np.float32)),
        ("out", np.ones((8, 9, 3), np.uint8)),
        ("rasterize_mode", "no"),
        ("K", np.eye(4)),
        ("background", (0, 0)),
    ],
)
def test_what_does_not_fit_a_frame_is_said(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {
        "means": np.zeros((3, 3)), "quats": np.ones((3, 4)), "scales": np.ones((3, 3)), "opacities": np.ones(3),
        "colors": np.ones((3, 3)), "viewmat": np.eye(4), "K": np.eye(3), "width": 8, "height": 8,
    }  # fmt: skip
    with pytest.raises(ValueError, match=name):
        rasterize_rgb8(**(arguments | {name: value}))


class _OnCuda(torch.Tensor):
    """A CPU tensor that says it is on a GPU."""

    is_cuda = property(lambda self: True)  # type: ignore[assignment]


@pytest.fixture
def gsplat(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A stand-in for gsplat: .backend._C and .rasterization are what the test makes them."""
    package, cuda, backend = (types.ModuleType(f"gsplat{part}") for part in ("", ".cuda", ".cuda._backend"))
    for name, stand_in in (("gsplat", package), ("gsplat.cuda", cuda), ("gsplat.cuda._backend", backend)):
        monkeypatch.setitem(sys.modules, name, stand_in)
    module._gsplat_works.cache_clear()
    yield types.SimpleNamespace(package=package, backend=backend)
    module._gsplat_works.cache_clear()


def test_cuda_tensors_go_to_gsplat_unchanged(gsplat: types.SimpleNamespace) -> None:
    calls: list[tuple[tuple, dict]] = []
    gsplat.backend._C = object()
    gsplat.package.rasterization = lambda *args, **options: calls.append((args, options)) or "gsplat's answer"
    scene = random_scene(count=5)
    means = scene.means.as_subclass(_OnCuda)
    answer = rasterize(means, *scene.parameters[1:], *scene.camera, sparse_grad=True, render_mode="ED", packed=True)
    assert answer == "gsplat's answer"
    ((args, options),) = calls
    assert args[0] is means
    assert args[-2:] == (scene.width, scene.height)
    assert options["sparse_grad"]
    assert options["packed"]
    assert options["render_mode"] == "ED"
    assert options["rasterize_mode"] == "antialiased"


def test_without_a_compiler_the_cpu_serves_and_says_so_once(gsplat: types.SimpleNamespace) -> None:
    gsplat.backend._C = None
    scene = random_scene(count=30)
    expected = rasterize(*scene.parameters, *scene.camera)[0]
    means = scene.means.as_subclass(_OnCuda)
    with pytest.warns(UserWarning, match="drawn on the CPU"):
        first = rasterize(means, *scene.parameters[1:], *scene.camera)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = rasterize(means, *scene.parameters[1:], *scene.camera)[0]
    assert torch.equal(first.as_subclass(torch.Tensor), expected)
    assert torch.equal(second.as_subclass(torch.Tensor), expected)


def test_spherical_harmonics_are_orthonormal() -> None:
    """Gauss-Legendre times a uniform circle integrates products of degree 6 exactly."""
    z, weight = np.polynomial.legendre.leggauss(8)
    angle = np.arange(16) * 2 * np.pi / 16
    ring = np.sqrt(1 - z**2)
    points = np.stack(
        [np.outer(ring, np.cos(angle)), np.outer(ring, np.sin(angle)), np.outer(z, np.ones(16))], -1
    ).reshape(-1, 3)
    basis = sh_basis(3, torch.from_numpy(3 * points)).numpy()  # their length does not matter
    products = (basis * np.repeat(weight, 16)[:, None] * 2 * np.pi / 16).T @ basis
    np.testing.assert_allclose(products, np.eye(16), atol=1e-12)


def test_degree_one_points_the_way_gsplat_does() -> None:
    basis = sh_basis(1, torch.eye(3))[:, 1:] / 0.4886025119029199
    torch.testing.assert_close(basis, torch.tensor([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]]))
