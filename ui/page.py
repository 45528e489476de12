"""The whole page: the viewer, the tabs, and what happens on each click."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.animate_tab import animate_tab
from ui.animate_wiring import QUIET, AnimateWiring
from ui.create import create, create_tab, roll_seed
from ui.download import wire_download
from ui.gallery_tab import gallery_tab
from ui.gallery_wiring import GalleryWiring
from ui.greeting import wire_greeting
from ui.library_calls import LibraryCalls
from ui.making import Report
from ui.people import person_of
from ui.place import place_panel
from ui.portrait_cards import wire_portrait_cards
from ui.publish import publish_part, wire_publish
from ui.result import result_bar
from ui.runs import Runs
from ui.runs_tab import runs_tab
from ui.runs_wiring import RunsWiring
from ui.sentences import sentences
from ui.settings import has_login, settings_tab
from ui.theme import STYLE, theme
from ui.workshop import Workshop
from viewer.component import AvatarViewer

LONGEST_QUEUE = 64
"""Waiting requests; one more is told so at once."""
LARGEST_UPLOAD = "192mb"
CLEAN_UP = (600, 7200)
"""Seconds between two looks at Gradio's own file cache, and how long a file stays there."""
MOST_SESSIONS = 100
"""Pages of which Gradio remembers a copy of every part, a quarter of a megabyte each, some for good. Nothing reads it
after an event of that page has ended: what a visitor has done lies in the browser and in the workshop."""
HEADER = """
<header id="promise">
  <h1>AnimPortrait3D</h1><p>Type a sentence, get a talking 3D head that is yours to keep.</p>
</header>
"""


def build_page(workshop: Workshop, runs: Runs) -> gr.Blocks:
    """The Blocks, wired and queued; `launch_options` go with it. ``runs`` are those of the workshop."""
    with gr.Blocks(title="AnimPortrait3D", analytics_enabled=False, fill_width=True, delete_cache=CLEAN_UP) as page:
        gr.HTML(HEADER, padding=False)
        avatar_id = gr.Textbox(label="avatar_id", visible=False)
        key = gr.Textbox("", label="key", visible=False)
        with gr.Row(elem_id="studio"):
            with gr.Column(scale=2, min_width=320, elem_id="controls"), gr.Tabs() as tabs:
                with gr.Tab("Gallery", id="gallery") as gallery_place:
                    looking = gallery_tab()
                with gr.Tab("Create", id="create") as create_place:
                    making = create_tab()
                with gr.Tab("Animate", id="animate") as animate_place:
                    moving = animate_tab()
                with gr.Tab("Refine", id="runs") as runs_place:
                    refining = runs_tab()
                if has_login():
                    with gr.Tab("Settings"):
                        settings_tab()
            with gr.Column(scale=5, min_width=320, elem_id="stage"):
                viewer = AvatarViewer(label="viewer", elem_id="viewer", padding=False)
                result = result_bar()
                publishing = publish_part()
        place_panel()
        greeting = wire_greeting(workshop, page, result, avatar_id, viewer, key)
        animating = AnimateWiring(workshop, moving, avatar_id, viewer)
        animating.wire()
        creating = _wire_create(workshop, {**making, **result, "key": key}, avatar_id, viewer, animating)
        stage = {**making, **result, "avatar_id": avatar_id, "viewer": viewer, "key": key, "tabs": tabs}
        gallery = GalleryWiring(workshop, looking, stage, moving, animating)
        opening = gallery.wire(page, [greeting, *creating, *animating.plays])
        refined = RunsWiring(runs, refining, {**stage, "entry_id": gallery.entry_id})
        finished = refined.wire(page, runs_place, [gallery_place, create_place, animate_place])
        opening.append(gallery.open_after(finished))
        opening.append(wire_portrait_cards(runs, gallery, refined, opening))
        clicks = [making["make"].click, making["prompt"].submit, making["dice"].click]
        gr.on(clicks, None, cancels=[greeting, *opening], **QUIET)  # the last press wins
        gallery.unmark(clicks)
        wire_download(workshop, result, avatar_id)
        wire_publish(workshop, publishing, avatar_id, key)
        LibraryCalls(workshop).wire(avatar_id, key, [avatar_id, viewer, result["about"], result["glb"]])
    return page.queue(max_size=LONGEST_QUEUE, default_concurrency_limit=1)


def launch_options() -> dict[str, Any]:
    """Keywords of `Blocks.launch`: looks, limits, and nothing that leaves this machine."""
    return {
        "theme": theme(),
        "css_paths": [STYLE],
        "max_file_size": LARGEST_UPLOAD,
        "state_session_capacity": MOST_SESSIONS,
        "run_history": False,  # it would keep faces in the visitor's browser
        "footer_links": ["api"],
        "ssr_mode": False,
        "show_error": True,
    }


def _wire_create(
    workshop: Workshop, tab: dict[str, Any], avatar_id: Any, viewer: Any, animating: AnimateWiring
) -> list[Any]:
    def on_create(
        prompt: str,
        seed: float = 0,
        attributes: dict[str, Any] | None = None,
        head: str = "anny",
        key: str = "",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        request: gr.Request | None = None,
    ) -> tuple[Any, ...]:
        """Make a 3D head from a sentence.

        Args:
            prompt: describes a person, e.g. "a young black woman with an afro and gold earrings".
            seed: draws what the sentence leaves open; the same sentence and seed give the same head.
            attributes: overrides what the sentence says, e.g. {"hair.style": "bob", "age": 40}.
            head: anny, or a licensed model such as flame2023 whose file lies on this machine.
            key: 32 hexadecimal digits that only you know; what is made with it is kept, and listed for it alone.
                Without one, the head's secret id is the right to use, share and delete it, and it goes when it has
                been left alone for two hours.

        Returns:
            The head's secret id for the other calls, the viewer's value with the avatar.glb, what was understood as
            Markdown, and the avatar.glb as a file.
        """
        with sentences():
            person = person_of(key, request)
            report: Report = lambda share, what: progress(share, desc=what)  # noqa: E731
            made = create(workshop, prompt, seed, attributes, report, head, person)
            return made.id, made.shown, made.about, made.glb

    attributes = gr.JSON(label="attributes", visible=False)
    inputs = [tab["prompt"], tab["seed"], attributes, tab["head"], tab["key"]]
    outputs = [avatar_id, viewer, tab["about"], tab["glb"]]
    clicks = [tab["make"].click, tab["prompt"].submit]
    rolled = tab["dice"].click(roll_seed, None, tab["seed"], api_visibility="private", queue=False)
    shared: dict[str, Any] = {"concurrency_id": "create", "show_progress_on": viewer}
    creating = [
        gr.on(clicks, on_create, inputs, outputs, api_name="create", **shared),
        rolled.then(on_create, inputs, outputs, api_visibility="private", **shared),
    ]
    for made in creating:
        made.success(lambda: gr.Row(visible=True), None, tab["keep"], **QUIET)
        made.success(**animating.playing, api_visibility="private")
    return creating
