"""Tab "Gallery": what there is to look at, from every source, and opening one of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from pipeline.avatar_folder import save_avatar_folder
from pipeline.errors import UserError
from pipeline.gallery import Entry, builtin
from pipeline.gallery.added import AddedGallery, strangers_hub
from pipeline.gallery.datasets import GALLERIES_VARIABLE
from pipeline.gallery.hub_gallery import HubGallery, galleries_folder, hub_galleries
from pipeline.gallery.portrait3d import Portrait3DSource
from pipeline.hub.client import Hub
from pipeline.importing import import_avatar
from pipeline.recipe import Recipe
from ui.beside import Cancel
from ui.create import Created, present
from ui.gallery_heads import builtin_folder, imported_folder
from ui.making import NOT_SENT, Made, Report
from ui.sentences import capitalised, plain
from ui.workshop import Workshop

HUB_PAGE = "https://huggingface.co/datasets/"
TITLES = {"mine": "Yours", "builtin": "Built-in", "animportrait3d": "AnimPortrait3D", "portrait3d": "Portrait3D"}
"""Source → what people call it; a data set is called by its own name."""
DATASET = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?/[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?", re.ASCII)
"""``owner/name`` as the Hub allows it: letters, digits, ``-``, ``_`` and ``.`` inside."""
MOST_GALLERIES = 64
"""Data sets that visitors added, remembered by this process."""
MOST_DATASETS = 8
"""Data sets that one visitor may add."""
PORTRAIT_SUFFIX = ".pth"
STANDS_STILL = "this head stands still: it must be put on a rig first, which takes a while; "
ON_THE_PAGE = STANDS_STILL + "press its card in the Gallery, or call /rig_card"
AS_A_FILE = STANDS_STILL + "give the file under Refine, at 'A portrait instead of a sentence'"
ENTRY = "entry.txt"
"""In the work folder of an opened head: the id of its entry."""


def source_of(entry_id: str) -> str:
    """The source that a card is counted under: ``builtin``, …, or ``dataset/owner/name``."""
    parts = entry_id.split("/")
    return "/".join(parts[:3]) if parts[0] == "dataset" else parts[0]


def galleries(datasets: Sequence[str]) -> dict[str, HubGallery]:
    """Every Hub source by its name, with the data sets that a visitor added. Nothing is asked of the Hub here."""
    added = {f"dataset/{name}": name for name in checked_datasets(datasets)}
    known = _operators(os.environ.get(GALLERIES_VARIABLE))
    return known | {source: _added(name) for source, name in added.items() if source not in known}


@cache
def _operators(named: str | None) -> dict[str, HubGallery]:
    """The published galleries, and the data sets in the operator's variable."""
    return hub_galleries()


@lru_cache(MOST_GALLERIES)
def _added(name: str) -> HubGallery:
    return AddedGallery(name)


def picture_folders() -> list[Path]:
    """Where the pictures of the Hub's heads lie, which the page serves from there; anybody may see all of it."""
    return [galleries_folder(hub) for hub in (Hub(), strangers_hub())]


def entries(workshop: Workshop, person: str, datasets: Sequence[str] = ()) -> list[Entry]:
    """All that is known now, the person's own first; from disk alone. Raises `UserError` for a wrong data set."""
    hub = [entry for gallery in galleries(datasets).values() for entry in gallery.entries()]
    return [*workshop.mine(person), *builtin.entries(), *hub]


def checked_datasets(names: Iterable[str]) -> list[str]:
    """Names that people gave, without blanks and doubles. Raises `UserError` for one that cannot be a data set's."""
    wanted = list(dict.fromkeys(str(name).strip().removeprefix(HUB_PAGE).strip("/") for name in names))
    for name in wanted:
        if not DATASET.fullmatch(name):
            raise UserError(f"{name[:80]!r} is no data set of the Hub; give its owner and name, e.g. jane/my-heads")
    if len(wanted) > MOST_DATASETS:
        raise UserError(f"{len(wanted)} data sets are too many; {MOST_DATASETS} can be added, remove one first")
    return wanted


def open_entry(
    workshop: Workshop,
    entry_id: str,
    person: str,
    report: Report = lambda share, what: None,
    cancel: Cancel = lambda: False,
) -> Created:
    """Bring a head of the gallery to the stage; a passing copy unless it is the person's own.

    Raises `UserError` for an unknown id, a head that cannot be opened here, and a Hub that cannot give it.
    """
    source = source_of(entry_id)
    if source == "mine":
        made = workshop.open(entry_id.partition("/")[2], person)
    elif source == "builtin":
        made = _passing_copy(workshop, builtin_folder(workshop.maker, entry_id, report, cancel), person)
    else:
        made = _passing_copy(workshop, _fetched(entry_id, report, cancel), person)
    (workshop.folder(made.id) / ENTRY).write_text(entry_id, encoding="utf-8")
    shown = present(made)
    return Created(shown.id, shown.shown, f"{shown.about}\n\n{attribution(entry_id)}", shown.glb)


def stands_still(entry: Entry) -> bool:
    """Whether it is a portrait that must be put on a rig before it can be opened."""
    return entry.source == Portrait3DSource.name


def fetch_portrait(entry_id: str, report: Report, cancel: Cancel) -> tuple[Path, str]:
    """The file of a portrait of the gallery, and whom it shows.

    Raises `UserError` for another head, one that cannot be drawn here, and a Hub that cannot give it.
    """
    entry = _hub_entry(entry_id)
    if not stands_still(entry):
        raise UserError(f"{entry_id[:120]!r} needs no rig; open it")
    if entry.missing:
        raise UserError(entry.missing)
    return _download(entry_id, report, cancel, 1.0), entry.prompt


def entry_of(workshop: Workshop, avatar_id: str) -> str:
    """Id of the entry that an open head came from; empty for one that came otherwise. Raises `UserError`."""
    try:
        return (workshop.folder(avatar_id) / ENTRY).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def open_file(workshop: Workshop, file: Path, person: str, report: Report) -> Created:
    """Read an avatar that somebody brings; it is theirs from now on. Raises `UserError` for a file that is none."""
    if file.suffix.lower() == PORTRAIT_SUFFIX:
        raise UserError(AS_A_FILE)
    report(0.2, "Reading the file")
    imported = import_avatar(file)
    report(0.6, "Packing it for the browser")
    with tempfile.TemporaryDirectory(prefix="animportrait3d-file-") as folder:
        save_avatar_folder(imported.avatar, imported.recipe, Path(folder) / "avatar")
        made = workshop.keep(Path(folder) / "avatar", imported.recipe, person, listed=True, avatar=imported.avatar)
    shown = present(made)
    told = "\n\n".join([shown.about, *(plain(capitalised(note)) for note in imported.notes)])
    return Created(shown.id, shown.shown, told, shown.glb)


def attribution(entry_id: str) -> str:
    """Markdown: where a head comes from and what may be done with it."""
    source = source_of(entry_id)
    if source == "mine":
        return "Yours"
    if source == "builtin":
        return f"Built-in head · {builtin.LICENCE}"
    repository = _gallery(entry_id).source.repository
    return f"From [{plain(repository.id)}]({repository.address}) · {plain(_hub_entry(entry_id).licence)}"


def prompt_of(workshop: Workshop, entry_id: str, person: str) -> tuple[str, int]:
    """Prompt and seed of a card that need not be open; seed 0 where it was not made from one. Raises `UserError`."""
    source = source_of(entry_id)
    if source == "builtin":
        recipe = builtin.recipe(entry_id)
        return recipe.prompt, recipe.seed
    if source == "mine":
        made = workshop.open(entry_id.partition("/")[2], person)
        return made.recipe.prompt, made.recipe.seed
    entry = _hub_entry(entry_id)
    return entry.prompt, entry.seed or 0


def _passing_copy(workshop: Workshop, folder: Path, person: str) -> Made:
    return workshop.keep(folder, read_recipe(folder), person, listed=False)


def read_recipe(folder: Path) -> Recipe:
    """The recipe of an avatar folder."""
    return Recipe.from_json((folder / "recipe.json").read_text(encoding="utf-8"))


def _fetched(entry_id: str, report: Report, cancel: Cancel) -> Path:
    """The avatar folder of a head of the Hub."""
    entry = _hub_entry(entry_id)
    if entry.missing:
        raise UserError(entry.missing)
    if stands_still(entry):
        raise UserError(ON_THE_PAGE)
    if source_of(entry_id) == "animportrait3d" and os.environ.get("SPACE_ID"):
        raise UserError(NOT_SENT)
    fetched = _download(entry_id, report, cancel, 0.7)
    if source_of(entry_id).startswith("dataset/"):
        return fetched  # an avatar folder, checked
    return imported_folder(fetched, entry_id, report, cancel)


def _download(entry_id: str, report: Report, cancel: Cancel, share: float) -> Path:
    """What the Hub has of a head; it is ``share`` of all that there is to report."""

    def count(done: int, total: int) -> None:
        report(0.05 + (share - 0.05) * (done / total if total else 0), f"Downloading {megabytes(done, total)}")

    return _gallery(entry_id).fetch(entry_id, count, cancel)


def megabytes(done: int, total: int) -> str:
    """``"3 of 12 MB"``, or only what has come where the size is unknown."""
    return f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"


def _hub_entry(entry_id: str) -> Entry:
    """The entry of a Hub source. Raises `UserError` for an id that is not known there."""
    for entry in _gallery(entry_id).entries():
        if entry.id == entry_id:
            return entry
    raise UserError(f"the gallery knows no head {entry_id[:120]!r}; open the Gallery and choose one there")


def _gallery(entry_id: str) -> HubGallery:
    source = source_of(entry_id)
    known = galleries([source.removeprefix("dataset/")] if source.startswith("dataset/") else [])
    if source not in known:
        raise UserError(f"the gallery knows no head {entry_id[:120]!r}; open the Gallery and choose one there")
    return known[source]
