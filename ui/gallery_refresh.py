"""Asks the Hub what is new, in the background, and remembers what came of it: the page never waits for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.gallery.hub_gallery import HubGallery
from ui.sentences import OUR_FAULT, capitalised

SECONDS_BETWEEN = 3600.0
"""A source is asked again after so long, or when somebody presses Retry."""
MOST_WAITING = 32
"""Sources that wait for their turn; anybody may name data sets."""
TOO_MANY = "Too many data sets are being asked for at this place; press Retry in a few minutes."


@dataclass
class Asked:
    """How a source is doing."""

    at: float
    """When it was asked, by `time.monotonic`."""
    busy: bool = True
    problem: str = ""
    """Why nothing came, as a sentence; empty when all is well."""


class Refresher:
    """Refreshes Hub sources for everybody who looks at them; one after the other, so that the machine stays free."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}
        self._guard = threading.Lock()
        self._one_by_one = threading.Lock()

    def start(self, galleries: Mapping[str, HubGallery], again: bool = False) -> None:
        """Ask those that were not asked within the hour; with ``again`` also those that failed. Returns at once."""
        now = time.monotonic()
        with self._guard:
            self._asked = {
                name: asked for name, asked in self._asked.items() if asked.busy or now - asked.at < SECONDS_BETWEEN
            }
            due = {
                name: gallery
                for name, gallery in galleries.items()
                if name not in self._asked or (again and self._asked[name].problem and not self._asked[name].busy)
            }
            room = MOST_WAITING - sum(asked.busy for asked in self._asked.values())
            late = list(due)[max(room, 0) :]
            for name in late:
                del due[name]
            self._asked |= {name: Asked(now) for name in due}
            self._asked |= {name: Asked(now, busy=False, problem=TOO_MANY) for name in late}
        if due:
            threading.Thread(target=self._refresh, args=(due,), name="gallery", daemon=True).start()

    def problem(self, name: str) -> str:
        """Why the source had nothing new; empty when all is well."""
        asked = self._asked.get(name)
        return asked.problem if asked else ""

    def busy(self, name: str) -> bool:
        """Whether the source is being asked now, or waits for its turn."""
        asked = self._asked.get(name)
        return asked is not None and asked.busy

    def _refresh(self, due: Mapping[str, HubGallery]) -> None:
        try:
            for name, gallery in due.items():
                with self._one_by_one:
                    self._ask(name, gallery)
        finally:
            for name in due:
                self._end(name, OUR_FAULT)

    def _ask(self, name: str, gallery: HubGallery) -> None:
        try:
            gallery.refresh(lambda: False)
        except UserError as error:
            self._end(name, capitalised(str(error)))
        else:
            self._end(name, "")

    def _end(self, name: str, problem: str) -> None:
        with self._guard:
            asked = self._asked[name]
            if asked.busy:
                asked.busy, asked.problem = False, problem
