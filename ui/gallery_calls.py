"""The calls behind the tab "Gallery", for the page and for programs, which find this documentation on the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from ui.animate import Played, play
from ui.beside import Cancel, beside
from ui.cards import CardsView
from ui.create import Created, present
from ui.download import can_be_animportrait3d, can_be_moving_glb
from ui.gallery import (
    checked_datasets,
    entries,
    entry_of,
    galleries,
    open_entry,
    open_file,
    prompt_of,
    read_recipe,
    source_of,
    stands_still,
)
from ui.gallery_refresh import Refresher
from ui.gallery_tab import view
from ui.making import Report
from ui.motions import MotionRequest, Shelf, motion_request
from ui.people import person_of
from ui.sentences import message, sentences
from ui.workshop import Workshop

FIRST_CLIP = "talk"
"""What a head does that is opened when nothing was chosen under Animate."""
LOOK_EVERY = 0.5
"""Seconds between two reports on a head that is on its way."""
REFRESH_EVERY = 2.0
"""Seconds between two looks at what has come from the Hub."""
STAGED = 8
"""Outputs of a head that comes onto the stage, see `Staged.outputs`."""


@dataclass(frozen=True)
class Staged:
    """A head that has come onto the stage, moving."""

    made: Created
    played: Played
    clip: str | None = None
    """Name of the clip that was chosen for the visitor, None where they had chosen a motion."""
    problem: str = ""
    """Why it does not move."""

    def outputs(self) -> tuple[Any, ...]:
        """Id, viewer's value, about, file, clip, notes, plot, and the row of its buttons."""
        return (
            self.made.id, self.played.shown, self.made.about, self.made.glb, self.clip or gr.skip(), self.played.notes,
            self.played.plot, gr.Row(visible=True),
        )  # fmt: skip


Opening = Callable[[Report, Cancel], Created]


class GalleryCalls:
    """/gallery and /open on the heads of every source."""

    def __init__(self, workshop: Workshop, shelf: Shelf) -> None:
        self.workshop, self.shelf, self.refresher = workshop, shelf, Refresher()

    def on_gallery(self, key: str = "", request: gr.Request | None = None) -> list[dict[str, Any]]:
        """List every head that can be looked at.

        Args:
            key: 32 hexadecimal digits that only you know; lists also what was made with it.

        Returns:
            JSON, for each head: id, prompt, source, licence, seed (null where it was not made here), still (whether it
            must be put on a rig by /rig_card before it can be opened), and missing, a sentence on why it cannot be
            opened here (empty when it can).
        """
        with sentences():
            return [
                {
                    "id": entry.id, "prompt": entry.prompt, "source": source_of(entry.id), "licence": entry.licence,
                    "seed": entry.seed, "still": stands_still(entry), "missing": entry.missing,
                }
                for entry in entries(self.workshop, person_of(key, request))
            ]  # fmt: skip

    def on_open(self, entry_id: str, key: str = "", request: gr.Request | None = None) -> tuple[Any, ...]:
        """Open a head of the gallery.

        Args:
            entry_id: an id that /gallery told, e.g. builtin/copper-hair.
            key: the key of /gallery, for a head of yours.

        Returns:
            As /create: the head's secret id for the other calls, the viewer's value with the avatar.glb, what is known
            of it as Markdown, and the avatar.glb as a file.
        """
        with sentences():
            made = open_entry(self.workshop, entry_id, person_of(key, request))
            return made.id, made.shown, made.about, made.glb

    def on_card(
        self,
        entry_id: str,
        clip: str | None,
        files: list[str] | None,
        speech: str | None,
        transcript: str,
        text: str,
        language: str,
        choices: Any,
        edits: Any,
        key: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """A card was pressed: the head comes, moving as the last one did."""
        with sentences():
            motion = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            person = person_of(key, request)
            yield from self._staged(
                lambda report, cancel: open_entry(self.workshop, entry_id, person, report, cancel), motion, progress
            )

    def on_file(
        self,
        file: str,
        clip: str | None,
        files: list[str] | None,
        speech: str | None,
        transcript: str,
        text: str,
        language: str,
        choices: Any,
        edits: Any,
        key: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        request: gr.Request | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """A file was given: the head is the person's own from now on."""
        with sentences():
            motion = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            person = person_of(key, request)
            yield from self._staged(
                lambda report, cancel: open_file(self.workshop, Path(file), person, report), motion, progress
            )

    def on_use(self, avatar_id: str) -> tuple[str, int, Any]:
        """Prompt and seed of the head on the stage, and the tab where they are used."""
        with sentences():
            recipe = read_recipe(self.workshop.folder(avatar_id) / "avatar")
            return recipe.prompt, recipe.seed, gr.Tabs(selected="create")

    def on_use_card(self, entry_id: str, key: str, request: gr.Request | None = None) -> tuple[str, int, Any]:
        """Prompt and seed of a card that cannot be opened, and the tab where they are used."""
        with sentences():
            return *prompt_of(self.workshop, entry_id, person_of(key, request)), gr.Tabs(selected="create")

    def on_link(self, avatar_id: str, key: str, request: gr.Request | None = None) -> str:
        """What ``?avatar=`` must say to open the head on the stage."""
        with sentences():
            entry_id = entry_of(self.workshop, avatar_id)
            if entry_id and source_of(entry_id) != "mine":
                return entry_id
            return self.workshop.share(avatar_id, person_of(key, request))

    def on_stage(
        self, avatar_id: str, key: str, datasets: list[str], request: gr.Request | None = None
    ) -> tuple[Any, ...]:
        """What can be done with the head that came onto the stage, which card it is, and the cards if one is new."""
        person = person_of(key, request)
        own = self.workshop.may(avatar_id, person)
        with sentences():
            entry_id = entry_of(self.workshop, avatar_id) or (f"mine/{avatar_id}" if own else "")
            cards = self._view(key, datasets, request) if own else gr.skip()
        return (
            gr.Button(visible=bool(entry_id)), gr.Button(visible=own),
            gr.Button(visible=can_be_animportrait3d(self.workshop, avatar_id)),
            gr.DownloadButton(visible=can_be_moving_glb(self.workshop, avatar_id)), entry_id, cards,
        )  # fmt: skip

    def on_delete(self, avatar_id: str, key: str, request: gr.Request | None = None) -> tuple[Any, ...]:
        """Delete the person's own head; the one that greets takes its place."""
        with sentences():
            self.workshop.delete(avatar_id, person_of(key, request))
        gr.Info("The head is deleted")
        made = self.workshop.welcome()
        if made is None:
            return tuple(gr.skip() for _ in range(STAGED))
        greeting = present(made)
        return (
            greeting.id, greeting.shown, greeting.about, greeting.glb, gr.skip(), "", "", gr.skip(),
        )  # fmt: skip

    def on_add(self, name: str, datasets: list[str]) -> tuple[list[str], str]:
        """The visitor's data sets with one more, and an empty field."""
        with sentences():
            if not name.strip():
                raise UserError("which data set? Give its owner and name, e.g. jane/my-heads")
            return checked_datasets([*datasets, name]), ""

    async def on_look(
        self, key: str, datasets: list[str], request: gr.Request | None = None
    ) -> AsyncIterator[CardsView]:
        """The cards as they are now, and again whenever the Hub, asked in the background, has told something."""
        async for shown in self._watch(key, datasets, request, again=False):
            yield shown

    async def on_retry(
        self, key: str, datasets: list[str], request: gr.Request | None = None
    ) -> AsyncIterator[CardsView]:
        """As `on_look`, asking again what has failed."""
        async for shown in self._watch(key, datasets, request, again=True):
            yield shown

    async def _watch(
        self, key: str, datasets: list[str], request: gr.Request | None, again: bool
    ) -> AsyncIterator[CardsView]:
        with sentences():
            sources = galleries(datasets)
            self.refresher.start(sources, again)
            before = None
            while True:
                busy = any(self.refresher.busy(name) for name in sources)
                shown = await asyncio.to_thread(self._view, key, datasets, request)
                if shown != before:
                    yield shown
                if not busy:
                    return
                before = shown
                await asyncio.sleep(REFRESH_EVERY)

    def _view(self, key: str, datasets: list[str], request: gr.Request | None) -> CardsView:
        listed = entries(self.workshop, person_of(key, request), datasets)
        return view(listed, list(galleries(datasets)), self.refresher)

    def _staged(self, opening: Opening, motion: MotionRequest, progress: gr.Progress) -> Iterator[tuple[Any, ...]]:
        """Open and move a head; yields nothing new until it is there. Closing the iterator calls it off."""
        told: list[tuple[float, str]] = []

        def report(share: float, what: str) -> None:
            told.append((share, what))

        with beside("open", lambda cancel: self._stage(opening, motion, report, cancel)) as job:
            while not wait([job], LOOK_EVERY).done:
                if told:
                    share, what = told[-1]
                    progress(share, desc=what)
                yield tuple(gr.skip() for _ in range(STAGED))
        staged = job.result()
        if staged.problem:
            gr.Warning(staged.problem)
        yield staged.outputs()

    def _stage(self, opening: Opening, motion: MotionRequest, report: Report, cancel: Cancel) -> Staged:
        made = opening(report, cancel)
        clip = None
        if motion.is_empty:
            motion, clip = motion_request(FIRST_CLIP), FIRST_CLIP
        try:
            return Staged(made, play(self.workshop, self.shelf, made.id, motion), clip)
        except UserError as error:  # the head is there all the same
            return Staged(made, Played({**made.shown}), clip, message(error))
