import torch

from pipeline.stages.randomness import generator


def drawn(*names: str | int) -> torch.Tensor:
    return torch.rand(8, generator=generator(42, *names))


def test_equal_names_give_equal_numbers():
    assert torch.equal(drawn("eyes", 3, 1), drawn("eyes", 3, 1))


def test_numbers_do_not_depend_on_what_was_drawn_before():
    used = generator(42, "eyes", 0)
    torch.rand(100, generator=used)
    expected = drawn("eyes", 1)
    torch.manual_seed(7)
    assert torch.equal(drawn("eyes", 1), expected)


def test_every_name_matters():
    names = [("eyes", 1, 23), ("eyes", 12, 3), ("eyes", 123), ("mouth", 1, 23), ("eyes", "1", 23), ("eyes1", 23)]
    first = {float(drawn(*name)[0]) for name in names}
    assert len(first) == len(names)


def test_the_seed_matters():
    other = torch.rand(8, generator=generator(43, "eyes", 0))
    assert not torch.equal(other, drawn("eyes", 0))
