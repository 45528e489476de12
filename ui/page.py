"""The whole page: the viewer, the two tabs, and what happens on each click."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from pipeline.animate import AnimationSettings
from ui.animate import animate_tab, export_video, play
from ui.create import create, create_tab, export, pack, present, result_bar, roll_seed
from ui.sentences import sentences
from ui.theme import STYLE, theme
from ui.workshop import Workshop
from viewer.component import AvatarViewer

LONGEST_QUEUE = 32
"""Waiting requests; one more is told so at once."""
LARGEST_UPLOAD = "64mb"
CLEAN_UP = (600, 7200)
"""Seconds between two looks at Gradio's own file cache, and how long a file stays there."""
QUIET: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
"""Options of events that only show and hide parts of the page."""
HEADER = """
<header id="promise">
  <h1>AnimPortrait3D</h1><p>Type a sentence, get a talking 3D head that is yours to keep.</p>
</header>
"""
POSE_OF_VIEWER = """
(id, pose, format) => [
  id, JSON.stringify(document.querySelector('.avatar-viewer-place')?.viewer?.pose() ?? ''), format
]
"""
OUR_CLIP = "(id, clip, files) => [id, clip, null]"
"""A click on one of our clips puts the files aside."""
SAVE = "() => setTimeout(() => document.querySelector('#{}').click(), 100)"
"""A click on the button that has just received its file; the pause lets the page take the file in."""
PROGRESS_BAR = """
(line) => {
  const [, done, all] = /^(\\d+) of (\\d+)/.exec(line) ?? [0, 1, 1];
  document.querySelector('#export-status').style.setProperty('--done', done / all);
}
"""


def build_page(workshop: Workshop) -> gr.Blocks:
    """The Blocks, wired and queued; `launch_options` go with it."""
    with gr.Blocks(title="AnimPortrait3D", analytics_enabled=False, fill_width=True, delete_cache=CLEAN_UP) as page:
        gr.HTML(HEADER, padding=False)
        avatar_id = gr.Textbox(label="avatar_id", visible=False)
        with gr.Row(elem_id="studio"):
            with gr.Column(scale=2, min_width=320, elem_id="controls"), gr.Tabs():
                with gr.Tab("Create"):
                    making = create_tab()
                with gr.Tab("Animate"):
                    moving = animate_tab()
            with gr.Column(scale=5, min_width=320, elem_id="stage"):
                viewer = AvatarViewer(label="viewer", elem_id="viewer", padding=False)
                result = result_bar()
        greeting = _wire_greeting(workshop, page, result, avatar_id, viewer)
        playing = _wire_play(workshop, moving, avatar_id, viewer)
        _wire_create(workshop, {**making, **result}, avatar_id, viewer, greeting, playing)
        _wire_keep(workshop, result, avatar_id)
        _wire_export(workshop, moving, avatar_id)
    return page.queue(max_size=LONGEST_QUEUE, default_concurrency_limit=1)


def launch_options() -> dict[str, Any]:
    """Keywords of `Blocks.launch`: looks, limits, and nothing that leaves this machine."""
    return {
        "theme": theme(),
        "css_paths": [STYLE],
        "max_file_size": LARGEST_UPLOAD,
        "run_history": False,  # it would keep faces in the visitor's browser
        "footer_links": ["api"],
        "ssr_mode": False,
        "show_error": True,
    }


def _wire_greeting(workshop: Workshop, page: gr.Blocks, tab: dict[str, Any], avatar_id: Any, viewer: Any) -> Any:
    async def greet() -> tuple[Any, ...]:
        while not workshop.warm:
            await asyncio.sleep(0.1)
        made = workshop.welcome()
        if made is None:
            return tuple(gr.skip() for _ in range(5))
        shown = present(made)
        return shown.id, shown.shown, shown.about, shown.glb, gr.Row(visible=True)

    return page.load(
        greet, None, [avatar_id, viewer, tab["about"], tab["glb"], tab["keep"]], api_visibility="private",
        show_progress="hidden", concurrency_limit=None,
    )  # fmt: skip


def _wire_create(
    workshop: Workshop, tab: dict[str, Any], avatar_id: Any, viewer: Any, greeting: Any, playing: tuple[Any, ...]
) -> None:
    def on_create(
        prompt: str,
        seed: float = 0,
        attributes: dict[str, Any] | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, ...]:
        """Make a 3D head from a sentence.

        Args:
            prompt: describes a person, e.g. "a young black woman with an afro and gold earrings".
            seed: draws what the sentence leaves open; the same sentence and seed give the same head.
            attributes: overrides what the sentence says, e.g. {"hair.style": "bob", "age": 40}.

        Returns:
            The head's secret id for the other calls, the viewer's value with the avatar.glb, what was understood as
            Markdown, and the avatar.glb as a file.
        """
        with sentences():
            made = create(workshop, prompt, seed, attributes, lambda share, what: progress(share, desc=what))
            return made.id, made.shown, made.about, made.glb

    attributes = gr.JSON(label="attributes", visible=False)
    inputs = [tab["prompt"], tab["seed"], attributes]
    outputs = [avatar_id, viewer, tab["about"], tab["glb"]]
    clicks = [tab["make"].click, tab["prompt"].submit]
    gr.on([*clicks, tab["dice"].click], None, cancels=[greeting], **QUIET)  # a new head is not replaced by the example
    rolled = tab["dice"].click(roll_seed, None, tab["seed"], api_visibility="private", queue=False)
    shared: dict[str, Any] = {"concurrency_id": "create", "show_progress_on": viewer}
    for made in (
        gr.on(clicks, on_create, inputs, outputs, api_name="create", **shared),
        rolled.then(on_create, inputs, outputs, api_visibility="private", **shared),
    ):
        made.success(lambda: gr.Row(visible=True), None, tab["keep"], **QUIET)
        made.success(*playing, api_visibility="private", show_progress="hidden", concurrency_id="play")


def _wire_keep(workshop: Workshop, tab: dict[str, Any], avatar_id: Any) -> None:
    def on_pack(avatar_id: str) -> str:
        """The whole avatar folder: everything to load the head again, to show it elsewhere and to make it again.

        Args:
            avatar_id: the secret id that /create returned.

        Returns:
            A zip.
        """
        with sentences():
            return pack(workshop, avatar_id)

    def on_export(avatar_id: str, pose: str = "", format: str = "ply") -> str:
        """Write one pose for other programs.

        Args:
            avatar_id: the secret id that /create returned.
            pose: JSON {"expression": {name: value}, "rotations": {joint: [x, y, z]}}; empty for the rest pose.
            format: ply, a plain 3D Gaussian splatting file, or glb, glTF with KHR_gaussian_splatting.

        Returns:
            The file.
        """
        with sentences():
            return export(workshop, avatar_id, pose, format)

    pose = gr.Textbox("", label="pose", visible=False)
    kind = gr.Textbox("ply", label="format", visible=False)
    packed = tab["packed"].click(on_pack, avatar_id, tab["zip_file"], api_name="folder")
    packed.success(None, js=SAVE.format("zip-file"))
    inputs = [avatar_id, pose, kind]
    written = tab["ply"].click(on_export, inputs, tab["ply_file"], api_name="export", js=POSE_OF_VIEWER)
    written.success(None, js=SAVE.format("ply-file"))


def _wire_play(workshop: Workshop, tab: dict[str, Any], avatar_id: Any, viewer: Any) -> tuple[Any, ...]:
    """Also gives what a new head needs to play the chosen clip: function, inputs and outputs."""

    def on_play(avatar_id: str, clip: str | None = None, files: list[str] | None = None) -> tuple[Any, str]:
        """Bring a clip to a head, to be played in the viewer.

        Args:
            avatar_id: the secret id that /create returned.
            clip: name of one of our clips; ignored where files are given. Without either the head rests.
            files: motion files of your own, e.g. an expression and a pose .npy.

        Returns:
            The viewer's value with avatar.glb and clip, and what could not be carried over as Markdown.
        """
        with sentences():
            return play(workshop, avatar_id, clip, files)

    listening = on_play, [avatar_id, tab["clip"], tab["files"]], [viewer, tab["notes"]]
    lane: dict[str, Any] = {"concurrency_id": "play", "concurrency_limit": 2}
    files = tab["files"]
    tab["clip"].input(*listening, api_name="play", js=OUR_CLIP, **lane)
    tab["clip"].input(lambda: None, None, files, **QUIET)
    gr.on([files.upload, files.clear, files.delete], *listening, api_visibility="private", **lane)
    files.upload(lambda: None, None, tab["clip"], **QUIET)
    return listening


def _wire_export(workshop: Workshop, tab: dict[str, Any], avatar_id: Any) -> None:
    def on_export(
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        size: int = 512,
        fps: float = 0,
        layout: str = "single",
        background: str = "grey",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        """Make a video of a head that moves with a clip.

        Args:
            avatar_id: the secret id that /create returned.
            clip: name of one of our clips; ignored where files are given.
            files: motion files of your own.
            size: pixels of one square view.
            fps: frames per second; 0 for the clip's own.
            layout: single, turntable or four.
            background: a colour name or #rrggbb, or transparent for a zip of PNG frames.

        Returns:
            The video (none where the background is transparent), the file to download, and a line on the progress.
        """
        settings = AnimationSettings(size or 512, size or 512, fps or None, layout or "single", background or "grey")
        with sentences(), closing(export_video(workshop, avatar_id, clip, files, settings)) as steps:
            for path, export in steps:
                if path is None:
                    progress((export.done, export.total or None), desc="Drawing", unit="frames")
                    line = f"{export.done} of {export.total} frames" if export.total else "Reading the clip"
                    yield gr.skip(), gr.skip(), line
                    continue
                result = export.result
                assert result is not None
                line = f"{result.frames} frames in {result.seconds:.1f} s ({result.fps:.0f} frames per second)"
                yield str(path) if path.suffix == ".mp4" else None, str(path), line

    def busy() -> tuple[Any, Any]:
        return gr.Button(visible=False), gr.Button(visible=True)

    def idle() -> tuple[Any, Any]:
        return gr.Button(visible=True), gr.Button(visible=False)

    def show_video(background: str) -> tuple[Any, Any]:
        return gr.Video(visible=background != "transparent"), gr.DownloadButton(visible=True)

    inputs = [avatar_id, tab["clip"], tab["files"]]
    settings = [tab["size"], tab["fps"], tab["layout"], tab["background"]]
    outputs = [tab["video"], tab["video_file"], tab["status"]]
    buttons = [tab["export"], tab["cancel"]]
    tab["status"].change(None, tab["status"], None, js=PROGRESS_BAR, api_visibility="private")
    tab["export"].click(busy, None, buttons, **QUIET)
    running = tab["export"].click(
        on_export, [*inputs, *settings], outputs, api_name="animate", concurrency_id="export",
        show_progress_on=tab["status"],
    )  # fmt: skip
    running.success(show_video, tab["background"], [tab["video"], tab["video_file"]], **QUIET)
    running.then(idle, None, buttons, **QUIET)
    tab["cancel"].click(idle, None, buttons, cancels=[running], **QUIET)
