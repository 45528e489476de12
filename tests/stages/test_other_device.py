"""What is on a GPU stays there: a refinement on a device that lets nothing be mixed, though it computes on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_refinements_run_on_the_device_of_the_accelerator():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.stages.other_device"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}, cwd=Path(__file__).parents[2],
        timeout=170, capture_output=True, text=True,
    )  # fmt: skip
    assert run.stdout.split() == ["ism", "sdedit", "headstudio"], run.stderr[-3000:]
