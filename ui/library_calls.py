"""/share, /visit and /delete: what programs do with the avatars of a person; the page has buttons for the same."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.create import present
from ui.people import person_of
from ui.sentences import sentences
from ui.workshop import Workshop


class LibraryCalls:
    """The calls on one workshop."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    def wire(self, avatar_id: Any, key: Any, outputs: list[Any]) -> None:
        """Give the calls their names; ``outputs`` are those of /create."""
        unseen = gr.Button(visible=False)
        token = gr.Textbox("", label="token", visible=False)
        unseen.click(self.on_share, [avatar_id, key], token, api_name="share")
        unseen.click(self.on_visit, token, outputs, api_name="visit")
        unseen.click(self.on_delete, [avatar_id, key], None, api_name="delete")

    def on_share(self, avatar_id: str, key: str = "", request: gr.Request | None = None) -> str:
        """Share one head by a link.

        Args:
            avatar_id: the secret id that /create returned.
            key: the key that the head was made with, if there was one.

        Returns:
            The token of the link, which is this page's address with ?avatar=TOKEN. It shows the head, and lets it be
            moved and exported, until the head is deleted; it gives no right to share or delete.
        """
        with sentences():
            return self.workshop.share(avatar_id, person_of(key, request))

    def on_visit(self, token: str) -> tuple[Any, ...]:
        """Open a head that somebody shares.

        Args:
            token: what follows ?avatar= in the link.

        Returns:
            As /create. The id is that of a copy, which goes when it has been left alone for two hours, and with the
            original.
        """
        with sentences():
            shown = present(self.workshop.visit(token))
            return shown.id, shown.shown, shown.about, shown.glb

    def on_delete(self, avatar_id: str, key: str = "", request: gr.Request | None = None) -> None:
        """Delete one head at once, with its link and every copy that the link gave.

        Args:
            avatar_id: the secret id that /create returned.
            key: the key that the head was made with, if there was one.
        """
        with sentences():
            self.workshop.delete(avatar_id, person_of(key, request))
