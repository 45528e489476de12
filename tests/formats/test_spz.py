"""SPZ: against the layout of Niantic's reader, byte by byte, and back again."""

from __future__ import annotations

import gzip
import struct
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.avatar import Gaussians
from pipeline.errors import UserError
from pipeline.formats.spz import MOST_SPLATS, read_spz, write_spz
from tests.formats.test_ply import cloud

compressed = partial(gzip.compress, mtime=0)
"""The same bytes at any time: they are part of the tests' names."""


def one_splat(**changed):
    values = {
        "means": torch.tensor([[0.5, -0.25, 0.125]]),
        "quats": torch.tensor([[0.5, 0.5, -0.5, 0.5]]) * 3,
        "scales": torch.tensor([[1.0, np.exp(-2.5), np.exp(-12.0)]]),
        "opacities": torch.tensor([0.6]),
        "sh": torch.tensor([[[0.0, 1.0, -9.0], [0.5, 0.25, -0.5], [0, 0, 0], [-1, 1, 0]]]),
    } | changed
    return Gaussians(**{name: value.float() for name, value in values.items()})


def test_every_byte_of_one_splat(tmp_path):
    """What Niantic's own decoder (its C++ library) reads of these bytes is what was written."""
    write_spz(one_splat(), tmp_path / "a.spz", antialiased=True)
    content = gzip.decompress((tmp_path / "a.spz").read_bytes())
    assert content[:16] == struct.pack("<IIIBBBB", 0x5053474E, 3, 1, 1, 16, 1, 0)
    assert content[16:25] == bytes.fromhex("00800000c0ff002000")  # 2^15, −2^14, 2^13
    assert content[25:26] == bytes([153])
    assert content[26:29] == bytes([128, 166, 0])
    assert content[29:32] == bytes([160, 120, 0])
    magnitude = round(511 * 0.5 * np.sqrt(2))
    (rotation,) = struct.unpack("<I", content[32:36])  # xyzw = (1, −1, 1, 1) / 2; the first of the largest is left out
    assert rotation == (0 << 30) | (1 << 29 | magnitude << 20) | (magnitude << 10) | magnitude
    assert content[36:] == bytes([192, 160, 64, 128, 128, 128, 0, 255, 128])


@given(count=st.integers(1, 40), coefficients=st.sampled_from([1, 4, 9, 16]))
def test_round_trip(tmp_path_factory, count, coefficients):
    path = tmp_path_factory.mktemp("spz") / "a.spz"
    before = cloud(count, coefficients)
    write_spz(before, path)
    file = read_spz(path)
    after = file.gaussians
    assert not file.antialiased
    torch.testing.assert_close(after.means, before.means, atol=8e-6, rtol=0)
    torch.testing.assert_close(after.scales.log(), before.scales.log(), atol=1 / 31, rtol=0)
    torch.testing.assert_close(after.opacities, before.opacities, atol=0.5 / 254, rtol=0)
    torch.testing.assert_close(after.sh[:, 0], before.sh[:, 0], atol=0.0132, rtol=0)
    torch.testing.assert_close(after.sh[:, 1:], before.sh[:, 1:], atol=0.067, rtol=0)
    assert (after.quats * before.quats).sum(1).abs().min() > 1 - 1e-5


def test_far_splats_get_coarser_steps(tmp_path):
    write_spz(one_splat(means=torch.tensor([[3000.0, 0, 0]])), tmp_path / "a.spz")
    assert read_spz(tmp_path / "a.spz").gaussians.means[0, 0] == pytest.approx(3000, abs=1e-3)
    with pytest.raises(UserError, match="SPZ holds 8388608 m"):
        write_spz(one_splat(means=torch.tensor([[1e9, 0, 0]])), tmp_path / "b.spz")


def test_the_same_splats_are_the_same_bytes(tmp_path):
    for name in ("a.spz", "b.spz"):
        write_spz(cloud(50, 4), tmp_path / name)
    assert (tmp_path / "a.spz").read_bytes() == (tmp_path / "b.spz").read_bytes()


def test_nothing_to_write_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match="no splats"):
        write_spz(cloud(0), tmp_path / "a.spz")


HEADER = struct.Struct("<IIIBBBB")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no SPZ file"),
        (b"\x1f\x8bhello", "is no SPZ file, or cut short"),
        (compressed(b"short"), "is no SPZ file, or cut short"),
        (compressed(bytes(40)), "is no SPZ file"),
        (compressed(HEADER.pack(0x5053474E, 2, 1, 0, 12, 0, 0) + bytes(19)), "version 2"),
        (compressed(HEADER.pack(0x5053474E, 3, 1, 0, 12, 2, 0) + bytes(20)), "flags 2"),
        (compressed(HEADER.pack(0x5053474E, 3, 1, 4, 12, 0, 0) + bytes(92)), "degree 4"),
        (
            compressed(HEADER.pack(0x5053474E, 3, 4_000_000_000, 0, 12, 0, 0) + bytes(20)),
            "header of a.spz is damaged",
        ),
        (compressed(HEADER.pack(0x5053474E, 3, MOST_SPLATS, 0, 12, 0, 0) + bytes(20)), "another length"),
        (compressed(HEADER.pack(0x5053474E, 3, 1, 0, 12, 0, 0) + bytes(10**7)), "another length"),
        (compressed(HEADER.pack(0x5053474E, 3, 9, 0, 12, 0, 0) + bytes(180))[:-20], "cut short"),
    ],
)
def test_a_wrong_file_is_a_sentence(tmp_path, content, sentence):
    (tmp_path / "a.spz").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_spz(tmp_path / "a.spz")
