"""Surface: even sampling, places of the template on any person, rays."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pipeline.heads.anny import AnnyHead
from pipeline.priors.procedural.rays import Rays
from pipeline.priors.procedural.splats import unit
from pipeline.priors.procedural.surface import Surface

NOSE_TIP = np.float32([[0, 0.6915, 0.168]])


@pytest.fixture(scope="module")
def surface():
    return Surface(AnnyHead({"gender": 1.0, "age": 0.6}))


@pytest.fixture(scope="module")
def samples(surface):
    return surface.sample(surface.outer_skin, 5e-3, np.random.default_rng(1))


def test_samples_are_even(samples):
    nearest = cKDTree(samples.position).query(samples.position, 2)[0][:, 1]
    assert 0.004 < np.median(nearest) < 0.005
    assert np.percentile(nearest, 99) < 0.0075


def test_samples_lie_on_their_triangles(surface, samples):
    flat = (surface.vertices[surface.faces[samples.face]] * samples.barycentric[..., None]).sum(1)
    assert np.linalg.norm(flat - samples.position, axis=1).max() < 3e-3  # smoothing moves them a little
    assert np.median(np.linalg.norm(flat - samples.position, axis=1)) < 5e-4
    np.testing.assert_allclose(np.linalg.norm(samples.normal, axis=1), 1, atol=1e-4)
    assert samples.barycentric.min() > -1e-6


def test_sampling_repeats_itself(surface, samples):
    again = surface.sample(surface.outer_skin, 5e-3, np.random.default_rng(1))
    np.testing.assert_array_equal(again.position, samples.position)


def test_stretched_sampling_is_denser_where_the_face_moves(surface):
    lids = surface.regions["eyelids"]
    calm = surface.sample(lids, 1.5e-3, np.random.default_rng(0))
    ready = surface.sample(lids, 1.5e-3, np.random.default_rng(0), stretched=True)
    assert len(ready) > 1.1 * len(calm)


def test_template_places_find_the_same_spot_on_another_head(surface):
    child = Surface(AnnyHead({"age": 0.33}))
    for person in (surface, child):
        nose = person.project_template(NOSE_TIP)[0]
        front = person.vertices[np.unique(person.faces[person.regions["face"]])]
        assert np.linalg.norm(nose - front[front[:, 2].argmax()]) < 0.006
    assert child.size < 0.95 * surface.size


def test_front_finds_the_skin_behind_a_place_of_the_front_view(surface):
    found = surface.front(np.float32([[0.0, 0.69], [0.03, 0.78], [0.5, 0.7]]))
    np.testing.assert_allclose(found.template[:2, :2], [[0.0, 0.69], [0.03, 0.78]], atol=1e-5)
    assert found.template[0, 2] > 0.16
    assert np.isfinite(found.position).all()


def test_soft_mask_keeps_the_region_and_fades_at_its_border(surface):
    soft = surface.soft("lips")
    inside = np.unique(surface.faces[surface.regions["lips"]])
    assert soft[inside].min() > 0
    assert soft.max() == 1
    assert ((soft > 0) & (soft < 1)).any()


def test_rays_see_a_wall_and_the_sky():
    wall = np.float32([[[-9, -9, 1], [9, -9, 1], [0, 12, 1]]])
    rays = Rays(wall)
    origin, up, away = np.zeros((1, 3), np.float32), np.float32([[0, 0, 1]]), np.float32([[0, 0, -1]])
    assert rays.blocked(origin, up)[0]
    assert not rays.blocked(origin, up, max_distance=0.5)[0]
    assert not rays.blocked(origin, away)[0]
    assert rays.occlusion(origin, up, rays=64)[0] < 0.2
    assert rays.occlusion(origin, away)[0] == 1
    assert rays.visibility(origin, up, (0, 0, 1))[0] == 0
    triangle, barycentric = rays.first_hit(origin, up)
    assert triangle[0] == 0
    np.testing.assert_allclose(barycentric[0] @ wall[0], [0, 0, 1], atol=1e-4)


def test_the_inside_of_the_mouth_is_darker_than_the_forehead(surface):
    def openness(mask):
        found = surface.sample(mask, 4e-3, np.random.default_rng(0))
        return surface.occlusion(found.position, found.normal).mean()

    forehead = surface.regions["face"] & (surface.template[surface.faces].mean(1)[:, 1] > 0.77)
    assert openness(surface.regions["inner_mouth"]) < 0.3 < 0.8 < openness(forehead)


def test_poses_that_stretch_the_face_are_known(surface):
    centre = surface.template[surface.faces].mean(1)
    assert surface.stretch[surface.regions["eyelids"]].max() > 1.5
    np.testing.assert_allclose(surface.stretch[centre[:, 1] < 0.5], 1, atol=1e-3)


def test_unit_leaves_zero_alone():
    np.testing.assert_array_equal(unit([[0, 0, 0], [0, 3, 0]]), [[0, 0, 0], [0, 1, 0]])
