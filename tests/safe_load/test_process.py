"""The reading process: its limits, its deaths, and what it may touch."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from pipeline import safe_load
from pipeline.errors import UserError
from pipeline.safe_load import process
from pipeline.safe_load.refusal import FORBIDDEN
from tests.safe_load.making import built, called, converted, inner, name, text, whole

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60


@pytest.fixture
def worker():
    """One of its own, with half a second per file."""
    made = process.Worker(process.Limits(128 * 2**20, 0.5))
    yield made
    made.close()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps({"exp": np.ones((3, 100))}))
    return path


def _slow(path: Path) -> Path:
    """A small dict whose keys all have one hash, which takes minutes to fill."""
    keys = (pickle.encode_long(number * (2**61 - 1)) for number in range(1, 60_000))
    items = b"".join(pickle.LONG1 + bytes([len(key)]) + key + pickle.NONE for key in keys)
    path.write_bytes(whole(pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS))
    return path


def _doubled() -> bytes:
    """A list of two lists of two lists…, forty deep, from a few bytes."""
    content = pickle.EMPTY_LIST + pickle.BINPUT + b"\x00"
    for depth in range(40):
        pair = pickle.BINGET + bytes([depth])
        content += pickle.EMPTY_LIST + pickle.BINPUT + bytes([depth + 1]) + pickle.MARK + pair + pair + pickle.APPENDS
    return whole(content)


def _endless() -> bytes:
    """A list that holds itself."""
    return whole(pickle.EMPTY_LIST + pickle.BINPUT + b"\x00" + pickle.BINGET + b"\x00" + pickle.APPEND)


def _in_itself() -> bytes:
    """A dict that holds itself twice, which would have 2^n paths."""
    itself = pickle.BINGET + b"\x00"
    items = pickle.MARK + text("a") + itself + text("b") + itself + pickle.SETITEMS
    return whole(pickle.EMPTY_DICT + pickle.BINPUT + b"\x00" + items)


def _spread() -> bytes:
    """A tensor of a terabyte over one number."""
    return pickle.dumps(torch.ones(1).expand(500_000, 500_000), 2)


def _sparse() -> bytes:
    state = {"_shape": (10**11, 1), "data": np.ones(1), "indices": np.zeros(1, int), "indptr": np.array([0, 1])}
    return whole(built(name("scipy.sparse._csc", "csc_matrix"), {key: inner(value) for key, value in state.items()}))


def _repeated() -> bytes:
    """One array of a megabyte under a thousand names."""
    array = np.zeros(2**17)
    return pickle.dumps({str(number): array for number in range(1000)}, 4)


def _promised() -> bytes:
    return b"\x80\x04" + pickle.BINBYTES8 + (2**50).to_bytes(8, "little")


BOMBS = {
    "lists of empty lists": lambda: b"\x80\x02(" + pickle.EMPTY_LIST * 5_000_000 + b"l.",
    "a memo of four billion places": lambda: whole(pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\xff"),
    "lists doubled": _doubled,
    "a list in itself": _endless,
    "a dict in itself": _in_itself,
    "a tensor repeated": _spread,
    "a sparse giant": _sparse,
    "an array repeated": _repeated,
    "bytes promised": _promised,
    "a deep nest": lambda: whole(pickle.MARK * 50_000 + b"l" * 50_000),
    "bytes by call": lambda: whole(called(name("builtins", "bytes"), inner(10**11))),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_gives_a_sentence_and_the_next_file_is_read(tmp_path, worker, clip, bomb):
    path, target = tmp_path / "bomb.pkl", tmp_path / "out.npz"
    path.write_bytes(bomb())
    with pytest.raises(UserError, match=r"^(bomb\.pkl|This file) .*\.|.*save it again$"):
        worker.convert(path, target, "pickle")
    target.unlink(missing_ok=True)
    worker.convert(clip, target, "pickle")
    assert target.exists()


def test_memory_is_told_in_megabytes(tmp_path):
    path = tmp_path / "bomb.pkl"
    path.write_bytes(_spread())
    with pytest.raises(UserError, match=r"^bomb\.pkl needs more than 512 MB of memory, so it was not opened\. Re-save"):
        converted(path)


def test_a_compressed_mat_bomb(tmp_path):
    path = tmp_path / "bomb.mat"
    scipy.io.savemat(path, {"exp": np.zeros(2**22)}, do_compression=True)
    small = process.Worker(process.Limits(16 * 2**20, 20.0))
    try:
        with pytest.raises(UserError, match="needs more than 16 MB"):
            small.convert(path, tmp_path / "out.npz", "mat")
    finally:
        small.close()


def test_a_slow_file_is_given_up(tmp_path, worker, clip):
    slow = _slow(tmp_path / "slow.pkl")
    worker.convert(clip, tmp_path / "out.npz", "pickle")
    first = worker.pid
    with pytest.raises(UserError, match=r"^slow\.pkl could not be read within 0\.5 s, so it was given up\. Re-save"):
        worker.convert(slow, tmp_path / "out.npz", "pickle")
    worker.convert(clip, tmp_path / "out.npz", "pickle")
    assert worker.pid != first


def test_killed_in_the_middle_of_a_file(tmp_path, clip):
    slow = _slow(tmp_path / "slow.pkl")
    worker = process.Worker(process.Limits(128 * 2**20, PATIENCE))
    try:
        worker.convert(clip, tmp_path / "out.npz", "pickle")
        pid = worker.pid
        killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
        killer.start()
        with pytest.raises(UserError, match=r"^slow\.pkl broke the process that reads it"):
            worker.convert(slow, tmp_path / "out.npz", "pickle")
        killer.join()
        worker.convert(clip, tmp_path / "out.npz", "pickle")
        assert worker.pid != pid
    finally:
        worker.close()


def test_killed_between_two_files(tmp_path, worker, clip):
    worker.convert(clip, tmp_path / "out.npz", "pickle")
    os.kill(worker.pid, signal.SIGKILL)
    worker.convert(clip, tmp_path / "out.npz", "pickle")


def test_a_process_that_has_grown_is_replaced(tmp_path, clip):
    large = tmp_path / "large.pkl"
    large.write_bytes(pickle.dumps([{"a": number} for number in range(1000)] + [bytes(100 * 2**20)]))
    worker = process.Worker(process.Limits(512 * 2**20, PATIENCE))
    try:
        worker.convert(large, tmp_path / "out.npz", "pickle")
        for _ in range(3):
            worker.convert(clip, tmp_path / "out.npz", "pickle")
            pid = worker.pid
        assert pid is not None
        worker.convert(clip, tmp_path / "out.npz", "pickle")
        assert worker.pid == pid, "small files share one process"
    finally:
        worker.close()


def test_models_are_read_by_a_process_of_their_own(tmp_path, clip):
    converted(clip)
    uploads = process._uploads.pid
    safe_load.convert(clip, tmp_path / "out.npz", safe_load.MODEL_LIMITS)
    assert process._uploads.pid == uploads
    assert (tmp_path / "out.npz").exists()


def test_eight_threads_at_once(tmp_path):
    def read(number: int) -> bool:
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(pickle.dumps(np.full(100, number)) if number % 3 else b"\x80\x04broken.")
        try:
            return bool((converted(path)["array"] == number).all())
        except UserError as error:
            return number % 3 == 0 and f"{number}.pkl is damaged" in str(error)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(64)))


def test_a_forked_copy_of_the_app_has_its_own_process(clip):
    converted(clip)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from pipeline import safe_load; from pipeline.safe_load import process\n"
        f"clip = Path({str(clip)!r})\n"
        "safe_load.convert(clip, clip.with_name('1.npz')); first = process._uploads.pid\n"
        "child = os.fork()\n"
        "safe_load.convert(clip, clip.with_name(f'{child and 2}.npz'))\n"
        "assert (process._uploads.pid == first) == bool(child)\n"
        "if child: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=PATIENCE)


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_the_process_ends_with_the_app(tmp_path, clip, busy, end):
    """However that ends, and at the latest when the file's time is over."""
    slow = _slow(tmp_path / "slow.pkl")
    files = f"clip, slow, out = map(Path, {[str(clip), str(slow), str(tmp_path / 'out.npz')]})\n"
    script = (
        "import threading, time; from pathlib import Path; from pipeline.safe_load import process\n"
        f"{files}"
        "worker = process.Worker(process.Limits(2**27, 1.5))\n"
        "worker.convert(clip, out, 'pickle')\n"
        "print(worker.pid, flush=True)\n"
        "busy = threading.Thread(target=worker.convert, args=(slow, out, 'pickle'), daemon=True)\n"
        f"{'busy.start()' if busy else 'pass'}\n"
        f"time.sleep({0.2 if end is None else PATIENCE})\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=REPOSITORY) as app:
        reader = int(app.stdout.readline())
        assert _alive(reader)
        if end is not None:
            time.sleep(0.2 * busy)
            app.send_signal(end)
        app.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while _alive(reader):
        assert time.monotonic() < deadline, "an orphan"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_app_itself_loads_no_heavy_library():
    script = (
        "import sys; from pipeline import safe_load\n"
        "assert not {'numpy', 'torch', 'scipy', 'pickle'} & sys.modules.keys(), sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=PATIENCE)


def test_the_process_has_neither_torch_nor_the_environment(clip, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "do not pass on")
    own = process.Worker(process.Limits(2**27, 5.0))
    try:
        own.convert(clip, clip.with_name("out.npz"), "pickle")
        maps = Path(f"/proc/{own.pid}/maps").read_text()
        environment = Path(f"/proc/{own.pid}/environ").read_bytes()
        files = [os.readlink(entry) for entry in Path(f"/proc/{own.pid}/fd").iterdir()]
    finally:
        own.close()
    assert "numpy" in maps
    assert "torch" not in maps
    assert b"SECRET_TOKEN" not in environment
    assert len(files) == 3, "its input, its output and the error stream"


FORBIDDEN_ACTS = {
    "a shell": "import os; arm(); os.system('true')",
    "a process": "import subprocess; arm(); subprocess.run(['true'])",
    "a fork": "import os; arm(); os.fork()",
    "the network": "import socket; arm(); socket.socket()",
    "another file": "arm(); open('/etc/hostname')",
    "writing the source": "arm(); open(source, 'a')",
    "opening the source to write by number": "import os; arm(); os.open(source, os.O_RDWR)",
    "another file to write": "arm(); open(target + '2', 'w')",
    "removing": "import os; arm(); os.remove(source)",
    "renaming": "import os; arm(); os.rename(source, target)",
    "listing": "import os; arm(); os.listdir('/')",
    "importing": "arm(); import ctypes",
    "code": "arm(); exec('1')",
    "evaluation": "arm(); eval('1')",
    "compiled code": "import marshal; arm(); marshal.loads(b'N')",
}


@pytest.mark.parametrize("act", FORBIDDEN_ACTS.values(), ids=FORBIDDEN_ACTS)
def test_the_second_line_of_defence(tmp_path, clip, act):
    """Should the allow-list ever have a hole: the process ends before the act."""
    source, target = str(clip), str(tmp_path / "out.npz")
    script = (
        "import sys; from pathlib import Path; from pipeline.safe_load.guard import Guard\n"
        f"guard, source, target = Guard(), {source!r}, {target!r}\n"
        "def arm(): sys.addaudithook(guard); guard.watch(Path(source), Path(target))\n"
        f"{act}\n"
    )
    ended = subprocess.run([sys.executable, "-S", "-c", script], cwd=REPOSITORY, capture_output=True, timeout=PATIENCE)
    assert ended.returncode == FORBIDDEN, ended.stderr
    assert b"a foreign file led to" in ended.stderr
    assert sorted(file.name for file in tmp_path.iterdir()) == ["clip.pkl"]


def test_the_two_files_may_be_opened(tmp_path, clip):
    script = (
        "import sys; from pathlib import Path; from pipeline.safe_load.guard import Guard\n"
        f"guard, source, target = Guard(), Path({str(clip)!r}), Path({str(tmp_path / 'out')!r})\n"
        "sys.addaudithook(guard); guard.watch(source, target)\n"
        "target.write_bytes(source.read_bytes()); guard.rest(); import ctypes\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True, timeout=PATIENCE)
    assert (tmp_path / "out").read_bytes() == clip.read_bytes()


def test_a_process_that_does_not_start_is_our_own_defect(clip, monkeypatch):
    monkeypatch.setattr(process, "BOOT", "raise SystemExit(3)")
    broken = process.Worker(process.UPLOAD_LIMITS)
    with pytest.raises(RuntimeError, match="does not start"):
        broken.convert(clip, clip.with_name("out.npz"), "pickle")


def test_a_full_disk_is_told(clip):
    with pytest.raises(UserError, match=r"has no room for the numbers \(No space left on device\)"):
        process._uploads.convert(clip, Path("/dev/full"), "pickle")
