import torch

from pipeline.stages.config import LearningRates
from pipeline.stages.splat_optimizer import EPSILON, HIGHER_DEGREES, SplatOptimizer

RATES = LearningRates(means=1e-2, sh=2e-2, betas=(0.8, 0.95))


def gradients(step: int) -> dict[str, torch.Tensor]:
    """Of five splats with four coefficients a colour; the last splat is never seen."""
    draws = torch.Generator().manual_seed(step)
    made = {"means": torch.randn(5, 3, generator=draws), "sh": torch.randn(5, 4, 3, generator=draws) * 1e-6}
    for gradient in made.values():
        gradient[4] = 0
    return made


def parameters() -> dict[str, torch.Tensor]:
    return {"means": torch.arange(15.0).view(5, 3), "sh": torch.ones(5, 4, 3)}


def test_it_moves_as_torch_does_with_two_rates_for_colours():
    ours, optimizer = parameters(), SplatOptimizer(RATES)
    theirs = {name: value.clone() for name, value in parameters().items()}
    leaves = [theirs["means"], theirs["sh"][:, :1].clone(), theirs["sh"][:, 1:].clone()]
    rates = (RATES.means, RATES.sh, RATES.sh / HIGHER_DEGREES)
    groups = [{"params": [leaf], "lr": rate} for leaf, rate in zip(leaves, rates, strict=True)]
    peer = torch.optim.Adam(groups, betas=RATES.betas, eps=EPSILON)
    for step in range(20):
        given = gradients(step)
        optimizer.step(ours, given)
        parts = (given["means"], given["sh"][:, :1], given["sh"][:, 1:])
        for leaf, gradient in zip(leaves, parts, strict=True):
            leaf.grad = gradient.clone()
        peer.step()
    torch.testing.assert_close(ours["means"], leaves[0])
    torch.testing.assert_close(ours["sh"], torch.cat(leaves[1:], 1))
    assert torch.equal(ours["means"][4], parameters()["means"][4])


def test_it_goes_on_from_its_state_as_if_nothing_had_been():
    one, other = parameters(), parameters()
    unbroken, first, second = (SplatOptimizer(RATES) for _ in range(3))
    for step in range(4):
        unbroken.step(one, gradients(step))
    for step in range(2):
        first.step(other, gradients(step))
    state = first.state()
    first.step({name: value.clone() for name, value in other.items()}, gradients(9))  # changes nothing that was kept
    second.load(state, torch.device("cpu"))
    for step in range(2, 4):
        second.step(other, gradients(step))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_running_averages_follow_their_splats():
    optimizer = SplatOptimizer(RATES)
    optimizer.step(parameters(), gradients(0))
    before = optimizer.state()
    optimizer.follow(lambda values: values[[2, 0]], ("means", "sh"))
    after = optimizer.state()
    for moments in ("first", "second"):
        for name in ("means", "sh"):
            assert torch.equal(after[moments][name], before[moments][name][[2, 0]])
