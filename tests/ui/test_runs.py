"""Whose a run is, one at a time, and what the page tells of it; no worker is started here."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import psutil
import pytest
from PIL import Image
from starlette.datastructures import Headers

from pipeline.errors import UserError
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.hf_jobs import Seen
from pipeline.jobs.own_machine import command_for_own_machine
from pipeline.jobs.state import RunState
from pipeline.portraits import portrait_in
from pipeline.recipe import Refinement
from tests.hub.folders import write_free
from tests.jobs import rigged
from tests.jobs.rigged import write_head
from ui import run_jobs, run_line, runs_calls
from ui import runs as ui_runs
from ui.people import person_of
from ui.run_cost import Computing
from ui.run_job_calls import RunJobCalls
from ui.run_models import are_here
from ui.run_portraits import start_portrait_run
from ui.run_request import cost_words, run_config
from ui.run_words import card_of
from ui.runs import Runs
from ui.runs_calls import RunsCalls
from ui.workshop import Workshop

KEY, OTHER_KEY = "a" * 32, "b" * 32
MINE, THEIRS = person_of(KEY, None), person_of(OTHER_KEY, None)
HERE = SimpleNamespace(
    client=SimpleNamespace(host="127.0.0.1"), headers=Headers({"host": "localhost:7860"}), request=None
)
CPU = Computing("cpu", "2 CPU cores", 0.08)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Of a new workshop at a place that is no Space."""
    for name in ("SPACE_ID", "SPACES_ZERO_GPU", "OAUTH_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANIMPORTRAIT3D_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setattr(runs_calls, "computing", lambda: CPU)
    return Runs(Workshop())


@pytest.fixture
def workers(monkeypatch):
    """Ids of the runs that a worker is at, in the order of their start."""
    at_work: list[str] = []
    monkeypatch.setattr(run_line, "start_worker", lambda path: at_work.append(path.name))
    monkeypatch.setattr(run_line, "stop_worker", lambda path, deadline: at_work.remove(path.name))
    monkeypatch.setattr(run_line, "is_running", lambda path: path.name in at_work)
    return at_work


@pytest.fixture
def calls(runs):
    return RunsCalls(runs)


def a_config(prompt="a bald man", **changes):
    asked = {"seed": 0, "attributes": {}, "head": "anny", "recipe": "animportrait3d", "length": "Quick look"}
    return run_config(prompt, **{**asked, **changes})


def started(runs, person=MINE, **state):
    """A new run, whose state is then set."""
    run = runs.add(a_config(), person)
    run.folder.write_state(replace(run.state, **state))
    return runs.find(run.id, person)


def finished(runs, tmp_path):
    """A run with a head."""
    run = started(runs, status="finished", done=75, seconds=100.0)
    write_free(run.folder.avatar)
    return run


@contextmanager
def held(run):
    """Somebody works on the run."""
    with run.folder.lock():
        run.folder.write_state(replace(run.state, status="running", phase="mouth_ism", step=3, steps=10, done=13))
        yield


def test_a_run_is_its_owners_alone(runs, calls, workers):
    run_id = calls.on_start("a bald man", key=KEY)
    assert [run["id"] for run in calls.on_runs(KEY)] == [run_id]
    assert calls.on_runs(OTHER_KEY) == calls.on_runs("") == []
    told = set()
    for key in (OTHER_KEY, "", None):
        for name in (run_id, "0" * 32, "", "../owner.json"):
            for call in (calls.on_stop, calls.on_resume, calls.on_delete, calls.on_open):
                with pytest.raises(gr.Error) as refused:
                    call(name, key)
                told.add(refused.value.message)
    assert len(told) == 1, "a stranger learns which ids exist"
    assert "belongs to somebody else" in told.pop()
    assert workers == [run_id]


def test_without_a_key_none_is_started(runs, calls, workers):
    with pytest.raises(gr.Error, match="told no key"):
        calls.on_start("a bald man")
    assert not runs.all()


def test_they_take_turns(runs, calls, workers):
    first, second, third = (
        calls.on_start(f"a bald man of {age}", key=key) for age, key in enumerate((KEY, OTHER_KEY, KEY))
    )
    assert workers == [first]
    assert runs.line.ahead_of(runs.find(third, MINE)) == 2
    assert card_of(runs, runs.find(third, MINE)).step == "2 runs before it"
    runs.find(first, MINE).folder.write_state(RunState(status="finished"))
    workers.remove(first)
    runs.line.advance()
    assert workers == [second]
    calls.on_stop(third, KEY)
    workers.remove(second)
    runs.line.advance()
    assert workers == []
    calls.on_resume(third, KEY)
    assert workers == [third]


def test_when_the_app_ends_its_workers_end_and_go_on_with_the_next_app(runs, calls, workers):
    first, second = (calls.on_start("a bald man", key=KEY) for _ in range(2))
    runs.line.close()
    assert workers == []
    Runs(Workshop()).line.advance()
    assert workers == [first], "it had begun before the other"
    assert runs.line.has(runs.find(second, MINE))


def test_stopping_takes_as_long_as_the_step(runs, calls, workers, monkeypatch):
    run_id = calls.on_start("a bald man", key=KEY)
    slow = []
    monkeypatch.setattr(run_line, "stop_worker", lambda path, deadline: (slow.append(deadline), time.sleep(0.3)))
    before = time.monotonic()
    calls.on_stop(run_id, KEY)
    assert time.monotonic() - before < 0.25
    view, timer = calls.on_look(KEY)
    assert view.runs[0].state == "Stopping"
    assert timer.active
    while runs.line.is_stopping(runs.find(run_id, MINE)):
        time.sleep(0.02)
    assert slow == [run_line.STOP_SECONDS]


def test_the_page_looks_again_only_while_something_is_under_way(runs, calls):
    run = started(runs, status="stopped")
    assert not calls.on_look(KEY)[1].active
    with held(run):
        view, timer = calls.on_look(KEY, run.id)
        assert timer.active
        assert not calls.on_look(OTHER_KEY)[1].active
        (card,) = view.runs
    assert view.current == run.id
    assert (card.status, card.step, card.actions[0]) == ("running", "Mouth ISM: step 3 of 10", "stop")
    assert card.share == pytest.approx(13 / run.config.total)


def test_a_run_whose_worker_died_can_be_resumed(runs):
    run = started(runs, status="running", phase="eyes", step=2, steps=10, pid=2**22, host="elsewhere", born=1.0)
    card = card_of(runs, runs.find(run.id, MINE))
    assert card.status == "stopped"
    assert card.actions[0] == "resume"
    assert "killed" in card.note


def test_a_worker_that_never_began_is_told(runs):
    run = started(runs, status="waiting", pid=2**22, host="elsewhere", born=1.0)
    card = card_of(runs, runs.find(run.id, MINE))
    assert card.status == "stopped"
    assert card.actions[0] == "resume"
    assert card.note.startswith("Its process ended without a word")


def test_no_folder_of_the_machine_is_told(runs):
    run = started(runs)
    path = run.folder.path
    run.folder.write_state(replace(run.state, status="failed", sentence=f"the disk of {path} is full; --resume {path}"))
    run.folder.tell("note", sentence=f"{path} is small")
    card = card_of(runs, runs.find(run.id, MINE))
    assert card.note == "The disk of the run is full; Resume."
    assert card.log[0].endswith("the run is small")
    assert card.actions[0] == "resume"


def test_the_log_bears_what_is_no_event(runs):
    run = started(runs)
    run.folder.tell("step", phase="eyes", step=10, losses={"l2": 0.12345678, "odd": "words"})
    run.folder.tell("step", phase=None, step={}, losses=[1])
    with open(run.folder.path / "events.jsonl", "ab") as file:
        file.write(b'{"kind": "note", "time": "soon", "sentence": 3}\n{"kind": "checkpoint"\n')
    first, _, note = card_of(runs, run).log
    assert first.endswith("Eyes 10  l2 0.1235")
    assert note == "3"


def test_the_preview_is_served_small_and_anew(runs):
    run = started(runs)
    assert card_of(runs, run).picture == ""
    Image.new("RGB", (900, 900)).save(run.folder.preview)
    first = runs.preview(run)
    assert Image.open(first).size == (512, 512)
    assert runs.preview(run) == first
    Image.new("RGB", (90, 90)).save(run.folder.preview)
    os.utime(run.folder.preview, (1, 1))
    assert runs.preview(run) != first
    assert not first.exists()
    run.folder.preview.write_bytes(b"half a pic")
    assert runs.preview(run) is None


def test_the_head_is_opened_once_and_is_kept(runs, calls, tmp_path):
    run = finished(runs, tmp_path)
    entry = calls.on_open(run.id, KEY)
    assert calls.on_open(run.id, KEY) == entry
    assert [one.id for one in runs.workshop.mine(MINE)] == [entry]
    runs.workshop.delete(entry.partition("/")[2], MINE)
    assert calls.on_open(run.id, KEY) != entry


def test_before_it_has_finished_there_is_nothing_to_open(runs, calls):
    with pytest.raises(gr.Error, match="no head to show yet"):
        calls.on_open(started(runs).id, KEY)


def test_deleting_leaves_nothing_but_the_opened_head(runs, calls, tmp_path):
    run = finished(runs, tmp_path)
    Image.new("RGB", (9, 9)).save(run.folder.preview)
    shown = runs.preview(run)
    calls.on_open(run.id, KEY)
    calls.on_delete(run.id, KEY)
    assert runs.all() == []
    assert [place.name for place in runs.root.iterdir() if place.is_dir()] == []
    assert not shown.exists()
    assert len(runs.workshop.mine(MINE)) == 1


def test_the_address_names_a_run(runs, calls, monkeypatch):
    warned = []
    monkeypatch.setattr(runs_calls.gr, "Warning", lambda text, **options: warned.append(text))
    run = started(runs)
    view, _, tabs = calls.on_arrive(run.id, KEY)
    assert view.current == run.id
    assert tabs.selected == "runs"
    assert not warned
    calls.on_arrive(run.id, OTHER_KEY)
    calls.on_arrive("<b>", KEY)
    assert len(warned) == 2
    calls.on_arrive("", KEY)
    assert len(warned) == 2


def test_the_settings_can_be_taken_along(runs, calls):
    run = started(runs)
    path = calls.on_config(run.id, KEY, None)
    assert str(runs.workshop.places.root) in path
    assert Path(path).read_text() == (run.folder.path / "config.json").read_text()
    own = runs.add(replace(a_config(), model="/home/anna/models/portrait"), MINE)
    told = Path(calls.on_config(own.id, KEY, None)).read_text()
    assert '"model": "portrait"' in told
    assert "anna" not in told


def test_a_head_from_elsewhere_is_refined_itself(runs, calls, workers, tmp_path):
    folder = write_free(tmp_path / "avatar")
    recipe = (folder / "recipe.json").read_text()
    (folder / "recipe.json").write_text(recipe.replace('"procedural"', '"portrait3d"'))
    head = runs.workshop.keep(folder, runs_calls.read_recipe(folder), MINE, listed=True)
    *request, _, tabs = calls.on_refine(head.id)
    prompt, seed, attributes, model, source = request
    assert source == head.id
    assert tabs.selected == "runs"
    run = runs.find(calls.on_start(prompt, seed, attributes, model, "animportrait3d", "Draft", source, KEY), MINE)
    assert (run.folder.start / "recipe.json").read_text() == (folder / "recipe.json").read_text()
    assert calls.on_enter("", head.id)[0] == prompt
    assert calls.on_enter("someone", head.id)[0] == gr.skip()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"prompt": " "}, "whom"),
        ({"recipe": "magic"}, "recipe is 'magic'"),
        ({"length": "long"}, "there is no length 'long'"),
        ({"seed": 0.5}, "the seed is 0.5"),
        ({"head": "nobody"}, "the head 'nobody' cannot be used"),
        ({"attributes": [1]}, "attributes are not understood"),
    ],
)
def test_what_cannot_be_is_told(changes, told):
    with pytest.raises(UserError, match=told):
        a_config(**changes)


def test_on_a_space_one_person_waits_for_few(runs, calls, workers, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/heads")
    for _ in range(4):
        calls.on_start("a bald man", key=KEY)  # the first is at work
    with pytest.raises(gr.Error, match="which is the most"):
        calls.on_start("a bald man", key=KEY)
    others = calls.on_start("a bald man", key=OTHER_KEY)
    calls.on_stop(others, OTHER_KEY)
    monkeypatch.setattr(ui_runs, "MOST_WAITING", 3)
    with pytest.raises(gr.Error, match="3 runs are at work or wait here"):
        calls.on_start("a bald man", key=OTHER_KEY)
    with pytest.raises(gr.Error, match="3 runs are at work or wait here"):
        calls.on_resume(others, OTHER_KEY)


def test_who_presses_again_keeps_the_place(runs, calls, workers):
    _, second, third = (calls.on_start("a bald man", key=KEY) for _ in range(3))
    os.utime(runs.find(second, MINE).place / run_line.QUEUED, (1, 1))
    calls.on_resume(second, KEY)
    assert runs.line.ahead_of(runs.find(second, MINE)) == 1
    assert runs.line.ahead_of(runs.find(third, MINE)) == 2


def test_a_lent_slice_ends_its_step_before_it_stops(runs, calls, workers, monkeypatch):
    monkeypatch.setattr(runs_calls, "computing", lambda: Computing("lent", "a lent GPU", 80.0))
    run = runs.find(calls.on_start("a bald man", key=KEY), MINE)
    workers.append(run.id)
    calls.on_stop(run.id, KEY)
    assert (run.place / "stop").exists()
    assert workers == [run.id], "it was ended by a signal"


def test_a_refined_head_is_refined_further(runs, calls, tmp_path):
    folder = write_free(tmp_path / "avatar")
    refined = runs_calls.read_recipe(folder).refined(Refinement("animportrait3d", 1.0, 512, {}))
    (folder / "recipe.json").write_text(refined.to_json())
    head = runs.workshop.keep(folder, refined, MINE, listed=True)
    assert calls.on_enter("", head.id)[4] == head.id


def test_runs_count_among_what_is_kept(runs, calls, monkeypatch):
    run = started(runs)
    (run.folder.path / "checkpoint").write_bytes(bytes(2_000_000))
    runs.workshop.library.limits = replace(runs.workshop.limits, most_gb=0.001)
    with pytest.raises(UserError, match=r"take up all of the 0\.001 GB"):
        started(runs)


def test_what_is_old_goes_unless_it_is_under_way(runs, calls, workers):
    old, waiting, young = started(runs), started(runs), started(runs)
    (waiting.place / run_line.QUEUED).touch()
    for run in (old, waiting):
        for path in (run.folder.path / "config.json", run.place):
            os.utime(path, (1, 1))
    runs.remove_old()
    assert len(runs.all()) == 3
    runs.workshop.limits = replace(runs.workshop.limits, keep_hours=1.0)
    runs.remove_old()
    assert {run.id for run in runs.all()} == {waiting.id, young.id}


@pytest.mark.parametrize("spoilt", [b"", b"[]", b'{"person": 3}', b'{"person": "x", "more": 1}'])
def test_what_is_no_run_is_passed_over(runs, spoilt):
    run = started(runs)
    (run.place / "owner.json").write_bytes(spoilt)
    assert runs.all() == []


def test_what_it_takes_is_told_before(runs):
    config = a_config(length="As published")
    slow = cost_words(config, CPU)
    assert "no GPU" in slow
    assert "weeks** here" in slow
    assert "minutes; see below" in slow
    assert "on this machine (NVIDIA A100)" in cost_words(config, Computing("gpu", "NVIDIA A100", 65.0))
    assert "daily quota" in cost_words(config, Computing("lent", "a lent GPU", 80.0))


@pytest.fixture
def jobs(calls):
    return RunJobCalls(calls)


def test_a_job_needs_a_login_and_leaves_no_run_without_one(jobs, runs, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/heads")
    with pytest.raises(gr.Error, match="Nobody is logged in"):
        jobs.on_hand_over(*FORM, None, HERE)
    assert runs.all() == []


@pytest.fixture
def account(monkeypatch):
    """Jobs of a stand-in for Hugging Face: stages by id; what was asked for; whether the head is there."""
    jobs = SimpleNamespace(stage="RUNNING", asked=[], state=None, error=None)

    def hand_over(path, token, *, flavor, hours):
        jobs.asked.append((token, flavor, hours))
        if jobs.error:
            raise jobs.error
        handed = {"job": "j1", "owner": "ann", "bucket": "ann/b", "prefix": path.name, "url": "https://hf.co/jobs/j1"}
        (path / "job.json").write_text(json.dumps(handed))

    def fetch_result(handed, token, path):
        write_free(path / "out" / "avatar")
        RunFolder(path).write_state(jobs.state)

    monkeypatch.setattr(run_jobs.hf_jobs, "hand_over", hand_over)
    monkeypatch.setattr(run_jobs.hf_jobs, "look", lambda handed, token: Seen(jobs.stage, "", jobs.state))
    monkeypatch.setattr(run_jobs.hf_jobs, "log", lambda handed, token, last: ["out of time"])
    monkeypatch.setattr(run_jobs.hf_jobs, "cancel", lambda handed, token: setattr(jobs, "stage", "CANCELED"))
    monkeypatch.setattr(run_jobs.hf_jobs, "fetch_result", fetch_result)
    return jobs


LOGIN = gr.OAuthToken("hf_ann", "openid", 2**40)
FORM = ("a bald man", 0, {}, "anny", "animportrait3d", "Draft", "", "a100-large", KEY)


def test_a_job_is_looked_at_and_its_head_fetched(calls, jobs, runs, account):
    run_id = jobs.on_hand_over(*FORM, LOGIN, HERE)
    ((token, flavor, hours),) = account.asked
    assert (token, flavor) == ("hf_ann", "a100-large")
    assert 0.25 < hours < 24
    (card,) = calls.on_look(KEY)[0].runs
    assert (card.status, card.link, card.actions[0]) == ("elsewhere", "https://hf.co/jobs/j1", "look")
    assert not calls.on_look(KEY)[1].active, "the Hub is asked on a press alone"

    account.state = RunState(status="running", phase="eyes", step=3, steps=50, done=3, total=375)
    jobs.on_job(run_id, KEY, LOGIN, HERE)
    (card,) = calls.on_look(KEY)[0].runs
    assert (card.step, card.note) == ("Eyes: step 3 of 50", "The job is running.")

    account.state, account.stage = RunState(status="finished", phase="video", done=375, total=375), "COMPLETED"
    jobs.on_job(run_id, KEY, LOGIN, HERE)
    (card,) = calls.on_look(KEY)[0].runs
    assert (card.status, card.actions[0]) == ("finished", "open")
    assert calls.on_open(run_id, KEY).startswith("mine/")


def test_a_job_that_failed_says_why_and_is_handed_over_again(calls, jobs, runs, account):
    run_id = jobs.on_hand_over(*FORM, LOGIN, HERE)
    account.state, account.stage = RunState(status="running", phase="eyes", step=3, steps=50, done=3), "ERROR"
    jobs.on_job(run_id, KEY, LOGIN, HERE)
    (card,) = calls.on_look(KEY)[0].runs
    assert card.log == ["out of time"]
    assert (card.actions[0], card.resume) == ("resume", "Hand over again")
    with pytest.raises(gr.Error, match="in the hands of Hugging Face"):
        calls.on_resume(run_id, KEY)
    jobs.on_resume(run_id, "l4x1", KEY, LOGIN, HERE)
    assert [flavor for _, flavor, _ in account.asked] == ["a100-large", "l4x1"]
    (card,) = calls.on_look(KEY)[0].runs
    assert (card.status, card.log, card.actions[0]) == ("elsewhere", [], "look")


def test_a_run_that_works_is_not_handed_over_twice(jobs, account):
    run_id = jobs.on_hand_over(*FORM, LOGIN, HERE)
    jobs.on_resume(run_id, "l4x1", KEY, LOGIN, HERE)
    assert len(account.asked) == 1


def test_a_run_that_is_elsewhere_takes_no_lent_gpu(calls, jobs, account, monkeypatch):
    monkeypatch.setattr(runs_calls, "computing", lambda: Computing("lent", "a lent GPU", 80.0))
    monkeypatch.setattr(runs_calls, "slices", None)
    run_id = jobs.on_hand_over(*FORM, LOGIN, HERE)
    ((view, _),) = calls.on_advance(run_id, KEY)
    assert view.runs[0].status == "elsewhere"


def test_who_deletes_a_run_pays_no_longer(jobs, runs, account):
    run_id = jobs.on_hand_over(*FORM, LOGIN, HERE)
    with pytest.raises(gr.Error, match="belongs to somebody else"):
        jobs.on_remove(run_id, OTHER_KEY, LOGIN, HERE)
    assert account.stage == "RUNNING"
    jobs.on_remove(run_id, KEY, LOGIN, HERE)
    assert account.stage == "CANCELED"
    assert runs.all() == []


def test_a_job_that_is_refused_leaves_no_run(jobs, runs, account):
    account.error = UserError("your account has no credit for jobs")
    with pytest.raises(gr.Error, match="no credit"):
        jobs.on_hand_over(*FORM, LOGIN, HERE)
    assert runs.all() == []


def test_a_sentence_that_is_not_understood_starts_nothing(runs, calls):
    with pytest.raises(gr.Error, match="Nothing in the prompt describes a person"):
        calls.on_start("xyzzy", key=KEY)
    assert runs.of(MINE) == []


@pytest.fixture
def head(tmp_path):
    """The folder of an avatar, as a portrait that is quick to make."""
    return write_head(tmp_path / "head")


def test_a_portrait_is_put_on_a_rig_as_a_run_of_its_own(runs, calls, workers, head):
    run = start_portrait_run(runs, MINE, head)
    assert workers == [run.id]
    shutil.rmtree(head)  # the run has a copy
    assert (portrait_in(run.folder.source, "avatar").path / "config.json").is_file()
    assert run.config.portrait.files.keys() == {"config.json", "diffusion_pytorch_model.safetensors"}
    card = card_of(runs, run)
    assert card.title == rigged.PROMPT
    assert card.recipe == "The look of another head on the free head"
    run.folder.write_state(
        replace(run.state, status="running", phase="views_2", pid=os.getpid()).worked_on_by(psutil.Process())
    )
    assert card_of(runs, runs.find(run.id, MINE)).step == "Looking at the portrait from all around"
    run.folder.write_state(
        replace(run.state, status="running", phase="initialization", step=3, steps=6).worked_on_by(psutil.Process())
    )
    assert card_of(runs, runs.find(run.id, MINE)).step == "Fitting the splats: step 3 of 6"
    assert run_jobs.seconds_of_run(run.config, 0.08) > 60
    assert are_here(run.config)
    words = command_for_own_machine(run.config)
    assert "--portrait avatar --views quick" in words
    assert "--refine" not in words


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "there is none"),
        (["a.pth", "b.pth"], "a.pth, b.pth"),
        (["d.ckpt"], "d.ckpt"),
        (["a.pth"], "give the portrait and decoder"),
    ],
)
def test_files_that_are_no_portrait_are_told(calls, workers, tmp_path, files, told):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(gr.Error, match=told):
        calls.on_rig([str(tmp_path / name) for name in files], "", KEY)
    assert calls.on_runs(KEY) == []
