"""The functions that a ZeroGPU Space would lend a GPU to: arguments and results that survive pickle, nothing lost in
the forked process, sentences and cancelling that arrive, and no quota spent in vain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.animate import AnimationSettings
from pipeline.rendering import cuda
from tests import fake_gpu
from tests.motion.making import a_motion
from tests.synthetic import synthetic_avatar
from ui import gpu

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    """What `gpu_visit` has seen."""
    place = tmp_path_factory.mktemp("space")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.gpu_visit", str(place)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return {"warned": ran.stderr, **json.loads(ran.stdout.splitlines()[-1])}


def test_every_gpu_function_goes_through_the_fork(visit):
    assert visit["decorated"] == ["draw_on_gpu"]
    assert [name for name, _ in visit["leases"]] == ["draw_on_gpu"] * 4 + ["_taken_away"]


def test_a_video_comes_back_from_the_forked_process(visit):
    assert visit["made"]["frames"] == 12
    assert visit["made"]["bytes"] > 1000
    assert visit["made again"] == visit["made"]


def test_it_is_asked_for_half_as_long_again_as_the_cpu_would_take(visit):
    cpu_seconds = 300 * (0.013 + 64 * 64 / 1e6 * 0.02)  # the clip that is cancelled, without the time of the start
    assert visit["leases"][2] == ["draw_on_gpu", round(1.5 * cpu_seconds)]


def test_closing_stops_the_other_process(visit):
    assert 0 < visit["cancelled"]["seen"] < 300
    assert not visit["cancelled"]["there"]


def test_a_sentence_arrives_whole(visit):
    assert visit["refused"] == "'video.txt' does not end in .mp4, the ending of a video"


def test_a_gpu_that_is_taken_away_does_not_lose_the_video(visit):
    assert visit["aborted"] == {"frames": 5, "there": True}
    assert "The video is drawn on the CPU instead" in visit["warned"]


def test_small_work_claims_no_gpu(visit):
    assert visit["small"] == 0


def test_nothing_is_left_behind(visit):
    assert visit["left"] == ["avatar", "video1.mp4", "video2.mp4", "video5.mp4", "video6.mp4"]


@pytest.mark.parametrize(("seconds", "claims"), [(5.0, False), (20.0, True), (60.0, True), (90.0, False)])
def test_a_gpu_is_claimed_for_what_fits_into_its_time(monkeypatch, seconds, claims):
    monkeypatch.setattr(gpu, "why_no_gpu", lambda: "")
    assert gpu.worth_a_gpu(seconds) is claims


def test_without_a_gpu_none_is_claimed():
    assert not torch.cuda.is_available()
    assert cuda.why_no_gpu() == "there is no CUDA device"
    assert not gpu.worth_a_gpu(20.0)


def test_what_gsplat_lacks_is_named(monkeypatch):
    monkeypatch.setattr(cuda.torch.cuda, "is_available", lambda: True)
    here: set[str] = set()
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: object() if name in here else None)
    monkeypatch.setattr(cuda.shutil, "which", lambda name: None)
    assert cuda.why_no_gpu() == "gsplat is not installed"
    here.add("gsplat")
    assert "nvcc is missing" in cuda.why_no_gpu()
    here.add("gsplat.csrc")
    assert cuda.why_no_gpu() == ""


def test_more_views_and_pixels_take_longer():
    avatar, clip = synthetic_avatar(), a_motion(100, fps=25.0, expression=torch.zeros(100, 100))

    def seconds(**changes):
        return gpu.cpu_seconds(avatar, clip, AnimationSettings(**changes))

    assert seconds() == pytest.approx(100 * (0.013 + 0.262144 * 0.02))
    assert seconds(layout="four") == pytest.approx(4 * seconds())
    assert seconds(fps=50.0) == pytest.approx(2 * seconds())
    assert seconds(background="transparent") > 2 * seconds()


def test_the_fake_catches_what_zerogpu_would():
    with pytest.raises(NotImplementedError, match="asynchronous"):

        @fake_gpu.GPU
        async def later():
            pass
