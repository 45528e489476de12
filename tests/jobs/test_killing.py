"""``kill -9`` in the middle of the real chain, with a tiny checkpoint; ten runs of it by ``tests.jobs.killing``."""

from __future__ import annotations

import random
import shutil

import pytest

from pipeline.jobs import RunFolder
from tests.jobs.fake import new_run, result
from tests.jobs.killing import Forge, digest, killed, killed_in, tiny_run
from tests.jobs.rigged import STEPS, rigging_run, write_head
from tests.tiny_checkpoint import write_tiny_checkpoint

WITHOUT_MODELS = """
import pytest
from tests.jobs.fake import fake_refined, without_models
without_models(pytest.MonkeyPatch(), lambda journal, config: fake_refined(journal, config, seconds=0.01))
"""
"""Before a forge serves: its workers refine in a fraction of a second."""

SMALL_RIGGING = """
import pytest
from tests.jobs.rigged import quickly
quickly(pytest.MonkeyPatch())
from pipeline.jobs import runner
runner._make_video = lambda journal: None
"""
"""Before a forge serves: its workers put a small known head on a rig."""

SHORT_VIDEO = "from pipeline.jobs import runner; runner.CLIP_SECONDS = 0.1"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


def test_the_real_chain_killed_twice_ends_as_if_it_had_been_left_alone(tmp_path, checkpoint):
    whole, run = tiny_run(tmp_path / "whole", checkpoint), tiny_run(tmp_path / "run", checkpoint)
    with Forge(SHORT_VIDEO) as forge:
        forge.start(whole)
        assert forge.wait() == 0, (whole / "log.txt").read_text()
        for done in (3, 14):
            killed(forge, run, done, 0.0)
            assert RunFolder(run).state().status == "stopped"
        forge.start(run)
        assert forge.wait() == 0, (run / "log.txt").read_text()
    assert digest(run) == digest(whole)


def test_killed_wherever_it_is_a_run_is_whole(tmp_path):
    """Twelve kills of one run with a step of a hundredth of a second, so that they also meet the writing."""
    moments = random.Random(0)
    whole, run = (new_run(tmp_path / name, checkpoint_every=1).path for name in ("whole", "run"))
    with Forge(WITHOUT_MODELS) as forge:
        forge.start(whole)
        assert forge.wait() == 0, (whole / "log.txt").read_text()
        for index in range(12):
            killed(forge, run, index, moments.uniform(0, 0.04))
            state = RunFolder(run).state()
            assert state.resumable or state.status == "finished"
        forge.start(run)
        assert forge.wait() == 0, (run / "log.txt").read_text()
    assert result(RunFolder(run)) == result(RunFolder(whole))


def test_a_portrait_killed_at_its_views_and_at_its_splats_ends_as_if_it_had_been_left_alone(tmp_path):
    head = write_head(tmp_path / "head")
    whole, run = (rigging_run(tmp_path / name, head).path for name in ("whole", "run"))
    shutil.rmtree(head)  # a run has its portrait itself
    with Forge(SMALL_RIGGING) as forge:
        forge.start(whole)
        assert forge.wait() == 0, (whole / "log.txt").read_text()
        for phase, step in (("views_1", 0), ("surface", 0), ("initialization", 3)):
            killed_in(forge, run, phase, step)
            assert RunFolder(run).state().status == "stopped"
        forge.start(run)
        assert forge.wait() == 0, (run / "log.txt").read_text()
    assert RunFolder(run).state().done == STEPS
    assert digest(run) == digest(whole)
    assert not (run / "targets" / "portrait").exists()
