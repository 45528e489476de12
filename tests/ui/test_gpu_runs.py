"""A refinement in the slices for which a ZeroGPU Space lends its GPU: nothing is lost between two of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ui.gpu_runs import SLICE_SECONDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """What `gpu_runs_visit` has seen."""
    place = tmp_path_factory.mktemp("space")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.gpu_runs_visit", str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return {"warned": ran.stderr, **json.loads(ran.stdout.splitlines()[-1])}


def test_slices_end_equal_to_one_piece(visit):
    whole = visit["whole"]
    assert whole["equal"]
    assert whole["statuses"][-1] == "finished"
    assert len(whole["statuses"]) > 2
    assert set(whole["statuses"][:-1]) == {"stopped"}
    assert whole["shares"] == sorted(set(whole["shares"]))


def test_the_seconds_are_told_before_the_press(visit):
    assert visit["whole"]["button"] == f"Continue, up to {SLICE_SECONDS} s of GPU each time"
    assert {tuple(lease) for lease in visit["leases"] if lease[0] == "advance_run"} == {("advance_run", SLICE_SECONDS)}


def test_a_sentence_arrives_whole(visit):
    assert visit["refused"] == "config.json of the run.prompt is missing"


def test_stop_is_heard_between_slices(visit):
    assert visit["stopped"] == {"first": "stopped", "others": 0, "status": "stopped"}


def test_what_is_taken_away_can_be_continued(visit):
    assert visit["taken away"] == {"seen": 1, "actions": ["resume", "config", "delete"]}
    assert "You have exceeded your GPU quota. What the run has is kept" in visit["warned"]


def test_no_quota_is_spent_on_fetching_the_model(visit):
    assert visit["brought"] == ["owner/base", "owner/base"]  # of the two runs that were pressed
