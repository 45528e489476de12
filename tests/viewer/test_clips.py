"""Clips as the browser plays them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch

from pipeline.errors import UserError
from pipeline.motion.retarget import Retargeted
from tests.synthetic import synthetic_rig
from viewer.clips import clip_payload, write_clip


def moving(frames: int) -> Retargeted:
    generator = torch.Generator().manual_seed(1)
    expression, rotations = torch.zeros(frames, 4), torch.zeros(frames, 7, 3)
    expression[:, [1, 3]] = torch.rand(frames, 2, generator=generator)
    rotations[:, 4] = torch.randn(frames, 3, generator=generator) * 0.2
    return Retargeted(expression, rotations, ())


def test_only_moving_channels_are_written_within_a_step():
    clip, rig = moving(20), synthetic_rig()
    payload = clip_payload(clip, rig, 25.0)
    magic, version, length = struct.unpack_from("<4sII", payload)
    header = json.loads(payload[12 : 12 + length])
    assert (magic, version, length % 4) == (b"AP3C", 1, 0)
    assert header["expressions"] == ["eyeLookUpRight", "mouthSmileLeft"]
    assert (header["joints"], header["frames"], header["fps"]) == (["head"], 20, 25.0)
    values = np.frombuffer(payload, "<i2", offset=12 + length)
    assert len(values) == 20 * (2 + 3)
    np.testing.assert_allclose(
        values[:40].reshape(20, 2) * header["expressionScale"], clip.expression[:, [1, 3]], atol=2e-5
    )
    np.testing.assert_allclose(values[40:].reshape(20, 3) * header["rotationScale"], clip.rotations[:, 4], atol=2e-5)


def test_a_still_clip_is_a_header(tmp_path):
    write_clip(Retargeted(torch.zeros(3, 4), torch.zeros(3, 7, 3), ()), synthetic_rig(), 30, tmp_path / "a.clip")
    assert len((tmp_path / "a.clip").read_bytes()) < 140


def test_an_empty_clip_and_a_wrong_rate_are_sentences():
    with pytest.raises(UserError, match="no frames"):
        clip_payload(Retargeted(torch.zeros(0, 4), torch.zeros(0, 7, 3), ()), synthetic_rig(), 30)
    with pytest.raises(UserError, match="0 frames per second"):
        clip_payload(moving(2), synthetic_rig(), 0)
