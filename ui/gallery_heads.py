"""Heads of the gallery as finished avatar folders, made or read in once and kept in this machine's cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.files import PARTIAL_SUFFIX
from pipeline.gallery import builtin
from pipeline.heads.model_cache import cache_folder
from pipeline.hub.client import never
from pipeline.hub.errors import Cancelled
from pipeline.hub.line import POLL_SECONDS, Cancel
from pipeline.importing import import_avatar
from ui.making import Maker, Report

PACKAGE = Path(__file__).parents[1] / "pipeline"
MOST_IMPORTED = 8
"""Imported heads that stay in the cache, up to 150 MB each; the one that was left alone for longest goes first."""
FIRST = 4
"""Built-in heads that are made before anybody asks: the cards in sight on a small screen."""
IDLE_SECONDS = 0.5
"""Between two looks whether the machine is free."""
_building, _importing = threading.Lock(), threading.Lock()


def builtin_folder(maker: Maker, entry_id: str, report: Report, cancel: Cancel = never) -> Path:
    """The avatar folder of a built-in head, made unless this very version has made it before.

    Raises `UserError` for an unknown id and where the cache cannot be written, `Cancelled` while it waits for others.
    """
    recipe = builtin.recipe(entry_id)
    name = entry_id.partition("/")[2]
    folder = _cache("builtin") / name / _digest({**asdict(recipe), "made by": _version()})
    if is_whole(folder):  # does not wait for others that are being made
        return folder
    with _turn(_building, cancel):  # whoever comes second finds it made
        if not is_whole(folder):
            maker.build(folder, recipe.prompt, recipe.seed, recipe.attributes, report)
            _keep_newest(folder, 1)
    return folder


def build_first(maker: Maker) -> None:
    """Make the heads that a visitor sees first, one by one while nobody waits for a head of their own."""
    for entry in builtin.entries()[:FIRST]:
        while maker.busy:
            time.sleep(IDLE_SECONDS)
        with suppress(UserError):  # whoever opens the head is told
            builtin_folder(maker, entry.id, lambda share, what: None)


def imported_folder(source: Path, entry_id: str, report: Report, cancel: Cancel = never) -> Path:
    """The avatar folder of what `import_avatar` reads from ``source``, kept under the entry's id.

    Raises `UserError` for a file that cannot be used and where the cache cannot be written, `Cancelled` while it waits
    for others.
    """
    stamp = source.stat()
    key = _digest({"id": entry_id, "size": stamp.st_size, "time": stamp.st_mtime_ns, "made by": _version()})
    folder = _cache("imported") / key
    with _turn(_importing, cancel):  # two at once would take twice the memory
        if is_whole(folder):
            os.utime(folder)
            return folder
        report(0.75, "Reading the avatar")
        imported = import_avatar(source)
        save_avatar_folder(imported.avatar, imported.recipe, folder)
        _keep_newest(folder, MOST_IMPORTED)
    return folder


@contextmanager
def _turn(lock: threading.Lock, cancel: Cancel) -> Iterator[None]:
    """Hold ``lock``; raises `Cancelled` where ``cancel`` comes first."""
    while not lock.acquire(timeout=POLL_SECONDS):
        if cancel():
            raise Cancelled("called off")
    try:
        yield
    finally:
        lock.release()


def is_whole(folder: Path) -> bool:
    """Whether an avatar folder of that name was finished: folders appear whole or not at all."""
    return (folder / "recipe.json").is_file()


def _cache(kind: str) -> Path:
    return cache_folder() / "gallery" / kind


def _digest(facts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _version() -> str:
    """Of everything that a head's bytes depend on here: the code and the data of the pipeline."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(file.relative_to(PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _keep_newest(new: Path, most: int) -> None:
    """Delete all but the newest finished folders beside ``new``; what was handed out lives on by its own links."""
    others = [folder for folder in new.parent.iterdir() if folder != new and not folder.name.endswith(PARTIAL_SUFFIX)]
    for folder in sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)[most - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
