"""The Download menu below the viewer: one head in every form that other programs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from pipeline.export import hangs_on_their_mesh
from ui.animate_wiring import SAVE
from ui.cards import WEB
from ui.create import export, pack
from ui.sentences import sentences
from ui.workshop import Workshop

MENU = """
const root = (window.gradio_config && window.gradio_config.root) || '';
import(root + props.module).then(({menu}) => menu('#download', '#download-menu'));
"""
POSE_OF_VIEWER = """
(id, pose, format) => [
  id, JSON.stringify(document.querySelector('.avatar-viewer-place')?.viewer?.pose() ?? ''), '{kind}'
]
"""


@dataclass(frozen=True)
class PoseFormat:
    """One pose as a file: a line of the menu."""

    kind: str
    """Key of `pipeline.export.WRITERS`, and id of the line."""
    label: str


POSE_FORMATS = (
    PoseFormat("ply", "This pose .ply, 3D Gaussian splatting"),
    PoseFormat("spz", "This pose .spz, compact"),
    PoseFormat("glb", "This pose .glb, KHR_gaussian_splatting"),
)


def download_menu() -> dict[str, Any]:
    """The button and the lines of its menu, by name."""
    with gr.Column(elem_id="download-place", scale=0, min_width=0):
        gr.Button("Download", size="sm", variant="primary", min_width=0, elem_id="download")
        with gr.Column(elem_id="download-menu"):
            parts: dict[str, Any] = {"glb": gr.DownloadButton("Moving head .glb", size="sm", elem_id="glb")}
            for one in POSE_FORMATS:
                parts[one.kind + "_pose"] = gr.Button(one.label, size="sm", elem_id=_button(one.kind))
            parts["native"] = gr.Button("AnimPortrait3D's own .zip", size="sm", visible=False, elem_id="animportrait3d")
            parts["packed"] = gr.Button("Everything .zip, to load it here again", size="sm", elem_id="zip")
        gr.HTML(
            js_on_load=MENU, apply_default_css=False, padding=False, module=f"/gradio_api/file={WEB.as_posix()}/menu.js"
        )
    return parts


def download_files() -> dict[str, Any]:
    """Hidden buttons that hold the files, by name; outside of whatever is shown and hidden."""
    return {
        "pose_file": gr.DownloadButton("The pose", visible="hidden", elem_id="pose-file"),
        "zip_file": gr.DownloadButton("Avatar folder", visible="hidden", elem_id="zip-file"),
    }


def _button(kind: str) -> str:
    """Id of the menu's line; ``glb`` is the moving head's."""
    return "khr" if kind == "glb" else kind


def wire_download(workshop: Workshop, parts: dict[str, Any], avatar_id: Any) -> None:
    """Add the calls /folder and /export, and the presses."""

    def on_pack(avatar_id: str) -> str:
        """The whole avatar folder: everything to load the head again, to show it elsewhere and to make it again.

        Args:
            avatar_id: the secret id that /create or /open returned.

        Returns:
            A zip.
        """
        with sentences():
            return pack(workshop, avatar_id)

    def on_export(avatar_id: str, pose: str = "", format: str = "ply") -> str:
        """Write one pose for other programs.

        Args:
            avatar_id: the secret id that /create or /open returned.
            pose: JSON {"expression": {name: value}, "rotations": {joint: [x, y, z]}}; empty for the rest pose.
            format: ply, a plain 3D Gaussian splatting file; spz, the same in a tenth of the bytes; glb, glTF with
                KHR_gaussian_splatting; or animportrait3d, its own files, of a head on its mesh and in no pose.

        Returns:
            The file.
        """
        with sentences():
            return export(workshop, avatar_id, pose, format)

    packed = parts["packed"].click(on_pack, avatar_id, parts["zip_file"], api_name="folder")
    packed.success(None, js=SAVE.format("zip-file"))
    pose, kind = gr.Textbox("", label="pose", visible=False), gr.Textbox("ply", label="format", visible=False)
    buttons = {one.kind: parts[one.kind + "_pose"] for one in POSE_FORMATS} | {"animportrait3d": parts["native"]}
    for name, button in buttons.items():
        public: dict[str, Any] = {"api_name": "export"} if name == "ply" else {"api_visibility": "private"}
        written = button.click(
            on_export, [avatar_id, pose, kind], parts["pose_file"], js=POSE_OF_VIEWER.replace("{kind}", name), **public
        )
        written.success(None, js=SAVE.format("pose-file"))


def can_be_moving_glb(workshop: Workshop, avatar_id: str) -> bool:
    """Whether the moving head may be given away: that of a licensed model holds the model."""
    try:
        return workshop.avatar(avatar_id).rig.model is None
    except UserError:
        return False


def can_be_animportrait3d(workshop: Workshop, avatar_id: str) -> bool:
    """Whether the head can be written in AnimPortrait3D's own files; not where there is no such head any more."""
    try:
        return hangs_on_their_mesh(workshop.avatar(avatar_id))
    except UserError:
        return False
