"""The refinements that people have started here, on disk: whose each one is, and until when.

Beside the avatars that people keep, in the folder ``runs`` of the library; a folder per run, named by its secret id:

| place | what it is |
|---|---|
| <id>/ | the run folder, see `pipeline.jobs.folder`; named as jobs on Hugging Face know it |
| owner.json | the owner's id (a hash) |
| queued | empty; the run waits for its turn, since the time of this file, see `ui.run_line` |
| opened | id of the avatar that its result was opened as |
| seen.json | what was last seen of its job on Hugging Face, see `ui.run_jobs` |

A folder appears whole or not at all, and is renamed before it is deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from PIL import Image

from pipeline.errors import UserError
from pipeline.files import PARTIAL_SUFFIX, partial_name, whole_file, whole_folder, writing
from pipeline.jobs.config import RunConfig
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.hf_jobs import HandedOver, handed_over
from pipeline.jobs.state import RunState
from pipeline.jobs.worker import is_running, stop_worker
from pipeline.pictures import BROKEN_PICTURE
from pipeline.recipe import Recipe
from ui.library import ABANDONED_SECONDS, ID, RUNS, link_files, new_id
from ui.making import Made
from ui.people import ids_of
from ui.run_line import RunLine
from ui.workshop import Workshop

OWNER, OPENED = "owner.json", "opened"
LARGEST_OWNER = 64 * 1024
"""Bytes of an owner.json."""
MOST_UNFINISHED = 3
"""Runs of one person on a Space that are at work or wait: each takes the place's one turn for long."""
MOST_WAITING = 20
"""Runs of all people on a Space that are at work or wait: anybody may start one, under any name."""
PREVIEW_SIZE = 512
KILL_SECONDS = 5.0
"""What is deleted need not be kept: its worker gets so long."""
NEEDS_KEY = "this browser told no key, without which nobody could tell whose the run is; reload the page"
NOT_YOURS = "you have no run of that id: it was deleted, or it belongs to somebody else"
NOT_READY = "this run has no head to show yet; one is there when it has finished"


@dataclass(frozen=True)
class Owner:
    """Whose a run is."""

    person: str
    """Id of the person, see `ui.people`."""


@dataclass(frozen=True)
class Run:
    """One run of the library."""

    id: str
    place: Path
    owner: Owner
    config: RunConfig
    state: RunState
    created: float
    """Seconds since 1970."""

    @property
    def folder(self) -> RunFolder:
        """Its files."""
        return RunFolder(self.place / self.id)

    @property
    def is_starting(self) -> bool:
        """Whether its worker was started just now."""
        return self.state.status == "waiting" and self.state.is_of_living_process()

    @property
    def finished(self) -> bool:
        """Whether its head is here."""
        return self.state.status == "finished"

    @property
    def job(self) -> HandedOver | None:
        """The job on Hugging Face that has it."""
        return handed_over(self.folder.path)


class Runs:
    """The runs of a workshop's library. Raises `UserError` as its methods say."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.line = RunLine(self)

    @property
    def root(self) -> Path:
        """Where they lie."""
        return self.workshop.library.root / RUNS

    def add(
        self, config: RunConfig, person: str, start: Path | None = None, bring: Callable[[Path], None] | None = None
    ) -> Run:
        """Keep a new run for a person; nobody works on it yet.

        ``start`` is the avatar folder to refine, where it is not what the prior makes of the sentence; ``bring`` puts
        the portrait to rig into a folder. Raises `UserError` where there is no room.
        """
        owners = ids_of(person)
        if not owners:
            raise UserError(NEEDS_KEY)
        self.workshop.library.check_room(owners)
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)  # faces are private
        run_id = new_id()
        with whole_folder(self.root / run_id) as partial:
            folder = RunFolder.create(partial / run_id, config, bring)
            if start is not None:
                link_files(start, folder.start)
            _write_owner(partial, Owner(owners[0]))
        return self.find(run_id, person)

    def of(self, person: str) -> list[Run]:
        """A person's runs, newest first."""
        return sorted(self._all(ids_of(person)), key=lambda run: run.created, reverse=True)

    def find(self, run_id: str, person: str) -> Run:
        """A person's own run. Raises `UserError` for one that is not theirs."""
        run = self._read(self.root / run_id, ids_of(person)) if ID.fullmatch(run_id or "") else None
        if run is None:
            raise UserError(NOT_YOURS)
        return run

    def all(self) -> list[Run]:
        """Everybody's."""
        return self._all(None)

    def _all(self, owners: tuple[str, ...] | None) -> list[Run]:
        try:
            places = [place for place in self.root.iterdir() if ID.fullmatch(place.name)]
        except FileNotFoundError:
            return []
        return [run for place in places if (run := self._read(place, owners)) is not None]

    def delete(self, run: Run) -> None:
        """Delete a run, whoever works on it. Raises `UserError` where the system refuses."""
        self.line.leave(run)
        stop_worker(run.folder.path, KILL_SECONDS)
        doomed = partial_name(run.place)
        with writing(run.place), suppress(FileNotFoundError):  # another process was quicker
            os.rename(run.place, doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        shutil.rmtree(self._shown(run), ignore_errors=True)

    def open(self, run: Run, person: str) -> Made:
        """The head that a run has made, the person's own from now on. Raises `UserError` while there is none."""
        with suppress(FileNotFoundError, UserError):
            return self.workshop.open((run.place / OPENED).read_text(), person)
        folder = run.folder.avatar
        try:
            recipe = Recipe.from_json((folder / "recipe.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(NOT_READY) from error
        made = self.workshop.keep(folder, recipe, person, listed=True)
        with whole_file(run.place / OPENED, durable=False) as partial:
            partial.write_text(made.id)
        return made

    def preview(self, run: Run) -> Path | None:
        """The newest preview, small, where the page serves files from; None before the first."""
        try:
            stamp = run.folder.preview.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        small = self._shown(run) / f"{stamp}.webp"
        if not small.exists() and not _shrink(run.folder.preview, small):
            return None
        for older in small.parent.glob("*.webp"):
            if older != small:
                older.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.utime(small)  # Gradio deletes what it has served by the age of the file
        return small

    def config_file(self, run: Run) -> Path:
        """The run's settings where the page serves files from; of folders of this machine only their names."""
        config, path = run.config, self._shown(run) / "run.json"
        told = replace(
            config,
            model=_without_folder(config.model),
            controlnet=_without_folder(config.controlnet),
            landmarks=_without_folder(config.landmarks),
            parser=_without_folder(config.parser),
            normals=_without_folder(config.normals),
        )
        with whole_file(path, durable=False) as partial:
            partial.write_text(told.to_json(), encoding="utf-8")
        return path

    def remove_old(self) -> None:
        """Delete what nobody has worked on for as long as the limits say, and what a killed process left half-done."""
        hours = self.workshop.limits.keep_hours
        for run in self.all() if hours else []:
            with suppress(UserError, FileNotFoundError):  # deleted meanwhile
                last = max(run.state.heartbeat, run.created, run.place.stat().st_mtime)
                busy = self.line.has(run) or is_running(run.folder.path)
                if hours and not busy and time.time() - last > hours * 3600:
                    self.delete(run)
        for place in self.root.glob(f".*{PARTIAL_SUFFIX}"):
            with suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(place, ignore_errors=True)

    def check_turns(self, person: str) -> None:
        """Raise `UserError` where no further run of theirs may wait for a turn: on a Space not everybody's may."""
        if not os.environ.get("SPACE_ID"):
            return
        unfinished = [run for run in self.all() if self.line.has(run) or run.state.status == "running"]
        owners = ids_of(person)
        mine = sum(run.owner.person in owners for run in unfinished)
        if mine >= MOST_UNFINISHED:
            raise UserError(
                f"{mine} runs of yours are at work or wait here, which is the most; "
                "stop one of them, or wait until one has finished"
            )
        if len(unfinished) >= MOST_WAITING:
            raise UserError(
                f"{len(unfinished)} runs are at work or wait here, which is the most; come back later, hand yours to "
                "Hugging Face, or run the command on a machine of your own"
            )

    def _shown(self, run: Run) -> Path:
        return self.workshop.places.root / RUNS / run.id

    def _read(self, place: Path, owners: tuple[str, ...] | None) -> Run | None:
        """None where there is no run of one of these owners (of anybody where None), or nothing readable."""
        try:
            with open(place / OWNER, "rb") as file:
                owner = Owner(**json.loads(file.read(LARGEST_OWNER)))
            if not isinstance(owner.person, str) or (owners is not None and owner.person not in owners):
                return None
            folder = RunFolder(place / place.name)
            return Run(place.name, place, owner, folder.config(), folder.state(), folder.created)
        except (OSError, ValueError, TypeError, RecursionError):  # `UserError` is a `ValueError`
            return None


def _without_folder(model: str) -> str:
    return Path(model).name if Path(model).is_absolute() else model


def _write_owner(place: Path, owner: Owner) -> None:
    with whole_file(place / OWNER) as partial:
        partial.write_text(json.dumps(asdict(owner)), encoding="utf-8")


def _shrink(picture: Path, small: Path) -> bool:
    """Write a small copy; not where the picture is just being replaced or deleted."""
    small.parent.mkdir(parents=True, exist_ok=True)
    with suppress(*BROKEN_PICTURE, FileNotFoundError), Image.open(picture) as opened:
        opened.thumbnail((PREVIEW_SIZE, PREVIEW_SIZE))
        with whole_file(small, durable=False) as partial:
            opened.convert("RGB").save(partial, "WEBP", quality=82)
        return True
    return False
