"""Checkpoints: bit for bit, whole or not at all, the newest two."""

from __future__ import annotations

import errno
import math

import pytest
import torch

from pipeline.errors import UserError
from pipeline.jobs import checkpoints
from pipeline.jobs.checkpoints import Checkpoint, load_newest, oldest_done, save_checkpoint


def state(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(7, 3, generator=generator)
    return {
        "step": 3,
        "name": "tensor:no tensor",
        "rate": 0.1 + 0.2,
        "infinite": math.inf,
        "nothing": None,
        "yes": True,
        "avatar": {"means": shared, "same": shared, "part": shared[2:5, 1], "face": torch.arange(5, dtype=torch.int32)},
        "optimizer": [{"exp_avg": torch.randn(2, 2, generator=generator).half().t()}, torch.zeros(0, 4), 2],
        "mask": torch.tensor([True, False]),
        "brain": torch.randn(3, generator=generator).bfloat16(),
        "scalar": torch.tensor(1.5, dtype=torch.float64),
    }


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert type(one) is type(other)
        assert one == other


def test_what_was_written_is_read_bit_for_bit(tmp_path):
    save_checkpoint(tmp_path, Checkpoint(12, "mouth", state()))
    found, damaged = load_newest(tmp_path)
    assert (found.done, found.phase, damaged) == (12, "mouth", [])
    assert_equal(state(), found.state)


def test_the_newest_two_are_kept(tmp_path):
    for done in (5, 10, 15):
        save_checkpoint(tmp_path, Checkpoint(done, "eyes", state(done)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000010.safetensors", "00000015.safetensors"]
    assert oldest_done(tmp_path) == 10
    assert load_newest(tmp_path)[0].done == 15


@pytest.mark.parametrize("damage", ["half", "empty", "flipped", "headless"])
def test_of_a_damaged_one_the_one_before_is_taken(tmp_path, damage):
    save_checkpoint(tmp_path, Checkpoint(5, "eyes", state(5)))
    newest = save_checkpoint(tmp_path, Checkpoint(10, "eyes", state(10)))
    content = newest.read_bytes()
    flipped = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    newest.write_bytes(
        {"half": content[: len(content) // 2], "empty": b"", "flipped": flipped, "headless": b"\xff" * 99}[damage]
    )
    found, damaged = load_newest(tmp_path)
    assert found.done == 5
    assert damaged == [newest]
    assert_equal(state(5), found.state)


def test_one_that_may_not_be_read_is_not_taken_for_damaged(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, Checkpoint(5, "eyes", state(5)))

    def refused(path, device):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpoints, "_load", refused)
    with pytest.raises(UserError, match=r"00000005.safetensors cannot be read \(Permission denied\)"):
        load_newest(tmp_path)


def test_nothing_is_found_where_nothing_is(tmp_path):
    assert load_newest(tmp_path / "nowhere") == (None, [])


def test_a_full_disk_leaves_the_one_before(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, Checkpoint(5, "eyes", state(5)))

    def full(tensors, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(UserError, match="No space left"):
        save_checkpoint(tmp_path, Checkpoint(10, "eyes", state(10)))
    assert [path.name for path in tmp_path.iterdir()] == ["00000005.safetensors"]


def test_what_a_killed_worker_left_half_written_goes(tmp_path):
    (tmp_path / ".00000005.safetensors-1a2b3c4d.partial").write_bytes(b"half")
    save_checkpoint(tmp_path, Checkpoint(10, "eyes", state()))
    assert [path.name for path in tmp_path.iterdir()] == ["00000010.safetensors"]


@pytest.mark.parametrize("wrong", [{"x": object()}, {1: 2}, {"x": [{"y": {2}}]}])
def test_what_cannot_be_kept_is_our_defect(tmp_path, wrong):
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, Checkpoint(1, "eyes", wrong))
