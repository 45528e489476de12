"""Splats that come and go, on a made-up head."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import Layer, SplatAvatar
from pipeline.geometry import quaternion_to_matrix
from pipeline.stages.config import Densification, Phase, RefinementConfig
from pipeline.stages.densification import CHILDREN, SHRINK, Change, Statistics, densify, prune, world_sizes
from pipeline.stages.randomness import generator
from pipeline.stages.training import Training
from tests.synthetic import synthetic_rig

RIG = synthetic_rig(1)


def scattered(seed: int, count: int) -> SplatAvatar:
    """Splats of all sizes, places and opacities on random triangles, several on some, none on others."""
    draws = torch.Generator().manual_seed(seed)
    return SplatAvatar.from_parts(
        RIG,
        face=torch.randint(len(RIG.faces), (count,), generator=draws),
        means=torch.randn(count, 3, generator=draws),
        quats=torch.randn(count, 4, generator=draws),
        log_scales=torch.rand(count, 3, generator=draws) * 4 - 3,
        opacity_logits=torch.randn(count, generator=draws) * 4,
        sh=torch.randn(count, 1, 3, generator=draws),
        layer=torch.randint(len(Layer), (count,), generator=draws),
    )


def statistics(seed: int, count: int) -> Statistics:
    draws = torch.Generator().manual_seed(seed)
    seen = torch.randint(0, 4, (count,), generator=draws).float()
    return Statistics(torch.rand(count, generator=draws) * 1e-3 * seen, seen, torch.rand(count, generator=draws) * 40)


cases = st.tuples(st.integers(0, 1000), st.integers(1, 60), st.floats(0, 2e-3), st.floats(0, 1), st.integers(0, 120))


@given(cases)
def test_children_stay_on_their_parents_triangle_and_place(case):
    seed, count, threshold, split_scale, most = case
    avatar, seen = scattered(seed, count), statistics(seed, count)
    trained = torch.rand(count, generator=torch.Generator().manual_seed(seed)) > 0.3
    options = Densification(gradient=threshold, split_scale=split_scale, most=most)
    change = densify(avatar, seen, options, trained, 0.1, generator(seed, "split"))

    wanted = (seen.mean_gradient() >= threshold) & trained
    assert len(change.source) <= max(count, most)
    if most >= 2 * count:
        assert len(change.source) == count + int(wanted.sum())
    assert set(change.source.tolist()) == set(range(count))
    assert change.means.isfinite().all()
    assert change.log_scales.isfinite().all()
    assert not trained.logical_not()[change.source[change.fresh]].any()
    parent_means = avatar.means.detach()[change.source]
    reach = 8 * math.sqrt(3) * avatar.log_scales.detach()[change.source].exp().amax(1)  # no draw goes further
    assert ((change.means - parent_means).norm(dim=1) <= reach).all()
    assert torch.equal(change.means[~change.fresh], parent_means[~change.fresh])


def test_small_splats_are_cloned_and_large_ones_split():
    avatar = scattered(0, 40)
    options = Densification(gradient=0.0, split_scale=1.0)
    sizes = world_sizes(avatar)
    extent = float(sizes.median())
    everyone = torch.ones(40, dtype=torch.bool)
    change = densify(avatar, statistics(0, 40), options, everyone, extent, generator(0, "split"))
    large = sizes > extent
    children = change.source[change.fresh]
    counts = torch.bincount(children, minlength=40)
    assert torch.equal(counts, torch.where(large, CHILDREN, 1))
    assert len(change.source) == 40 + 40
    scales = avatar.log_scales.detach()[change.source]
    expected = torch.where((change.fresh & large[change.source])[:, None], scales - math.log(SHRINK), scales)
    torch.testing.assert_close(change.log_scales, expected)


def test_children_of_a_split_splat_are_drawn_from_it():
    count = 4000
    avatar = scattered(1, 1)
    rows = Change(torch.zeros(count, dtype=torch.long), torch.zeros(count, dtype=torch.bool), None, None)
    many = SplatAvatar.from_parts(
        RIG, **{name: rows.rows(getattr(avatar, name).detach()) for name in
                ("face", "means", "quats", "log_scales", "opacity_logits", "sh", "layer")}
    )  # fmt: skip
    everyone = torch.ones(count, dtype=torch.bool)
    options = Densification(gradient=0.0, split_scale=0.0, most=10**6)
    change = densify(many, statistics(1, count), options, everyone, 0.1, generator(0, "split"))
    axes, sizes = quaternion_to_matrix(avatar.quats.detach()[0]), avatar.log_scales.detach()[0].exp()
    offsets = (change.means - avatar.means.detach()) @ axes / sizes  # in the splat's own frame, in its own sizes
    torch.testing.assert_close(offsets.T.cov(), torch.eye(3), atol=0.08, rtol=0)
    torch.testing.assert_close(offsets.mean(0), torch.zeros(3), atol=0.05, rtol=0)


def test_the_highest_gradients_come_first_where_room_is_short():
    avatar = scattered(2, 10)
    seen = Statistics(torch.arange(10.0), torch.ones(10), torch.zeros(10))
    options = Densification(gradient=1.0, split_scale=1e9, most=13)
    change = densify(avatar, seen, options, torch.ones(10, dtype=torch.bool), 0.1, generator(0, "split"))
    assert sorted(change.source[change.fresh].tolist()) == [7, 8, 9]


@given(cases)
def test_pruning_leaves_every_triangle_its_most_opaque_splat(case):
    seed, count, _, max_scale, _ = case
    avatar, seen = scattered(seed, count), statistics(seed, count)
    trained = torch.rand(count, generator=torch.Generator().manual_seed(seed)) > 0.3
    options = Densification(min_opacity=0.3, max_scale=max_scale, max_radius=10)
    start = avatar.log_scales.detach() - torch.rand(count, 1, generator=torch.Generator().manual_seed(seed)) + 0.5
    change = prune(avatar, seen, options, trained, start, 0.1)
    kept = change.source
    assert set(avatar.face[kept].tolist()) == set(avatar.face.tolist())
    assert set(torch.nonzero(~trained).squeeze(1).tolist()) <= set(kept.tolist())
    for face in avatar.face.unique():
        on_it = torch.nonzero(avatar.face == face).squeeze(1)
        assert int(on_it[avatar.opacity_logits[on_it].argmax()]) in kept.tolist()
    assert not change.fresh.any()
    opaque = torch.sigmoid(avatar.opacity_logits) >= 0.3
    kept_mask = torch.zeros(count, dtype=torch.bool)
    kept_mask[kept] = True
    as_they_were = avatar.log_scales.amax(1) <= start.amax(1)
    assert kept_mask[opaque & as_they_were].all()  # large from the start on is no reason


def test_pruning_removes_the_transparent_and_the_grown():
    avatar = scattered(3, 4)
    avatar.face.zero_()
    with torch.no_grad():
        avatar.opacity_logits.copy_(torch.tensor([5.0, -9.0, 4.0, 4.0]))
        avatar.log_scales.copy_(torch.tensor([[0.0], [0.0], [3.0], [0.0]]).expand(4, 3))
    nothing = Statistics.empty(avatar.means)
    everyone = torch.ones(4, dtype=torch.bool)
    change = prune(avatar, nothing, Densification(max_scale=1.0), everyone, torch.zeros(4, 3), 0.2)
    assert change.source.tolist() == [0, 3]


@pytest.mark.parametrize("adds", [True, False])
def test_the_size_on_screen_counts_only_where_splats_are_added_too(adds):
    """As in the published codes: what HeadStudio removes after its last clone depends on opacity and size alone."""
    options = Densification(
        steps=(1,) if adds else (), prune_steps=(1,), gradient=1e9, min_opacity=0.0, max_scale=1e9, max_radius=1.0
    )
    phase = Phase("a", "sds", 2, ("full",), "all", 1.0, "", densification=options)
    avatar = scattered(4, 8)
    avatar.face.zero_()
    training = Training(avatar, phase, RefinementConfig("own", (phase,)), torch.device("cpu"))
    training.avatar.log_scales.data += 0.5
    training.statistics.radius += 5.0
    training.done = 1
    training.restructure(0.1)
    assert len(training.avatar.means) == (1 if adds else 8)


def test_statistics_count_every_view():
    seen = Statistics.empty(torch.zeros(3, 3))
    seen.add(torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.0, 0.0]]), torch.tensor([[5.0, 1.0, 0.0], [2.0, 0.0, 0.0]]))
    torch.testing.assert_close(seen.mean_gradient(), torch.tensor([2.0, 2.0, 0.0]))
    torch.testing.assert_close(seen.radius, torch.tensor([5.0, 1.0, 0.0]))


def test_normalised_statistics_do_not_depend_on_the_size_of_the_loss():
    def mean(factor: float) -> torch.Tensor:
        seen = Statistics.empty(torch.zeros(3, 3))
        seen.add(factor * torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]), torch.ones(2, 3), normalized=True)
        return seen.mean_gradient()

    torch.testing.assert_close(mean(1.0), torch.tensor([0.6, 0.8, 0.0]))
    torch.testing.assert_close(mean(1e-6), mean(1.0))


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 5)])
def test_momentum_follows_those_that_stay_and_starts_at_zero_for_children(shape):
    values = torch.arange(float(math.prod(shape))).view(shape) + 1
    change = Change(torch.tensor([0, 2, 1, 1]), torch.tensor([False, False, True, True]), None, None)
    moved = change.momentum(values)
    assert torch.equal(moved[:2], values[[0, 2]])
    assert not moved[2:].any()
