"""Damaged and absurd motion files by the thousand: every reader either reads them or says what is wrong.

    python -m tests.motion.fuzz_readers [--cases 20000] [--seed 0] [--only LAYOUT] [--keep FOLDER]

Each case takes one of the valid layouts, spoils one of its files (cut short, extended, swapped, random bytes; and with
knowledge of the format: JSON nodes, table cells and arrays of other types and shapes) and loads the clip in a child
process whose address space may grow by 512 MiB. Anything but a clip or a `MotionError` is told, and so is a case that
takes more than 2 s; the exit code is then 1. The same seed gives the same cases.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import MotionError
from pipeline.motion.formats import load_motion
from pipeline.motion.formats.npz import write_motion
from tests.motion.formats.layouts import LAYOUTS as FLAME_LAYOUTS
from tests.motion.formats.layouts import Track
from tests.motion.formats.layouts_arkit import LAYOUTS as ARKIT_LAYOUTS
from tests.motion.making import a_motion

SECONDS, MEMORY = 2.0, 512 * 2**20
LONGEST_SENTENCE = 2500
SLOW = "it took"
BLOCK = 500
"""Cases of one child."""
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**400, -(2**63), 0.5, "", "x", "1", "nan", "é" * 50, [], {}, [[]], [0], [[0, 1], [2]],
    {"a": 1}, {"jawOpen": "x"}, [None], ["a", "b"], [{}],
)  # fmt: skip
ODD_CELLS = (
    "", " ", "nan", "inf", "-inf", "1e999", "x", "0,5", "1.2.3", "00:00:00:00", "99:99:99:99.9", "\0", '"', '"a', "'",
    "0x10", "1_0", "٣", "=1+1", "é" * 40, "9" * 500,
)  # fmt: skip
ODD_BYTES = (
    b"",
    b"\0",
    b"\xff" * 9,
    b"[" * 3000,
    b"{}",
    b"NaN",
    b"1e999",
    b'"',
    b"\n",
    b",,,,",
    b"\x80\x04.",
    b"PK\x03\x04",
)


class Spoiler:
    """Valid clips on the disk, spoilt one at a time."""

    def __init__(self, folder: Path, only: str | None = None) -> None:
        self._folder = folder
        self._clips: dict[str, list[Path]] = {}
        for name, write in _writers().items():
            if only in (None, name):
                (folder / name).mkdir(parents=True)
                self._clips[name] = write(folder / name)
                self._add_zip(name)

    def clips(self) -> list[list[Path]]:
        """The files of every clip."""
        return list(self._clips.values())

    @contextmanager
    def spoilt(self, dice: random.Random) -> Iterator[tuple[list[Path], str]]:
        """The files of a clip, one of them spoilt until the block ends, and what was done."""
        paths = self._clips[dice.choice(sorted(self._clips))]
        files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.*")))]
        file = dice.choice([file for file in files if file.is_file()])
        how = dice.choice((*ANY_FILE, *KNOWN_FILES.get(file.suffix, ())))
        whole = file.read_bytes()
        spoilt = how(whole, dice)
        more = self._clips[dice.choice(sorted(self._clips))] if dice.random() < 0.1 else []
        try:
            file.write_bytes(spoilt)
            yield [*paths, *more], f"{how.__name__} of {file.relative_to(self._folder)}"
        finally:
            file.write_bytes(whole)

    def _add_zip(self, name: str) -> None:
        (first, *_) = self._clips[name]
        if first.is_dir():
            target = self._folder / f"{name}.zip"
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted(first.rglob("*.*")):
                    if file.is_file():
                        archive.write(file, file.relative_to(first))
            self._clips[f"{name}_zip"] = [target]


def _writers() -> dict[str, Callable[[Path], list[Path]]]:
    """What writes each valid clip into a folder."""
    writers = {name: write for name, (write, _) in ARKIT_LAYOUTS.items()}
    for name, (_, write_track) in FLAME_LAYOUTS.items():
        writers[name] = lambda folder, name=name, write=write_track: [write(folder / name, Track(frames=12))]  # type: ignore[misc]
    writers["clip"] = lambda folder: _clip(folder / "clip.npz")
    return writers


def _clip(path: Path) -> list[Path]:
    write_motion(a_motion(), path)
    return [path]


def cut(content: bytes, dice: random.Random) -> bytes:
    """The beginning alone, or without a piece."""
    start = dice.randrange(len(content) + 1)
    return content[:start] + (content[dice.randrange(start, len(content) + 1) :] if dice.random() < 0.5 else b"")


def extend(content: bytes, dice: random.Random) -> bytes:
    """Something put in or after."""
    place = dice.choice((len(content), dice.randrange(len(content) + 1)))
    extra = dice.choice(
        (*ODD_BYTES, dice.randbytes(dice.randrange(1, 64)), content[: dice.randrange(len(content) + 1)])
    )
    return content[:place] + extra + content[place:]


def swap(content: bytes, dice: random.Random) -> bytes:
    """Two pieces in each other's place."""
    a, b, c, d = sorted(dice.randrange(len(content) + 1) for _ in range(4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def scribble(content: bytes, dice: random.Random) -> bytes:
    """A few random bytes, more often at the beginning, where headers are."""
    data = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        reach = dice.choice((len(data), min(len(data), 256)))
        if reach:
            data[dice.randrange(reach)] = dice.randrange(256)
    return bytes(data)


def junk(content: bytes, dice: random.Random) -> bytes:
    """Nothing but random bytes, perhaps after a true beginning."""
    return content[: dice.choice((0, 0, 6, 64))] + dice.randbytes(dice.randrange(2000))


def odd_nodes(content: bytes, dice: random.Random) -> bytes:
    """JSON with a few values replaced, keys renamed or lists cut."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    for _ in range(dice.choice((1, 1, 2, 5))):
        document = _odd_node(document, dice)
    return json.dumps(document).encode()


def _odd_node(node: Any, dice: random.Random, depth: int = 0) -> Any:
    if dice.random() < 0.12 * depth or not isinstance(node, (list, dict)) or not node:
        return dice.choice(ODD_VALUES)
    if isinstance(node, dict):
        key = dice.choice(list(node))
        if dice.random() < 0.1:
            return {k: v for k, v in node.items() if k != key}
        return node | {key: _odd_node(node[key], dice, depth + 1)}
    place = dice.randrange(len(node))
    if dice.random() < 0.1:
        return node[:place]
    return [*node[:place], _odd_node(node[place], dice, depth + 1), *node[place + 1 :]]


def odd_cells(content: bytes, dice: random.Random) -> bytes:
    """A table with a few cells replaced, or lines dropped or doubled."""
    lines = content.split(b"\n")
    for _ in range(dice.choice((1, 1, 3, 30))):
        place = dice.choice((0, dice.randrange(len(lines))))
        cells = lines[place].split(b",")
        cells[dice.choice((0, dice.randrange(len(cells))))] = dice.choice(ODD_CELLS).encode()
        lines[place] = b",".join(cells)
    if dice.random() < 0.3:
        place = dice.randrange(len(lines))
        lines[place : place + 2] = dice.choice(([], lines[place : place + 1] * 3))
    return b"\n".join(lines)


def odd_arrays(content: bytes, dice: random.Random) -> bytes:
    """A NumPy file whose arrays have other types, shapes or values."""
    from io import BytesIO

    try:
        loaded = np.load(BytesIO(content))
        arrays = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": loaded}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, KeyError):
        return content
    name = dice.choice(sorted(arrays))
    arrays[name] = _odd_array(arrays[name], dice)
    target = BytesIO()
    np.save(target, arrays[""]) if "" in arrays else np.savez(target, **arrays)
    return target.getvalue()


def _odd_array(array: np.ndarray, dice: random.Random) -> np.ndarray:
    kind = dice.randrange(9)
    if kind == 0:
        types = ("<f2", ">f8", "<U8", "<c8", "i1", "u8", "?") if array.dtype.kind in "biufc" else ("<U8", "S8", "O")
        return array.astype(dice.choice(types), casting="unsafe")
    if kind == 1:
        return array.T
    if kind == 2:
        return array.reshape(-1)
    if kind == 3:
        return array[: dice.randrange(3)] if array.ndim else array
    if kind == 4:
        return np.stack([array] * dice.randrange(1, 4))
    if array.dtype.kind != "f" or not array.size:
        return np.array(dice.choice(("x", 5, 1.5, [[1, 2]], [])))
    array = array.copy()
    if kind == 5:
        array[...] = dice.choice((np.nan, np.inf, 0, 1e30))
    else:
        flat = array.reshape(-1)
        for _ in range(dice.choice((1, 3, 20))):
            flat[dice.randrange(flat.size)] = dice.choice((np.nan, -np.inf, 1e38, 50.0, -1.0))
    return array


def odd_objects(content: bytes, dice: random.Random) -> bytes:
    """A pickle of dictionaries with other values."""
    try:
        value = pickle.loads(content)
    except Exception:  # noqa: BLE001 - our own file, possibly spoilt before
        return content
    entry = dice.choice(value) if isinstance(value, list) else value
    if isinstance(entry, dict) and entry:
        key = dice.choice(sorted(entry))
        entry[dice.choice((key, "x", 5))] = dice.choice((_odd_array(np.ones((3, 3)), dice), *ODD_VALUES))
    return pickle.dumps(value, dice.randrange(6))


ANY_FILE = (cut, extend, swap, scribble, junk)
KNOWN_FILES: dict[str, tuple[Callable[[bytes, random.Random], bytes], ...]] = {
    ".json": (odd_nodes,) * 10,
    ".csv": (odd_cells,) * 6,
    ".txt": (odd_cells,) * 6,
    ".npy": (odd_arrays,) * 4,
    ".npz": (odd_arrays,) * 4,
    ".pkl": (odd_objects,) * 4,
}


def outcome(paths: list[Path], seconds: float = SECONDS) -> str:
    """Empty where the clip was read or refused with a sentence within ``seconds``; otherwise what happened instead."""
    started = time.perf_counter()
    try:
        load_motion(paths)
    except MotionError as error:
        if not 10 <= len(str(error)) <= LONGEST_SENTENCE or "\n" in str(error):
            return f"this is no sentence: {str(error)[:200]!r} ({len(str(error))} characters)"
    except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
        return traceback.format_exc(limit=-4)
    took = time.perf_counter() - started
    return f"{SLOW} {took:.1f} s" if took > seconds else ""


def run_block(seed: int, start: int, count: int, only: str | None, keep: Path | None) -> int:
    """Cases ``start`` to ``start + count`` in this process, told on stdout; gives how many went wrong."""
    wrong = 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        spoiler = Spoiler(Path(folder), only)
        _warm_up(spoiler)
        _limit_memory()
        for number in range(start, start + count):
            print(f"@{number}", file=sys.stderr, flush=True)
            with spoiler.spoilt(random.Random(f"{seed}-{number}")) as (paths, what):
                told = outcome(paths)
                told = outcome(paths) if told.startswith(SLOW) else told  # the machine may have been busy
                if told:
                    wrong += 1
                    print(f"case {number}: {what}: {told}", flush=True)
                    _keep(paths, keep, number)
    return wrong


def _warm_up(spoiler: Spoiler) -> None:
    """Load each layout once whole, so that imports and the worker's start do not count."""
    for paths in spoiler.clips():
        load_motion(paths)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(paths: list[Path], keep: Path | None, number: int) -> None:
    for path in paths if keep else ():
        target = keep / str(number) / path.name  # type: ignore[operator]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, target, dirs_exist_ok=True) if path.is_dir() else shutil.copy(path, target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="name of one layout")
    parser.add_argument("--keep", type=Path, help="folder for the files that went wrong")
    parser.add_argument("--block", type=int, nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.block:
        return min(1, run_block(chosen.seed, *chosen.block, chosen.only, chosen.keep))
    wrong, started = 0, time.perf_counter()
    for start in range(0, chosen.cases, BLOCK):
        arguments = [sys.executable, "-m", "tests.motion.fuzz_readers", "--seed", str(chosen.seed)]
        arguments += ["--block", str(start), str(min(BLOCK, chosen.cases - start))]
        arguments += ["--only", chosen.only] * bool(chosen.only) + ["--keep", str(chosen.keep)] * bool(chosen.keep)
        child = subprocess.run(arguments, capture_output=True, text=True)
        print(child.stdout, end="", flush=True)
        wrong += sum(line.startswith("case ") for line in child.stdout.splitlines())
        if child.returncode not in (0, 1):
            wrong += 1
            print(f"the process ended with {child.returncode}: {child.stderr[-1500:]}", flush=True)
    told = f"{chosen.cases} cases in {time.perf_counter() - started:.0f} s: {wrong} went wrong"
    print(told)
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
