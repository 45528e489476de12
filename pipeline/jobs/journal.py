"""`RunJournal`: a refinement leaves its progress in a run folder, and stops where it is asked to."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import psutil
from PIL import Image
from torch import Tensor

from pipeline.avatar import SplatAvatar
from pipeline.avatar_folder import PREVIEW_YAW
from pipeline.errors import UserError
from pipeline.files import whole_file, writing
from pipeline.jobs.checkpoints import Checkpoint, load_newest, oldest_done, save_checkpoint
from pipeline.jobs.config import RunConfig
from pipeline.jobs.folder import RunFolder
from pipeline.jobs.mirror import Mirror
from pipeline.jobs.state import RunState
from pipeline.rendering.portrait import portrait
from pipeline.stages.journal import Interrupted, Journal, Progress, State

HEARTBEAT_SECONDS = 5.0
TOLD_EVERY = 10
"""Steps between two events with losses."""
PREVIEW_SECONDS = 10.0
PREVIEW_SIZE = 384
MARGIN = 1.5
"""A step may take that many times as long as the last one."""
SHARE_OF_KEEPING = 0.1
"""Of the time, at most so much goes into writing checkpoints; those of a tri-grid have a gigabyte."""
QUICK_SECONDS = 0.5
"""A checkpoint that takes less is written as often as the run says."""

Watch = Callable[[RunState], None]
"""Is shown the state after each step."""


class RunJournal(Journal):
    """The journal of one worker: checkpoints, events, a picture now and then, and a sign of life.

    ``budget_seconds`` from now on, it stops after the step that is likely the last to fit; ``stop`` is asked after each
    step. Use `alive` around the work.
    """

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        *,
        budget_seconds: float | None = None,
        stop: Callable[[], bool] | None = None,
        watch: Watch | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.run = run
        self.config = config
        self._deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
        self._stop = stop or (lambda: False)
        self._watch, self._mirror = watch, mirror
        self._mutex = threading.Lock()
        before = replace(run.state(), status="running", sentence="", total=config.total)
        self.state = before.worked_on_by(psutil.Process())
        self._worked_before = self.state.seconds
        self._started = self._last = self._kept = time.monotonic()
        self._drawn = -PREVIEW_SECONDS
        self._own_steps = self._pieces = 0
        self._first: float | None = None
        self._costs = _Costs()
        self._noted = {event.get("sentence") for event in run.events() if event.get("kind") == "note"}
        self._steps = dict(config.phases)
        ends = accumulate(self._steps.values())
        self._before = {name: end - self._steps[name] for name, end in zip(self._steps, ends, strict=True)}

    def resume(self, phases: Sequence[str]) -> tuple[str, State] | None:
        """The newest whole checkpoint, where it is of one of these phases."""
        checkpoint, damaged = load_newest(self.run.checkpoints)
        for path in damaged:
            before = "the beginning" if checkpoint is None else "the checkpoint before it"
            self.note(f"The checkpoint {path.name} was damaged; it went on from {before}.")
            path.unlink(missing_ok=True)
        if checkpoint is None or checkpoint.phase not in phases:
            return None
        phase, done = checkpoint.phase, checkpoint.done
        self.run.tell("resume", phase=phase, done=done)
        self.update(phase=phase, step=done - self._before[phase], steps=self._steps[phase], done=done)
        return checkpoint.phase, checkpoint.state

    def step(self, progress: Progress, shown: SplatAvatar | Tensor | None, state: Callable[[], State]) -> None:
        """Keep what is due, and raise `Interrupted` when it is time to stop."""
        now = self._end_piece()
        self._own_steps += 1
        done = self._before[progress.phase] + progress.step
        is_end = progress.step == progress.steps
        stopping = self._stop() or self._is_time_up(now)
        if is_end or stopping or self._is_due(progress.step, now):
            self._keep(Checkpoint(done, progress.phase, state()))
        if shown is not None and (stopping or is_end or now - self._drawn > PREVIEW_SECONDS):
            self._draw(shown)
        if is_end or progress.step % TOLD_EVERY == 1:
            self.run.tell("step", phase=progress.phase, step=progress.step, losses=progress.losses)
        self.update(
            phase=progress.phase, step=progress.step, steps=progress.steps, done=done, losses=progress.losses,
            seconds_left=self._seconds_left(self.config.total - done),
        )  # fmt: skip
        if stopping and done < self.config.total:
            raise Interrupted(f"stopped after step {progress.step} of {progress.steps} of {progress.phase}")

    def pause(self) -> None:
        """Raise `Interrupted` when it is time to stop; a slice of time always does one piece of work at least."""
        self.heed_stop()
        if self._mirror is not None and time.monotonic() - self._kept > self.config.checkpoint_seconds:
            self._mirror.send()
            self._kept = time.monotonic()
        had_piece = self._pieces > 0
        if self._is_time_up(self._end_piece()) and had_piece:
            raise Interrupted("stopped between two steps")

    def heed_stop(self) -> None:
        """Raise `Interrupted` when somebody wants it to stop."""
        if self._stop():
            raise Interrupted("stopped between two steps")

    def at(self, work: str, done: int = 0, of: int = 0) -> None:
        """Into the state, in the place of a phase."""
        self.update(phase=work, step=done, steps=of, losses={})

    def folder(self, phase: str) -> Path | None:
        """Where a phase keeps what it makes ahead, until no checkpoint of the phase is left; or, of the start, until
        that is made."""
        return self.run.targets / phase

    def note(self, sentence: str) -> None:
        """Into the events, once."""
        if sentence not in self._noted:
            self._noted.add(sentence)
            self.run.tell("note", sentence=sentence)

    def update(self, **values: Any) -> None:
        """Change the state and write it."""
        with self._mutex:
            now = time.time()
            seconds = self._worked_before + time.monotonic() - self._started
            self.state = replace(self.state, heartbeat=now, seconds=seconds, **values)
            self.run.write_state(self.state)
        if self._watch is not None:
            self._watch(self.state)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Give a sign of life every few seconds, also while a model loads or a step takes minutes."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                with suppress(UserError):  # a full disk: the work itself will meet it
                    self.update()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _seconds_left(self, steps: int) -> float | None:
        """By the mean of this worker's steps but the first, before which models were loaded and kernels compiled."""
        if self._first is None:
            self._first = self._last
            return None
        return steps * (self._last - self._first) / (self._own_steps - 1)

    def _end_piece(self) -> float:
        """Measure what a step, or what lies between two pauses, takes; the time now."""
        now = time.monotonic()
        self._costs.step, self._last = now - self._last, now
        self._pieces += 1
        return now

    def _is_time_up(self, now: float) -> bool:
        return self._deadline is not None and now + MARGIN * self._costs.step + self._costs.keep > self._deadline

    def _is_due(self, step: int, now: float) -> bool:
        since = now - self._kept
        if self._costs.keep > QUICK_SECONDS and since < self._costs.keep / SHARE_OF_KEEPING:
            return False
        return step % self.config.checkpoint_every == 0 or since > self.config.checkpoint_seconds

    def _keep(self, checkpoint: Checkpoint) -> None:
        started = time.monotonic()
        path = save_checkpoint(self.run.checkpoints, checkpoint)
        self._forget_targets()
        self.run.tell("checkpoint", phase=checkpoint.phase, done=checkpoint.done, bytes=path.stat().st_size)
        if self._mirror is not None:
            self._mirror.send()
        self._kept = time.monotonic()
        self._costs.keep = self._kept - started

    def _forget_targets(self) -> None:
        """Remove the pictures of phases that lie before every checkpoint, so that nothing can ask for them again."""
        oldest = oldest_done(self.run.checkpoints)
        for name, steps in self._steps.items():
            if self._before[name] + steps <= oldest:
                shutil.rmtree(self.run.targets / name, ignore_errors=True)

    def _draw(self, shown: SplatAvatar | Tensor) -> None:
        if isinstance(shown, SplatAvatar):
            shown = portrait(shown, PREVIEW_SIZE, yaw=PREVIEW_YAW)
        picture = Image.fromarray(shown.cpu().numpy())
        with whole_file(self.run.preview, durable=False) as partial, writing(partial):
            picture.save(partial, "PNG")
        self._drawn = time.monotonic()


class _Costs:
    """Seconds that the last step and the last checkpoint took."""

    step = 0.0
    keep = 0.0
