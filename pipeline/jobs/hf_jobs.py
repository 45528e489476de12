"""Hand a run to Hugging Face Jobs: the visitor's account pays for the machine, a bucket of theirs keeps the run.

Into the bucket, below the run's id, go ``run/`` (the run folder) and ``code/`` (this program as it is here). The job
works on its own disk and copies every checkpoint to ``run/``, from where it goes on after a restart.
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx2
from huggingface_hub import BucketFile, HfApi, JobStage, Volume
from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError

from pipeline.avatar_folder import CONFIG, PROMPT, WEIGHTS
from pipeline.errors import UserError
from pipeline.files import whole_file, whole_folder
from pipeline.hub.errors import HubError, explained
from pipeline.jobs.folder import LOCK, SPARE, RunFolder
from pipeline.jobs.state import STATE, RunState

ROOT = Path(__file__).parents[2]
BUCKET = "animportrait3d-runs"
"""Name of the bucket in the account of whoever pays."""
IMAGE = "pytorch/pytorch:2.8.0-cuda12.8-cudnn9-devel"
"""torch with CUDA, and the compiler that gsplat's kernels need."""
FLAVORS = {"a100-large": 2.50, "l40sx1": 1.80, "a10g-large": 1.50, "l4x1": 0.80}
"""Machines with 24 GB of GPU memory or more → US dollars an hour when this was written."""
LONGEST_HOURS = 24.0
ATTEMPTS = 3
CODE = ("pipeline/**/*", "examples/motions/*.npz", "requirements.txt", "LICENSE")
MOUNT = "/runs"
HANDED = "job.json"
RESULT = (CONFIG, WEIGHTS, "avatar.glb", "preview.png", PROMPT, "recipe.json")
LARGEST_RESULT = 2_000_000_000
ENDED = {JobStage.COMPLETED, JobStage.CANCELED, JobStage.ERROR, JobStage.DELETED}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


@dataclass(frozen=True)
class HandedOver:
    """A run that is in the hands of a job; kept in job.json of the run folder."""

    job: str
    """Id."""
    owner: str
    """Account that pays."""
    bucket: str
    """owner/name."""
    prefix: str
    """Folder of the run in the bucket."""
    url: str
    """Page of the job."""


@dataclass(frozen=True)
class Seen:
    """How a job is."""

    stage: str
    """``SCHEDULING``, ``RUNNING``, ``COMPLETED``, ``CANCELED``, ``ERROR`` or ``DELETED``."""
    message: str
    state: RunState | None
    """Of the run, as the job last kept it; None before that."""

    @property
    def ended(self) -> bool:
        """Whether the job does no more."""
        return self.stage in ENDED


def hand_over(path: Path, token: str, *, flavor: str = "a100-large", hours: float = 4.0) -> HandedOver:
    """Put the run in ``path`` into the bucket of the token's owner and start a job on it, which they pay for.

    Checkpoints that are there go along. ``hours``: the job is ended after so long, whatever it costs until then. Raises
    `UserError` when the token lacks the right or its owner the credit, or the Hub cannot be reached.
    """
    run = RunFolder.open(path)
    _check(run, flavor, hours)
    api = HfApi(token=token)
    with _told("your account on the Hub"):
        owner = str(api.whoami()["name"])
    with _told(f"the bucket {owner}/{BUCKET}"):
        bucket = api.create_bucket(f"{owner}/{BUCKET}", private=True, exist_ok=True).bucket_id
        api.batch_bucket_files(bucket, add=_files(run))
    with _told("a job"):
        job = api.run_job(
            image=IMAGE,
            command=["bash", "-c", _script(run.id)],
            secrets={"HF_TOKEN": token},
            flavor=flavor,
            timeout=int(hours * 3600),
            attempts=ATTEMPTS,
            name=f"animportrait3d-{run.id}"[:63],
            labels={"animportrait3d": run.id},
            volumes=[Volume(type="bucket", source=bucket, mount_path=MOUNT)],
            namespace=owner,
        )
    handed = HandedOver(job.id, owner, bucket, run.id, job.url)
    with whole_file(run.path / HANDED) as partial:
        partial.write_text(json.dumps(asdict(handed)) + "\n", encoding="utf-8")
    return handed


def handed_over(path: Path) -> HandedOver | None:
    """The job that has the run, if one was given it."""
    try:
        return HandedOver(**json.loads((path / HANDED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def look(handed: HandedOver, token: str) -> Seen:
    """How the job is, and how far the run. Raises `UserError` when the Hub does not say."""
    api = HfApi(token=token)
    try:
        with _told("the job"):
            status = api.inspect_job(job_id=handed.job, namespace=handed.owner).status
    except HubError as error:
        if not _is_gone(error.__cause__):
            raise
        return Seen(JobStage.DELETED.value, "", _state(api, handed))
    return Seen(getattr(status.stage, "value", str(status.stage)), status.message or "", _state(api, handed))


def log(handed: HandedOver, token: str, last: int) -> list[str]:
    """The last lines that the job printed. Raises `UserError`."""
    api = HfApi(token=token)
    with _told("the job's log"):
        return list(api.fetch_job_logs(job_id=handed.job, namespace=handed.owner, tail=last))


def cancel(handed: HandedOver, token: str) -> None:
    """End the job; its last checkpoint stays in the bucket. Raises `UserError`."""
    with _told("the job"):
        HfApi(token=token).cancel_job(job_id=handed.job, namespace=handed.owner)


def fetch_result(handed: HandedOver, token: str, path: Path) -> Path:
    """Bring the finished head into ``out/avatar`` of the run in ``path``, and the run's state; the avatar folder.

    Only the files of an avatar folder are taken. Raises `UserError` when the run is not finished.
    """
    run, api = RunFolder.open(path), HfApi(token=token)
    prefix = f"{handed.prefix}/run/out/avatar/"
    with _told(f"the bucket {handed.bucket}"):
        entries = api.list_bucket_tree(handed.bucket, prefix.rstrip("/"), recursive=True)
        listed = {entry.path: entry for entry in entries if isinstance(entry, BucketFile)}
        wanted = [(listed[prefix + name], name) for name in RESULT if prefix + name in listed]
        state = _state(api, handed)
        if state is None or state.status != "finished" or not wanted:
            raise UserError("the job has not finished the head yet; look again when it has")
        if sum(entry.size for entry, _ in wanted) > LARGEST_RESULT:
            raise UserError(
                f"the head in {handed.bucket} takes more than {LARGEST_RESULT / 1e9:g} GB, which is no head"
            )
        with whole_folder(run.avatar) as partial:
            api.download_bucket_files(handed.bucket, [(entry, partial / name) for entry, name in wanted])
    run.write_state(replace(state, pid=0, host=""))  # nobody works on it here, whatever the bucket says
    return run.avatar


def _check(run: RunFolder, flavor: str, hours: float) -> None:
    if not NAME.fullmatch(run.id):
        raise UserError(f"the run is called {run.id!r}; a job takes letters, digits, dots and dashes")
    if flavor not in FLAVORS:
        raise UserError(f"the machine is {flavor!r}; it is one of {', '.join(FLAVORS)}")
    if not 0 < hours <= LONGEST_HOURS:
        raise UserError(f"the job may take {hours} hours; it must be above 0 and at most {LONGEST_HOURS:g}")
    config = run.config()
    if config.text_to_trigrid is not None:
        raise UserError(
            "Portrait3D's generator is a file of this machine, which a job does not have; take your machine"
        )
    for model in (config.model, config.controlnet, config.landmarks, config.parser, config.normals):
        if Path(model).is_absolute():
            raise UserError(
                f"{model} is a folder of this machine, which a job cannot see; name a repository of the Hub"
            )
    if config.head != "anny":
        raise UserError(
            f"a head on {config.head} needs your own model file, which a job does not have; take your machine"
        )
    if run.is_locked():
        raise UserError(f"{run.path} is being worked on here; stop that first")


def _files(run: RunFolder) -> list[tuple[str | Path | bytes, str]]:
    """What goes into the bucket: the program, and the run."""
    found = {path for pattern in CODE for path in ROOT.glob(pattern) if path.is_file()}
    code = [path for path in found if "__pycache__" not in path.parts]
    added: list[tuple[str | Path | bytes, str]] = [
        (path, f"{run.id}/code/{path.relative_to(ROOT)}") for path in sorted(code)
    ]
    for path in sorted(run.path.rglob("*")):
        if path.is_file() and path.name not in (LOCK, SPARE, HANDED) and not path.name.startswith("."):
            added.append((path, f"{run.id}/run/{path.relative_to(run.path)}"))
    return added


def _script(run_id: str) -> str:
    place = shlex.quote(f"{MOUNT}/{run_id}")
    return (
        f"set -e; cp -r {place}/code /tmp/code; cd /tmp/code; "
        "pip install --quiet --root-user-action=ignore -r requirements.txt gsplat; "
        f"exec python -m pipeline create --resume /tmp/run --mirror {place}/run"
    )


def _state(api: HfApi, handed: HandedOver) -> RunState | None:
    """How far the run is, as the bucket has it."""
    name = f"{handed.prefix}/run/{STATE}"
    with suppress(HubError, ValueError, OSError), _told(name):
        return RunState.from_json(_small_file(api, handed.bucket, name))
    return None


def _small_file(api: HfApi, bucket: str, name: str) -> str:
    with tempfile.TemporaryDirectory(prefix="animportrait3d-job-") as folder:
        place = Path(folder) / "file"
        api.download_bucket_files(bucket, [(name, place)], raise_on_missing_files=True)
        return place.read_text(encoding="utf-8")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the Hub's refusals into sentences."""
    try:
        yield
    except HfHubHTTPError as error:
        raise _refused(error, what) from error
    except (httpx2.HTTPError, TimeoutError) as error:
        raise explained(error, what, "https://huggingface.co/settings/jobs") from error


def _is_gone(error: BaseException | None) -> bool:
    return isinstance(error, HfHubHTTPError) and error.response.status_code == 404


def _refused(error: HfHubHTTPError, what: str) -> HubError:
    status = error.response.status_code
    if status == 402:
        return HubError(
            "your Hugging Face account has no credit for jobs; add some at https://huggingface.co/settings/billing, "
            "or run the command on a machine of your own"
        )
    if status == 401:
        return HubError("the Hub no longer accepts this login; log in again")
    if status == 403:
        return HubError(
            f"this login may not use {what}: its token lacks the right (jobs, and writing to repositories); log in "
            "again and allow it, or give a token with it from https://huggingface.co/settings/tokens"
        )
    if isinstance(error, BucketNotFoundError):
        return HubError(f"{what} is gone; hand the run over again")
    return explained(error, what, "https://huggingface.co/settings/jobs")
