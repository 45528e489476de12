"""The whole way from a sentence to a tri-grid, on a tiny Stable Diffusion and a random generator of nobody."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.jobs.checkpoints import Checkpoint, load_newest, save_checkpoint
from pipeline.priors.portrait3d.alignment import Canonical
from pipeline.priors.portrait3d.cameras import PORTRAIT3D_ORBIT
from pipeline.priors.portrait3d.portrait_image import StableDiffusion
from pipeline.priors.portrait3d.text_to_trigrid import NO_LPIPS, make_trigrid
from pipeline.reconstruction.multiview import Observed
from pipeline.stages.journal import Interrupted, Journal
from tests.priors.portrait3d.generator_weights import small_generator
from tests.priors.portrait3d.small import Stopping, small_config
from tests.tiny_checkpoint import tiny_components

PROMPT = "a man with a beard"
MOST_ATTEMPTS = 40


class Folder(Journal):
    """Keeps in files, and stops at the k-th chance to stop."""

    def __init__(self, place, stop_at=None):
        self.place, self.chances, self.stop_at = place, 0, stop_at

    def resume(self, phases):
        found, _ = load_newest(self.place / "checkpoints")
        return (found.phase, found.state) if found is not None and found.phase in phases else None

    def step(self, progress, shown, state):
        checkpoints = self.place / "checkpoints"
        newest = max((int(path.stem) for path in checkpoints.glob("*.safetensors")), default=0)
        save_checkpoint(checkpoints, Checkpoint(newest + 1, progress.phase, state()))
        self._chance()

    def pause(self):
        self._chance()

    def folder(self, phase):
        return self.place / phase

    def _chance(self):
        self.chances += 1
        if self.chances == self.stop_at:
            raise Interrupted("enough")


@pytest.fixture(scope="module")
def parts():
    components = tiny_components()
    del components["controlnet"]
    return small_generator(), StableDiffusion(**components)


@pytest.fixture(scope="module")
def detector(canonical):
    """Finds the canonical face in the middle of every picture, a little smaller than the frame has it."""

    def detect(pictures):
        size = pictures.shape[1]
        camera = PORTRAIT3D_ORBIT.camera(90.0, 90.0, size)
        seen = (canonical.points.float() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]) @ camera.K.T
        points = (seen[:, :2] / seen[:, 2:] - size / 2) * 0.9 + size / 2
        count = len(pictures)
        return Observed(canonical.names, points.expand(count, -1, -1), torch.ones(count, len(points)))

    return detect


@pytest.fixture(scope="module")
def canonical():
    from pipeline.heads import load_head

    return Canonical(load_head("anny").rig)


def make(parts, detector, journal):
    return make_trigrid(PROMPT, *parts, small_config(), journal, detector=detector)


@pytest.fixture(scope="module")
def unbroken(parts, detector):
    """Without a place where anything is kept."""
    journal = Stopping()
    return make(parts, detector, journal), journal


def test_all_phases_run(unbroken):
    trigrid, journal = unbroken
    assert journal.phases == ["inversion"] * 2 + ["sds"] * 2 + ["view_fit"] * 2
    assert [tuple(level.shape) for level in trigrid.levels] == [(1, 3, 36, 8, 8), (1, 3, 36, 16, 16)]
    assert all(level.isfinite().all() for level in trigrid.levels)
    assert {(picture.dtype, picture.shape[2]) for picture in journal.pictures} == {(torch.uint8, 3)}
    assert journal.notes[0].startswith("Of 2 pictures, number ")
    assert NO_LPIPS in journal.notes


def test_stopped_everywhere_it_ends_the_same(parts, detector, unbroken, tmp_path):
    """Each attempt stops at its second chance, wherever that is."""
    trigrid, attempts = None, 0
    while trigrid is None and attempts < MOST_ATTEMPTS:
        attempts += 1
        with suppress(Interrupted):
            trigrid = make(parts, detector, Folder(tmp_path, stop_at=2))
    assert 5 < attempts < MOST_ATTEMPTS
    assert torch.equal(trigrid.ws, unbroken[0].ws)
    assert all(torch.equal(a, b) for a, b in zip(trigrid.levels, unbroken[0].levels, strict=True))


def test_without_a_detector_it_is_told_how_to_have_one(parts):
    with pytest.raises(UserError, match="no landmark detector here; name one with --landmarks"):
        make(parts, None, Journal())


def test_without_a_face_it_is_told(parts, detector):
    def blind(pictures):
        observed = detector(pictures)
        return replace(observed, confidence=torch.zeros_like(observed.confidence))

    with pytest.raises(UserError, match="none of the 2 pictures that the diffusion model made shows a face"):
        make(parts, blind, Journal())
