"""``kill -9`` in the middle of the real chain, with a tiny checkpoint; ten runs of it by ``tests.jobs.killing``."""

from __future__ import annotations

import random

import pytest

from pipeline.jobs import RunFolder
from tests.jobs.fake import new_run, result
from tests.jobs.killing import Forge, digest, killed, tiny_run
from tests.tiny_checkpoint import write_tiny_checkpoint

WITHOUT_MODELS = """
import pytest
from tests.jobs.fake import fake_refined, without_models
without_models(pytest.MonkeyPatch(), lambda journal, config: fake_refined(journal, config, seconds=0.01))
"""
"""Before a forge serves: its workers refine in a fraction of a second."""

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
