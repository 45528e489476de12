"""A run goes from start to end however often it is broken off."""

from __future__ import annotations

import errno
import resource
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from pipeline.errors import UserError
from pipeline.jobs import RunFolder, journal, making
from pipeline.jobs.runner import run
from pipeline.stages.journal import Progress
from tests.jobs.fake import STEPS, fake_refined, new_run, result, without_models

TOTAL = sum(STEPS.values())


@pytest.fixture(autouse=True)
def _no_models(monkeypatch):
    without_models(monkeypatch)


@pytest.fixture
def unbroken(tmp_path):
    """What a run gives that is left alone."""
    whole = new_run(tmp_path / "unbroken")
    assert run(whole.path).status == "finished"
    return result(whole)


def stop_after(steps):
    """A `stop` that is true after so many askings."""
    asked = iter(range(10_000))
    return lambda: next(asked) >= steps


def test_a_run_ends_finished_with_its_head_and_nothing_left_over(tmp_path, unbroken):
    folder = RunFolder.open(tmp_path / "unbroken")
    state = folder.state()
    assert (state.status, state.done, state.total, state.pid) == ("finished", TOTAL, TOTAL, 0)
    assert {path.name for path in folder.avatar.iterdir()} >= {"config.json", "preview.png", "recipe.json"}
    assert not folder.checkpoints.exists()
    assert not (folder.path / "spare").exists()
    assert folder.preview.is_file()
    kinds = [event["kind"] for event in folder.events()]
    assert kinds[0] == "start"
    assert kinds[-1] == "finished"
    assert kinds.count("checkpoint") == 5  # 4, 6 (the phase ends), 10, 14, 15


def test_a_finished_run_is_left_as_it_is(tmp_path, unbroken):
    before = (tmp_path / "unbroken" / "state.json").read_bytes()
    assert run(tmp_path / "unbroken").status == "finished"
    assert (tmp_path / "unbroken" / "state.json").read_bytes() == before


@pytest.mark.parametrize("steps", [1, 4, 6, 7, 14])
def test_stopped_and_resumed_it_ends_equal(tmp_path, unbroken, steps):
    folder = new_run(tmp_path / "run")
    state = run(folder.path, stop=stop_after(steps))
    assert (state.status, state.done) == ("stopped", steps)
    assert "--resume" in state.sentence
    assert folder.state().resumable
    assert run(folder.path).status == "finished"
    assert result(folder) == unbroken


def test_in_slices_of_no_time_at_all_it_still_gets_there(tmp_path, unbroken):
    """A slice that is over before it begins does one step: it cannot know that no step fits."""
    folder = new_run(tmp_path / "run")
    states = [run(folder.path, budget_seconds=0.0) for _ in range(3)]
    assert all(state.status == "stopped" for state in states)
    assert run(folder.path).status == "finished"
    assert result(folder) == unbroken


def test_a_slice_ends_before_its_budget_does(tmp_path, monkeypatch):
    def slow(journal, config):
        return fake_refined(journal, config, seconds=0.1)

    without_models(monkeypatch, slow)
    folder = new_run(tmp_path / "run")
    state = run(folder.path, budget_seconds=0.6)
    assert state.status == "stopped"
    assert 1 <= state.done <= 5


def test_two_at_once_are_one_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.jobs.folder.LOCK_SECONDS", 0.05)
    folder = new_run(tmp_path / "run")
    with folder.lock(), pytest.raises(UserError, match="worked on already"):
        run(folder.path)


def test_no_run_no_work(tmp_path):
    with pytest.raises(UserError, match="there is no run in"):
        run(tmp_path)


def test_a_full_disk_is_said_and_the_checkpoint_before_it_is_gone_on_from(tmp_path, monkeypatch, unbroken):
    folder = new_run(tmp_path / "run")
    run(folder.path, stop=stop_after(5))

    def full(journal, config):
        raise UserError("x cannot be written") from OSError(errno.ENOSPC, "No space left on device")

    without_models(monkeypatch, full)
    state = run(folder.path)
    assert state.status == "failed"
    assert "is full; free some space" in state.sentence
    without_models(monkeypatch)
    assert run(folder.path).status == "finished"
    assert result(folder) == unbroken


@contextmanager
def largest_file(size):
    """The system refuses to let any file of this process grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("spare", [100, 64 * 1024])
def test_where_the_system_writes_no_more_the_run_says_so_and_keeps_what_it_had(tmp_path, unbroken, monkeypatch, spare):
    """At a checkpoint, or before anything is done."""
    monkeypatch.setattr("pipeline.jobs.folder.SPARE_BYTES", spare)
    folder = new_run(tmp_path / "run")
    run(folder.path, stop=stop_after(6))
    kept = {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()}
    with largest_file(1800):
        state = run(folder.path)
    assert state.status == "failed"
    assert "is full; free some space" in state.sentence
    assert folder.state().status == "failed"
    assert {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()} == kept
    assert run(folder.path).status == "finished"
    assert result(folder) == unbroken


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:125] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
)
def test_short_of_memory_it_takes_ever_fewer_pictures_at_once_and_then_says_so(tmp_path, monkeypatch, error):
    batches = []

    def hungry(journal, config):
        batches.append(config.refinement.batch)
        raise error

    without_models(monkeypatch, hungry)
    folder = new_run(tmp_path / "run")
    state = run(folder.path)
    assert batches == [8, 4, 2, 1]
    assert state.status == "failed"
    assert "memory does not suffice, even for 1 picture at once" in state.sentence
    without_models(monkeypatch)
    assert run(folder.path).status == "finished"
    assert folder.state().batch == 1


def test_who_helps_takes_as_few_pictures_at_once_as_the_first_process(tmp_path, monkeypatch):
    folder = new_run(tmp_path / "run")
    folder.write_state(replace(folder.state(), batch=2))
    seen = []
    monkeypatch.setattr(making, "loaded", lambda config: None)
    monkeypatch.setattr(making, "_refine", lambda pipeline, run, config, journal: seen.append(config.refinement))
    making.assist(folder, folder.config())
    assert [(refinement.batch, refinement.rows) for refinement in seen] == [(2, 2)]


def test_our_own_defect_is_recorded_and_raised(tmp_path, monkeypatch):
    def broken(journal, config):
        raise KeyError("x")

    without_models(monkeypatch, broken)
    folder = new_run(tmp_path / "run")
    with pytest.raises(KeyError):
        run(folder.path)
    assert folder.state().status == "failed"
    assert "a defect of this program (KeyError" in folder.state().sentence
    assert not folder.is_locked()


def test_what_the_person_can_mend_is_the_sentence_of_the_run(tmp_path, monkeypatch):
    def refused(journal, config):
        raise UserError("owner/base is not on this machine")

    without_models(monkeypatch, refused)
    folder = new_run(tmp_path / "run")
    state = run(folder.path)
    assert (state.status, state.sentence) == ("failed", "owner/base is not on this machine")
    assert state.resumable


def test_it_gives_signs_of_life_during_a_long_step(tmp_path, monkeypatch):
    beats = threading.Event()
    heard = []

    def long(journal, config):
        heard.append(journal.run.state().heartbeat)
        beats.wait(0.2)
        heard.append(journal.run.state().heartbeat)
        return fake_refined(journal, config)

    monkeypatch.setattr("pipeline.jobs.journal.HEARTBEAT_SECONDS", 0.02)
    without_models(monkeypatch, long)
    run(new_run(tmp_path / "run").path)
    assert heard[1] > heard[0]


def test_large_checkpoints_take_a_tenth_of_the_time_at_most(tmp_path, monkeypatch):
    """Of a step a second and checkpoints of two seconds, every twentieth step is kept, whatever the run asks for."""
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    keep = journal.save_checkpoint

    def slow(*arguments):
        now[0] += 2.0
        return keep(*arguments)

    monkeypatch.setattr(journal, "save_checkpoint", slow)
    folder = new_run(tmp_path / "run", checkpoint_every=1)
    kept = journal.RunJournal(folder, replace(folder.config(), refinement=long(folder.config().refinement)))
    for step in range(1, 101):
        now[0] += 1.0
        kept.step(Progress("eyes", step, 1000, {}), None, lambda: {"means": torch.zeros(3)})
    written = [event for event in folder.events() if event["kind"] == "checkpoint"]
    assert 4 <= len(written) <= 6
    assert 2.0 * len(written) <= 0.12 * now[0]


def long(refinement):
    """With a first phase of a thousand steps."""
    return replace(refinement, phases=(replace(refinement.phases[0], steps=1000), *refinement.phases[1:]))
