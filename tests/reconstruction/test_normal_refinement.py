"""A smoothed mesh that is shown the true one's normals and outlines, and Marigold on a tiny checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import trimesh
from diffusers import MarigoldNormalsPipeline, StableDiffusionPipeline
from scipy.spatial import cKDTree
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.camera import Camera
from pipeline.errors import UserError
from pipeline.reconstruction.multiview import Surface, Views
from pipeline.reconstruction.normal_predictor import load_normal_predictor
from pipeline.reconstruction.normal_refinement import NormalRefinement, refine_by_normals
from pipeline.reconstruction.predicted_normals import key_rows, refine_by_pictures
from pipeline.rendering.mesh import Fragments, interpolate, rasterize_mesh, vertex_normals
from pipeline.stages.cameras import Orbit
from pipeline.stages.initialization import InitializationConfig, initialize
from pipeline.stages.journal import Interrupted, Journal, Progress, State
from tests.tiny_checkpoint import tiny_components

ORBIT = Orbit(torch.zeros(3), torch.zeros(3), 4.0, 40.0, 4.0)
CAMERAS = [ORBIT.camera(yaw, polar, 96) for polar in (55.0, 115.0) for yaw in range(30, 390, 60)]
VIEWMATS = torch.stack([camera.viewmat for camera in CAMERAS])


def bumps(points: Tensor) -> Tensor:
    """A ball with a nose and waves: points of the unit sphere → of the scene."""
    nose = 0.25 * torch.exp(-((points - torch.tensor([0.0, 0.0, 1.0])) ** 2).sum(1) / 0.06)
    waves = 0.03 * torch.sin(7 * points[:, 0]) * torch.sin(6 * points[:, 1])
    return points * (1 + nose + waves)[:, None]


@pytest.fixture(scope="module")
def true() -> Surface:
    sphere = trimesh.creation.icosphere(4, 1.0)
    return Surface(bumps(torch.tensor(sphere.vertices).float()), torch.tensor(sphere.faces).long())


@pytest.fixture(scope="module")
def plain(true: Surface) -> Surface:
    """The ball without nose and waves, a little too small."""
    sphere = trimesh.creation.icosphere(4, 0.97)
    return Surface(torch.tensor(sphere.vertices).float(), true.faces)


def shown(surface: Surface) -> tuple[Tensor, Tensor]:
    """Normals (C, H, W, 3) in camera space and alphas (C, H, W)."""
    fragments = _fragments(surface, CAMERAS)
    world = interpolate(fragments, surface.faces, vertex_normals(surface.vertices, surface.faces), 0.0)
    turned = torch.einsum("chwi,cji->chwj", world, VIEWMATS[:, :3, :3]) * torch.tensor([1.0, -1.0, -1.0])
    return torch.nn.functional.normalize(turned, dim=-1), (fragments.face >= 0).float()


def _fragments(surface: Surface, cameras: Sequence[Camera]) -> Fragments:
    viewmats, Ks = (torch.stack([getattr(camera, name) for camera in cameras]) for name in ("viewmat", "K"))
    return rasterize_mesh(surface.vertices, surface.faces, viewmats, Ks, 96, 96)


def degrees_off(surface: Surface, true: Surface) -> float:
    (normals, alphas), (wanted, matte) = shown(surface), shown(true)
    both = (alphas > 0) & (matte > 0)
    return float(torch.rad2deg(torch.arccos((normals * wanted).sum(-1)[both].clamp(-1, 1))).mean())


def distance(surface: Surface, true: Surface) -> float:
    """Mean distance of the vertices to the true surface, finely sampled."""
    fine = bumps(torch.tensor(trimesh.creation.icosphere(6, 1.0).vertices).float())
    return float(cKDTree(fine.numpy()).query(surface.vertices.numpy())[0].mean())


class Stops(Journal):
    """Keeps the state of each step, and stops after one of them."""

    def __init__(self, after: int | None, state: State | None = None) -> None:
        self.after, self.state, self.steps = after, state, 0

    def resume(self, phases) -> tuple[str, State] | None:
        assert tuple(phases) == ("mesh_normals",)
        return None if self.state is None else ("mesh_normals", self.state)

    def step(self, progress: Progress, shown: SplatAvatar | Tensor | None, state: Callable[[], State]) -> None:
        self.steps += 1
        if progress.step == self.after:
            self.state = state()
            raise Interrupted


def test_normals_and_outlines_bring_a_mesh_closer_to_the_truth(true: Surface, plain: Surface) -> None:
    before, off = distance(plain, true), degrees_off(plain, true)
    refined = refine_by_normals(plain, CAMERAS, *shown(true), NormalRefinement(steps=35), Journal())
    assert torch.equal(refined.faces, plain.faces)
    assert distance(refined, true) < 0.4 * before
    assert degrees_off(refined, true) < 0.45 * off


def test_each_outline_is_that_of_its_own_view() -> None:
    """An egg, whose outlines differ from view to view, from outlines alone."""
    sphere = trimesh.creation.icosphere(3, 1.0)
    vertices, faces = torch.tensor(sphere.vertices).float(), torch.tensor(sphere.faces).long()
    egg = Surface(vertices * torch.tensor([0.8, 1.2, 1.1]), faces)
    _, alphas = shown(egg)
    nothing = torch.zeros(len(CAMERAS), 96, 96, 3)
    config = NormalRefinement(steps=25, views=12, normal_weight=0.0, stiffness=50.0)
    refined = refine_by_normals(Surface(vertices, faces), CAMERAS, nothing, alphas, config, Journal())
    _, found = shown(refined)
    _, started = shown(Surface(vertices, faces))
    assert (started != alphas).float().mean() > 0.02
    assert (found != alphas).float().mean() < 0.006


def test_a_refinement_that_was_stopped_ends_as_an_unbroken_one(true: Surface, plain: Surface) -> None:
    images = shown(true)
    config = NormalRefinement(steps=5, views=2)
    whole = refine_by_normals(plain, CAMERAS, *images, config, Journal())
    stopped = Stops(after=2)
    with pytest.raises(Interrupted):
        refine_by_normals(plain, CAMERAS, *images, config, stopped)
    again = Stops(None, stopped.state)
    assert torch.equal(refine_by_normals(plain, CAMERAS, *images, config, again).vertices, whole.vertices)
    assert again.steps == 3


def test_pictures_without_an_outline_do_not_pull(plain: Surface) -> None:
    normals, alphas = shown(plain)
    refined = refine_by_normals(plain, CAMERAS, normals, torch.zeros_like(alphas), NormalRefinement(steps=2), Journal())
    assert torch.equal(refined.vertices, plain.vertices)


def test_normals_that_are_no_numbers_are_told(true: Surface, plain: Surface) -> None:
    normals, alphas = shown(true)
    with pytest.raises(UserError, match="not finite in step 1"):
        refine_by_normals(plain, CAMERAS, normals * torch.nan, alphas, NormalRefinement(steps=2), Journal())


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(UserError, match="views of the surface's refinement is 0; it goes from 1 to 64"):
        NormalRefinement(views=0)
    with pytest.raises(UserError, match="learning_rate of the surface's refinement is nan"):
        NormalRefinement(learning_rate=float("nan"))


def test_key_views_are_level_and_from_all_round() -> None:
    polars = (70.0, 90.0, 110.0)
    cameras = [ORBIT.camera(yaw, polar, 32) for polar in polars for yaw in range(0, 360, 15)]
    rows = key_rows(cameras)
    assert len(rows) == 8
    assert rows == list(range(24, 48, 3))
    assert key_rows(cameras[24:30]) == list(range(6))


def test_pictures_refine_a_surface_once(true: Surface, plain: Surface, tmp_path: Path) -> None:
    normals, alphas = shown(true)
    pictures = (torch.cat([normals / 2 + 0.5, alphas[..., None]], -1) * 255).round().to(torch.uint8)
    views = Views(tuple(CAMERAS), pictures)
    asked: list[Tensor] = []

    def predictor(images: Tensor) -> Tensor:
        """Sees normals in pictures that are painted with them, on white where there is nothing."""
        asked.append(images)
        return images.float() / 127.5 - 1

    class Keeps(Journal):
        def folder(self, phase: str) -> Path:
            return tmp_path

    config = NormalRefinement(steps=8)
    refined = refine_by_pictures(plain, views, predictor, config, Keeps())
    assert degrees_off(refined, true) < 0.9 * degrees_off(plain, true)
    assert len(asked) == 1
    assert (asked[0][alphas[key_rows(CAMERAS)] == 0] == 255).all()
    again = refine_by_pictures(plain, views, predictor, config, Keeps())
    assert len(asked) == 1
    assert torch.equal(again.vertices, refined.vertices)


def test_a_rigged_start_is_fitted_to_the_refined_surface(true: Surface, plain: Surface) -> None:
    class Ball:
        """A source whose pictures are painted with its normals."""

        orbit = ORBIT

        def look(self, cameras) -> Views:
            asked = Views(tuple(cameras), torch.zeros(len(cameras), 96, 96, 4, dtype=torch.uint8))
            asked.pictures[..., 3] = 255 * (_fragments(true, cameras).face >= 0)
            return asked

        def surface(self) -> Surface:
            return plain

        def landmarks(self, cameras) -> None:
            return None

    class Fitted(Exception):
        pass

    fitted: list[Surface] = []

    def fit(kind, observed, cameras, surface, start):
        fitted.append(surface)
        raise Fitted

    config = InitializationConfig(
        "small", yaws=6, pitches=(70.0, 90.0, 110.0), size=96, normals=NormalRefinement(steps=15)
    )
    with pytest.raises(Fitted):
        initialize(Ball(), "anny", config, Journal(), normals=lambda images: torch.zeros(*images.shape[:3], 3), fit=fit)
    assert distance(fitted[0], true) < 0.8 * distance(plain, true)


def tiny_marigold() -> MarigoldNormalsPipeline:
    parts = tiny_components(in_channels=8)
    del parts["controlnet"]
    return MarigoldNormalsPipeline(
        **parts, prediction_type="normals", use_full_z_range=True, default_denoising_steps=2,
        default_processing_resolution=64,
    )  # fmt: skip


def test_marigold_is_loaded_and_gives_its_normals(tmp_path: Path) -> None:
    tiny_marigold().save_pretrained(tmp_path)
    pictures = torch.randint(0, 256, (2, 48, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    normals = load_normal_predictor(tmp_path)(pictures)
    assert normals.shape == (2, 48, 64, 3)
    assert torch.allclose(normals.norm(dim=-1), torch.ones(2, 48, 64), atol=1e-5)
    assert torch.equal(load_normal_predictor(tmp_path)(pictures), normals)
    assert torch.equal(load_normal_predictor(tmp_path)(pictures[:1]), normals[:1])
    assert not torch.equal(load_normal_predictor(tmp_path, seed=1)(pictures), normals)


def test_another_model_or_none_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no Marigold"):
        load_normal_predictor(tmp_path)
    parts = tiny_components()
    del parts["controlnet"]
    StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="sees 4 channels and one for normals 8"):
        load_normal_predictor(tmp_path)
