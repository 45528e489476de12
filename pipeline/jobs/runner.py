"""`run`: advance a run as far as time allows. The command line, the app's workers, a slice of ZeroGPU and a job on the
Hub's machines all call it."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numba
import torch

from pipeline.animate import AnimationSettings, animate_to_video
from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import load_avatar_folder, save_avatar_folder
from pipeline.errors import UserError
from pipeline.files import whole_folder
from pipeline.jobs.config import RunConfig
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.journal import RunJournal, Watch
from pipeline.jobs.making import assist, in_small_parts, is_helper, is_one_of_several, refined
from pipeline.jobs.mirror import Mirror
from pipeline.jobs.starting import make_start
from pipeline.jobs.state import RunState
from pipeline.jobs.troubles import disk_sentence, is_disk_full, is_out_of_memory, memory_sentence
from pipeline.motion import load_motion
from pipeline.motion.editing import trim
from pipeline.recipe import Recipe
from pipeline.stages.journal import Interrupted
from pipeline.stages.kept import PLACE

CLIP = Path(__file__).parents[2] / "examples" / "motions" / "talk.npz"
CLIP_SECONDS = 3.0
VIDEO = AnimationSettings(384, 384)


def run(
    path: Path,
    *,
    budget_seconds: float | None = None,
    stop: Callable[[], bool] | None = None,
    watch: Watch | None = None,
    mirror: Path | None = None,
) -> RunState:
    """Work on a run until it is finished, ``budget_seconds`` are over or ``stop()`` is true; how it is then.

    ``watch`` is shown the state whenever it changes. What the person can mend ends in the state "failed", with a
    sentence, and may be resumed; our own defects are raised besides. ``mirror``: see `Mirror`. Raises `UserError` when
    there is no run, or somebody else works on it.

    Started by ``accelerate launch`` or ``torchrun``, the first of several processes does all this, and the others help.
    """
    if is_helper():
        folder = RunFolder.open(path)
        assist(folder, folder.config())
        return folder.state()
    copy = None if mirror is None else Mirror(path, mirror)
    if copy is not None:
        copy.fetch()
    folder = RunFolder.open(path)
    config = folder.config()
    with folder.lock():
        if folder.state().status == "finished":
            return folder.state()
        journal = RunJournal(folder, config, budget_seconds=budget_seconds, stop=stop, watch=watch, mirror=copy)
        with journal.alive():
            _guarded(journal)
        if copy is not None:
            copy.send()
        return journal.state


def _guarded(journal: RunJournal) -> None:
    """Do the work, and leave in the state how it ended."""
    path = journal.run.path
    try:
        _work(journal)
    except Interrupted as reason:
        _end(journal, "stopped", f"{reason}; go on with --resume {path}")
    except KeyboardInterrupt:
        _end(journal, "stopped", f"stopped at once; --resume {path} goes on from the last checkpoint")
        raise
    except Exception as error:
        if is_disk_full(error):
            _end(journal, "failed", disk_sentence(path))
        elif is_out_of_memory(error):
            _end(journal, "failed", memory_sentence(path, _batch(journal)))
        elif isinstance(error, UserError):
            _end(journal, "failed", str(error))
        else:
            _end(journal, "failed", f"a defect of this program ({type(error).__name__}: {error}); its log tells more")
            raise


def _work(journal: RunJournal) -> None:
    folder, config = journal.run, journal.config
    folder.lay_spare()
    folder.tell("start", **{name: getattr(journal.state, name) for name in ("pid", "host")})
    _use_threads(config)
    if not folder.start.is_dir():
        journal.update(phase="start", step=0, steps=0)
        make_start(journal, config)
    shutil.rmtree(folder.targets / PLACE, ignore_errors=True)
    journal.heed_stop()
    if config.refinement is None:
        with whole_folder(folder.avatar) as partial:
            shutil.copytree(folder.start, partial, dirs_exist_ok=True)
    else:
        while (made := _refined_if_memory_suffices(journal)) is None:
            gc.collect()
            torch.cuda.empty_cache()
        avatar, recipe = made
        journal.update(phase="avatar", step=0, steps=0)
        save_avatar_folder(avatar, recipe, folder.avatar)
    journal.heed_stop()
    journal.update(phase="video")
    _make_video(journal)
    _end(journal, "finished", "")
    for leftover in (folder.checkpoints, folder.targets, folder.source):
        shutil.rmtree(leftover, ignore_errors=True)
    folder.free_spare()


def _refined_if_memory_suffices(journal: RunJournal) -> tuple[SplatAvatar, Recipe] | None:
    """The refined head; None when memory was short, and half as many pictures at once may be tried now."""
    config, batch = journal.config, journal.state.batch
    try:
        return refined(journal, in_small_parts(config, batch))
    except Exception as error:
        batch = _batch(journal)
        if not is_out_of_memory(error) or batch is None or batch == 1 or is_one_of_several():
            raise
        journal.note(f"Memory did not suffice for {batch} pictures at once; it goes on with {batch // 2}.")
        journal.update(batch=batch // 2)
        return None  # the error, and with it what it holds on to, is gone when the next attempt begins


def _batch(journal: RunJournal) -> int | None:
    """Most pictures at once of the refinement; None where none is under way."""
    refinement = journal.config.refinement
    if refinement is None or not journal.run.start.is_dir():
        return None
    return journal.state.batch or refinement.batch


def _make_video(journal: RunJournal) -> None:
    """The head in motion; where that cannot be, it is told and the head is finished all the same."""
    folder = journal.run
    try:
        avatar = load_avatar_folder(folder.avatar)
        clip = trim(load_motion([CLIP]), 0.0, CLIP_SECONDS)
        animate_to_video(avatar, clip, folder.video, VIDEO)
    except UserError as error:
        if is_disk_full(error):
            raise
        journal.note(f"there is no video of the head: {error}")


def _end(journal: RunJournal, status: str, sentence: str) -> None:
    journal.run.free_spare()
    with suppress(UserError):  # no room even for this
        journal.run.tell(status, sentence=sentence)
    with suppress(UserError):  # nor for this: a reader finds that nobody works on it
        journal.update(status=status, sentence=sentence, pid=0, seconds_left=None)


def _use_threads(config: RunConfig) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
        numba.set_num_threads(min(config.threads, numba.get_num_threads()))
