"""Files and folders appear whole or not at all, also when the writer is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.files import whole_file, whole_folder

ROOT = Path(__file__).parents[1]


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), whole_file(target) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_writer_replaces_the_file(tmp_path):
    target = tmp_path / "new" / "a.bin"
    with whole_file(target) as partial:
        partial.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failing_writer_leaves_the_old_folder(tmp_path):
    target = tmp_path / "avatar"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError), whole_folder(target) as partial:
        (partial / "half").touch()
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_writer_replaces_the_folder(tmp_path):
    target = tmp_path / "avatar"
    target.mkdir()
    (target / "old").touch()
    with whole_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    target = tmp_path / "a.bin"
    code = (
        "import sys, time; from pathlib import Path; from pipeline.files import whole_file\n"
        f"with whole_file(Path({str(target)!r})) as partial:\n"
        "    partial.write_bytes(b'half'); print('writing', flush=True); time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    time.sleep(0.1)
    assert not target.exists()
