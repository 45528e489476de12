"""Worker processes: real ones, with a command that does a fake refinement."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace

import psutil
import pytest

from pipeline.errors import UserError
from pipeline.jobs import RunFolder, RunState, is_running, start_worker, stop_worker, worker
from tests.jobs.fake import fake_config, new_run

SLOW = """
import sys
from pathlib import Path
import pytest
from tests.jobs.fake import fake_refined, without_models
without_models(pytest.MonkeyPatch(), lambda journal, config: fake_refined(journal, config, seconds=0.2))
from pipeline.jobs.runner import run
from pipeline.jobs.signals import StopRequests
with StopRequests() as requests:
    print(run(Path(sys.argv[-1]), stop=requests.asked).sentence)
sys.exit(requests.exit_code)
"""


@pytest.fixture
def slow_worker(monkeypatch):
    """What `start_worker` starts takes 0.2 s a step."""
    monkeypatch.setattr(worker, "COMMAND", [sys.executable, "-c", SLOW])


def until(happened, seconds=60.0):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_works_alone_is_found_and_stopped_with_what_it_has(tmp_path, slow_worker, monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_PORT", "1")
    run = new_run(tmp_path / "runs" / "one")
    pid = start_worker(run.path)
    assert is_running(run.path)
    with pytest.raises(UserError, match="worked on already"):
        start_worker(run.path)
    assert psutil.Process(pid).environ().get("GRADIO_SERVER_PORT") is None
    assert os.getsid(pid) == pid  # Ctrl-C in the terminal of the app does not reach it
    until(lambda: run.state().done >= 2)
    state = run.state()
    assert (state.status, state.pid) == ("running", pid)

    assert stop_worker(run.path)
    state = run.state()
    assert state.status == "stopped"
    assert 2 <= state.done < state.total
    assert not is_running(run.path)
    assert not stop_worker(run.path)
    assert "--resume" in run.log.read_text()


def test_who_is_stopped_before_it_listens_did_not_die(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "COMMAND", ["sh", "-c", "exec sleep 60"])
    run = new_run(tmp_path / "run")
    start_worker(run.path)
    assert stop_worker(run.path)
    assert (run.state().status, run.state().sentence) == ("stopped", worker.STOPPED_EARLY)


def test_who_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "COMMAND", ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"])
    run = new_run(tmp_path / "run")
    pid = start_worker(run.path)
    until(lambda: "deaf" in run.log.read_text())
    assert stop_worker(run.path, deadline=0.1)
    until(lambda: pid not in psutil.pids())  # its starter waits for it, so that it is no zombie for long
    assert run.state().status == "stopped"


def test_a_worker_that_dies_at_once_leaves_a_run_that_can_be_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "COMMAND", ["sh", "-c", "echo no; exit 1"])
    run = new_run(tmp_path / "run")
    start_worker(run.path)
    until(lambda: not is_running(run.path))
    assert run.state().status == "stopped"
    assert run.state().resumable
    assert run.log.read_text() == "no\n"


def test_a_finished_run_is_not_started_again(tmp_path):
    run = new_run(tmp_path / "run")
    run.write_state(replace(run.state(), status="finished"))
    with pytest.raises(UserError, match="is finished"):
        start_worker(run.path)


def test_another_process_of_the_same_number_is_left_alone(tmp_path):
    """The number of a dead worker may be given to anybody."""
    run = RunFolder.create(tmp_path / "run", fake_config())
    mine = RunState(status="running").worked_on_by(psutil.Process())
    run.write_state(replace(mine, born=mine.born - 100))
    assert run.state().status == "stopped"
    assert not stop_worker(run.path)


def test_a_run_of_another_machine_lives_as_long_as_it_is_heard_of(tmp_path):
    run = RunFolder.create(tmp_path / "run", fake_config())
    elsewhere = RunState(status="running", pid=1, host="elsewhere", heartbeat=time.time())
    run.write_state(elsewhere)
    assert run.state().status == "running"
    run.write_state(replace(elsewhere, heartbeat=time.time() - 1000))
    assert run.state().status == "stopped"
