"""A run is handed to the Hub's machines: the real client, over a loopback Hub, with the real transport of buckets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huggingface_hub import HfApi

from pipeline.errors import UserError
from pipeline.jobs import RunFolder, hf_jobs
from pipeline.jobs.mirror import Mirror
from pipeline.jobs.runner import run as work_on
from tests.hub.faults import Fault
from tests.jobs.fake import fake_config, new_run, result, without_models

BUCKET = "anna/animportrait3d-runs"


@pytest.fixture
def run(tmp_path):
    return new_run(tmp_path / "run-1")


@pytest.fixture
def token(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    return hub.log_in("anna")


@pytest.fixture
def brought(monkeypatch):
    """Only a few files of the program go along, which is quicker."""
    monkeypatch.setattr(hf_jobs, "CODE", ("pipeline/__main__.py", "pipeline/jobs/*.py", "requirements.txt"))


def put(hub, token, folder, prefix):
    """What the job would leave in the bucket."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    added = [(path, f"{prefix}/{path.relative_to(folder)}") for path in files]
    HfApi(token=token).batch_bucket_files(BUCKET, add=added)
    hub.bucket_sizes |= {name: path.stat().st_size for path, name in added}


def test_from_one_press_to_the_finished_head(hub, run, token, brought, monkeypatch, tmp_path):
    handed = hf_jobs.hand_over(run.path, token, flavor="l4x1", hours=2)
    asked = hub.jobs[handed.job]["asked"]
    assert asked["timeoutSeconds"] == 7200
    assert asked["flavor"] == "l4x1"
    assert asked["secrets"] == {"HF_TOKEN": token}
    assert token not in str({key: value for key, value in asked.items() if key != "secrets"})
    assert [(volume["source"], volume["mountPath"]) for volume in asked["volumes"]] == [(BUCKET, "/runs")]
    command = asked["command"][-1]
    assert command.endswith("python -m pipeline create --resume /tmp/run --mirror /runs/run-1/run")
    assert {"run-1/code/pipeline/__main__.py", "run-1/run/config.json"} <= hub.buckets[BUCKET].keys()
    assert not any(name.endswith("/lock") for name in hub.buckets[BUCKET])
    assert hf_jobs.handed_over(run.path) == handed
    assert handed.url == f"{hub.url}/jobs/anna/{handed.job}"

    hub.bucket_sizes["run-1/run/state.json"] = (run.path / "state.json").stat().st_size
    seen = hf_jobs.look(handed, token)
    assert (seen.stage, seen.ended, seen.state.status) == ("RUNNING", False, "waiting")
    assert hf_jobs.log(handed, token, last=1) == ["eyes 2 of 500"]
    with pytest.raises(UserError, match="has not finished"):
        hf_jobs.fetch_result(handed, token, run.path)

    without_models(monkeypatch)
    there = new_run(tmp_path / "machine" / "run-1")  # what the job does on its own disk, and copies into the bucket
    assert work_on(there.path).status == "finished"
    (there.avatar / "surprise.sh").write_text("rm -rf /")
    put(hub, token, there.path, "run-1/run")
    hub.jobs[handed.job]["told"]["status"]["stage"] = "COMPLETED"
    assert hf_jobs.look(handed, token).ended
    folder = hf_jobs.fetch_result(handed, token, run.path)
    assert result(run) == result(there)
    assert not (folder / "surprise.sh").exists()
    assert run.state().status == "finished"


def test_a_job_is_cancelled(hub, run, token, brought):
    handed = hf_jobs.hand_over(run.path, token)
    hf_jobs.cancel(handed, token)
    assert hf_jobs.look(handed, token).stage == "CANCELED"
    hub.jobs.clear()
    assert hf_jobs.look(handed, token).ended, "it was deleted on the Hub's page"


@pytest.mark.parametrize(
    ("where", "status", "told"),
    [
        ("/api/jobs/*", 402, "no credit for jobs; add some at"),
        ("/api/jobs/*", 403, "may not use a job: its token lacks the right"),
        ("/api/buckets/*", 403, "may not use the bucket anna/animportrait3d-runs"),
        ("/api/whoami-v2", 401, "no longer accepts this login; log in again"),
        ("/api/jobs/*", 500, "a fault of its own"),
    ],
)
def test_a_refusal_is_a_sentence(hub, run, token, brought, where, status, told):
    hub.faults.append(Fault(where, status=status))
    with pytest.raises(UserError, match=told):
        hf_jobs.hand_over(run.path, token)
    assert hf_jobs.handed_over(run.path) is None


def test_what_a_job_cannot_do_is_said_before_anything_is_sent(hub, run, tmp_path):
    token = hub.log_in("anna")
    with pytest.raises(UserError, match="the machine is 'toaster'; it is one of a100-large"):
        hf_jobs.hand_over(run.path, token, flavor="toaster")
    with pytest.raises(UserError, match="at most 24"):
        hf_jobs.hand_over(run.path, token, hours=48)
    own = RunFolder.create(tmp_path / "own", replace(fake_config(), model="/models/sd"))
    with pytest.raises(UserError, match="name a repository of the Hub"):
        hf_jobs.hand_over(own.path, token)
    licensed = RunFolder.create(tmp_path / "licensed", replace(fake_config(), head="flame"))
    with pytest.raises(UserError, match="needs your own model file"):
        hf_jobs.hand_over(licensed.path, token)
    with run.lock(), pytest.raises(UserError, match="being worked on here"):
        hf_jobs.hand_over(run.path, token)
    assert not hub.requests


def test_a_mirror_brings_a_run_to_another_machine_and_back(tmp_path, monkeypatch):
    """The job was restarted on a machine with an empty disk: the mounted bucket is all there is."""
    without_models(monkeypatch)
    whole = new_run(tmp_path / "whole")
    work_on(whole.path)
    handed, bucket = new_run(tmp_path / "handed"), tmp_path / "bucket"
    Mirror(handed.path, bucket).send()
    asked = iter(range(100))
    first = work_on(tmp_path / "first", mirror=bucket, stop=lambda: next(asked) >= 9)
    assert first.status == "stopped"
    assert not (bucket / "lock").exists()
    second = work_on(tmp_path / "second", mirror=bucket)
    assert second.status == "finished"
    assert result(RunFolder(tmp_path / "second")) == result(whole)
    assert RunFolder(bucket).state().status == "finished"
    assert result(RunFolder(bucket)) == result(whole)
    assert not list((bucket / "checkpoints").glob("*"))


def test_a_mirror_without_a_run_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no run in"):
        work_on(tmp_path / "run", mirror=tmp_path)
