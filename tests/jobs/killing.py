"""A run is killed at random moments, resumed, and compared with one that was left alone.

By hand, the real chain with a tiny checkpoint: ``python -m tests.jobs.killing --kills 10``: so many runs, each killed
once at a moment of its own, resumed and compared. Processes are forked from one that has imported everything.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
SCALE, RESOLUTION, CHECKPOINT_EVERY = 0.006, 64, 2
STEPS = 19
"""Of all phases together, with that scale."""


class Forge:
    """A process that has imported everything and touched no thread yet; it forks one worker at a time."""

    def __init__(self, preparation: str = "") -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        code = f"{preparation}\nfrom tests.jobs.killing import serve\nserve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)

    def start(self, run: Path) -> int:
        """Begin to work on a run; the process that does."""
        return int(self._ask(f"start {run}"))

    def wait(self) -> int:
        """Wait for the worker that was started last: its exit code, or minus the signal that ended it."""
        return int(self._ask("wait"))

    def _ask(self, question: str) -> str:
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the forge ended with {self._process.wait()}"
        return answer


def serve() -> None:
    """What the forge's process does: forks a worker for each "start", says for each "wait" how it ended."""
    import torch

    import pipeline.pretrained
    import pipeline.stages.refinement  # noqa: F401
    from pipeline.jobs.runner import run

    torch.set_num_threads(1)
    pid = 0
    for line in sys.stdin:
        if line.startswith("wait"):
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            answer = pid = os.fork()
            if not pid:
                _work(run, Path(line.removeprefix("start ").strip()))
        print(answer, flush=True)


def _work(run, path: Path) -> None:
    from pipeline.jobs.signals import StopRequests

    os.dup2(os.open(path / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)
    code = 1
    try:
        with StopRequests() as requests:
            code = {"finished": 0, "stopped": requests.exit_code}.get(run(path, stop=requests.asked).status, 2)
    finally:
        os._exit(code)


def digest(folder: Path) -> str:
    """One number for every byte of the avatar that a run made."""
    sums = hashlib.sha256()
    for path in sorted((folder / "out" / "avatar").iterdir()):
        sums.update(path.name.encode() + path.read_bytes())
    return sums.hexdigest()


def killed(forge: Forge, run: Path, done: int, seconds: float) -> str:
    """Kill a run so many seconds after so many steps; how far it was."""
    from pipeline.jobs import RunFolder

    pid = forge.start(run)
    while RunFolder(run).state().done < done:
        time.sleep(0.002)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    code = forge.wait()
    state = RunFolder(run).state()
    return f"{state.status} in {state.phase or 'nothing yet'} {state.step}, {state.done} of {state.total} ({code})"


def killed_in(forge: Forge, run: Path, phase: str, step: int) -> None:
    """Kill a run as soon as it is in a phase, so many steps in."""
    from pipeline.jobs import RunFolder

    def is_there() -> bool:
        state = RunFolder(run).state()
        assert state.status != "finished", f"it ended before it was killed in {phase}"
        return state.status == "running" and state.phase == phase and state.step >= step

    pid = forge.start(run)
    while not is_there():
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    forge.wait()


def tiny_run(folder: Path, checkpoint: Path) -> Path:
    """A run of every phase over the tiny checkpoint."""
    from pipeline.jobs import RunConfig, RunFolder

    config = RunConfig.of(
        "a bald man", seed=5, model=str(checkpoint), num_steps_scale=SCALE, resolution=RESOLUTION, threads=1,
        checkpoint_every=CHECKPOINT_EVERY, device="cpu",
    )  # fmt: skip
    assert config.total == STEPS
    return RunFolder.create(folder, config).path


def main() -> None:
    """Kill so many runs, and say whether all of them ended as the one that was left alone."""
    from tests.tiny_checkpoint import write_tiny_checkpoint

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments, wrong = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="killed-runs-") as place, Forge() as forge:
        folder = Path(place)
        checkpoint = write_tiny_checkpoint(folder / "tiny")
        whole = tiny_run(folder / "whole", checkpoint)
        started = time.perf_counter()
        forge.start(whole)
        assert forge.wait() == 0, (whole / "log.txt").read_text()
        seconds = time.perf_counter() - started
        print(f"left alone: {seconds:.1f} s, {digest(whole)[:16]}", flush=True)
        for index in range(options.kills):
            run = tiny_run(folder / f"run{index}", checkpoint)
            done = moments.randrange(STEPS)
            told = killed(forge, run, done, moments.uniform(0, seconds / STEPS))
            forge.start(run)
            assert forge.wait() == 0, (run / "log.txt").read_text()
            is_equal = digest(run) == digest(whole)
            wrong += not is_equal
            print(f"killed after step {done} or so: {told}; ended {'equal' if is_equal else 'OTHERWISE'}", flush=True)
            shutil.rmtree(run)
    sys.exit(f"{wrong} of {options.kills} ended otherwise" if wrong else f"all {options.kills} ended equal")


if __name__ == "__main__":
    main()
