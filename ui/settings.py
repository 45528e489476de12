"""Tab "Settings": where the licensed head models lie. Only the owner of the Space may say so, after logging in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from pipeline.heads.model_files import MODELS_VARIABLE, find_models
from pipeline.heads.releases import RELEASES
from ui.sentences import plain, sentences

OWNER_VARIABLES = ("ANIMPORTRAIT3D_OWNER", "SPACE_AUTHOR_NAME")
"""Who owns this place: a name given by hand (a Space of an organisation), or what a Space says of itself."""


def has_login() -> bool:
    """Whether people can log in here: a Space with ``hf_oauth: true``. Elsewhere the environment variable serves."""
    return bool(os.environ.get("OAUTH_CLIENT_ID"))


def owner() -> str | None:
    """User name of the owner, None where nobody is known to be."""
    return next((name for variable in OWNER_VARIABLES if (name := os.environ.get(variable))), None)


def set_models_folder(folder: str, user: str | None) -> str:
    """Use the head models in ``folder`` from now on, in this process and until it ends; Markdown on what was found.

    Raises `UserError` unless ``user``, the name that the login vouches for, is the owner's, or without such a folder.
    """
    if user is None or user != owner():
        raise UserError("only the owner of this Space can set the folder of the head models; log in as the owner")
    place = Path(folder.strip())
    if not folder.strip() or not place.is_dir():
        raise UserError(f"there is no folder {folder.strip()!r} on this machine; give one that holds the model files")
    found = find_models(place)
    os.environ[MODELS_VARIABLE] = str(place)
    if not found:
        return f"No head model was found in {plain(str(place))}."
    return "\n".join(
        f"- {plain(RELEASES[model.release].title)} from {plain(model.name)} ({plain(model.licence)})" for model in found
    )


def settings_tab() -> None:
    """The tab, wired; only to be built where `has_login`."""

    def on_models(folder: str, profile: gr.OAuthProfile | None) -> str:
        with sentences():
            return set_models_folder(folder, None if profile is None else profile.username)

    gr.Markdown("For the owner of this Space. Visitors see this tab but cannot change anything here.")
    gr.LoginButton()
    folder = gr.Textbox(label="Folder with FLAME or SMPL-X files", placeholder="/data/models", elem_id="models-folder")
    use = gr.Button("Use this folder", elem_id="models-use")
    found: Any = gr.Markdown(elem_id="models-found")
    use.click(on_models, folder, found, api_visibility="private")
