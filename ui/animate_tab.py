"""Tab "Animate": its parts, and what happens on each click."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import gradio as gr

from pipeline.animate import AnimationSettings
from pipeline.motion.edits import Edits
from pipeline.rendering.layouts import LAYOUTS
from ui.animate import export_video, inspect_files, notes_text, play, save
from ui.motion_editor import DEFAULTS, editor_parts, edits_of, part_choices
from ui.motion_upload import choices_by_hand, clip_label, found_text, slot_updates, source_parts
from ui.motions import LANGUAGE, Shelf, motion_request, spoken_languages
from ui.sentences import sentences
from ui.workshop import Workshop
from viewer.component import WEB

SIZES = (256, 512, 768, 1024)
FRAME_RATES = (24, 25, 30, 50, 60)
BACKGROUNDS = ("grey", "white", "black", "#00b140", "transparent")
QUIET: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
"""Options of events that only show and hide parts of the page."""
SAVE = "() => setTimeout(() => document.querySelector('#{}').click(), 100)"
"""A click on the button that has just received its file; the pause lets the page take the file in."""
SOURCE = "(...values) => {{ document.motionSource = '{}'; return values; }}"
"""Remembers which of the sources the visitor last used."""
PICK = """
(...values) => {
  const speech = values[3] ? [3, 4, 6] : [5, 6];
  const kept = {clip: [1], files: [2, 7], speech}[document.motionSource ?? 'clip'];
  return values.map((value, at) => (at < 1 || at > 7 || kept.includes(at) ? value : null));
}
"""
"""Only that source goes to the server, whatever stands in the other fields; what is said is the transcript of a
recording, or else the text to be spoken. Numbers count the inputs of /play."""
PLAYHEAD = """
(cuts, edits) => {
  const info = document.querySelector('.avatar-viewer-place')?.viewer?.info();
  return [cuts, {...edits, time: info?.time ?? 0, duration: info?.duration ?? 0}];
}
"""
PLOT = """
const root = (window.gradio_config && window.gradio_config.root) || '';
import(root + props.module).then(({follow}) => follow(element));
"""
PROGRESS_BAR = """
(line) => {
  const [, done, all] = /^(\\d+) of (\\d+)/.exec(line) ?? [0, 1, 1];
  document.querySelector('#export-status').style.setProperty('--done', done / all);
}
"""
SAVED_AS = {"npz": "Clip .npz", "flame": "FLAME .npz", "arkit": "ARKit .json"}


def animate_tab() -> dict[str, Any]:
    """The tab's parts, by name."""
    parts = source_parts(spoken_languages())
    parts["notes"] = gr.Markdown(label="notes", elem_id="motion-notes")
    with gr.Column(visible=False, elem_id="motion-tools") as parts["tools"]:
        parts["plot"] = gr.HTML(
            label="plot",
            elem_id="plot",
            js_on_load=PLOT,
            apply_default_css=False,
            module=f"/gradio_api/file={WEB.as_posix()}/plot.js",
        )
        parts |= editor_parts()
        with gr.Row(elem_id="save-motion"):
            gr.HTML("Save motion", elem_id="save-label")
            for kind, label in SAVED_AS.items():
                parts[kind] = gr.Button(label, size="sm", min_width=60, elem_id=f"save-{kind}")
        parts["save_notes"] = gr.Markdown(label="notes on the file", elem_id="save-notes")
    parts["motion_file"] = gr.DownloadButton("Motion", visible="hidden", elem_id="motion-file")
    return parts | _video_parts()


def _video_parts() -> dict[str, Any]:
    with gr.Column(elem_id="video-settings"):
        layout = gr.Radio(
            [(clip_label(name), name) for name in LAYOUTS], value="single", label="Make a video", elem_id="layout"
        )
        with gr.Row():
            size = gr.Dropdown([(f"{size} px", size) for size in SIZES], value=512, label="Size", min_width=80)
            fps = gr.Dropdown([("Auto", 0), *FRAME_RATES], value=0, label="Frames / s", min_width=80)
            background = gr.Dropdown(
                list(BACKGROUNDS), value="grey", label="Background", allow_custom_value=True, min_width=80
            )
        export = gr.Button("Export MP4", variant="primary", elem_id="export")
        cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
    status = gr.Markdown(label="line", elem_id="export-status")
    video = gr.Video(label="video file", show_label=False, interactive=False, visible=False, elem_id="video")
    video_file = gr.DownloadButton("Download", visible=False, elem_id="video-file")
    return {
        "size": size, "fps": fps, "layout": layout, "background": background, "export": export, "cancel": cancel,
        "status": status, "video": video, "video_file": video_file,
    }  # fmt: skip


class AnimateWiring:
    """Connects the tab's parts to the head on the stage."""

    def __init__(self, workshop: Workshop, tab: dict[str, Any], avatar_id: Any, viewer: Any) -> None:
        self.workshop, self.tab, self.viewer = workshop, tab, viewer
        self.shelf = Shelf()
        self.choices = gr.JSON({}, label="choices", visible=False)
        self.found = gr.JSON(None, label="found", visible=False)
        self.request = [
            avatar_id, tab["clip"], tab["files"], tab["speech"], tab["words"], tab["words"], tab["language"],
            self.choices, tab["edits"],
        ]  # fmt: skip
        """Inputs of everything that a motion goes into, in the order that `PICK` counts."""
        self.playing: dict[str, Any] = {
            "fn": self.on_play, "inputs": self.request, "outputs": [viewer, tab["notes"], tab["plot"]], "js": PICK,
            "show_progress": "hidden", "concurrency_id": "play", "concurrency_limit": 2,
        }  # fmt: skip
        """What brings the present motion to the head, for an event of another tab."""

    def wire(self) -> None:
        """Add every event."""
        self._wire_sources()
        self._wire_choices()
        self._wire_edits()
        self._wire_save()
        self._wire_export()

    # ---- what the calls do

    def on_play(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
    ) -> tuple[Any, str, str]:
        """Bring a motion to a head, to be played in the viewer. Without clip, files, speech and text the head rests.

        Args:
            avatar_id: the secret id that /create returned.
            clip: name of one of our clips.
            files: files of your own that make up one clip, e.g. an expression and a pose .npy, and a .wav.
            speech: a recording that the head speaks.
            transcript: what is said in it; without it the lips follow roughly.
            text: a sentence that the head speaks.
            language: of the transcript or text, e.g. en or fr.
            choices: sets by hand what /inspect says was assumed, e.g. {"fps": "30", "basis": "flame2020"}.
            edits: e.g. {"trim": [0.5, 3], "speed": 1.2, "smooth": 0.2, "scale": {"jaw": 0.8}, "mix": {"happy": 0.4},
                "blinks": 15, "fade": 0.4, "repeat": 2, "split": [1.5], "part": 2}.

        Returns:
            The viewer's value with avatar.glb, clip and audio, what could not be carried over as Markdown, and a plot
            of the channels as HTML.
        """
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            played = play(self.workshop, self.shelf, avatar_id, request)
            return played.shown, played.notes, played.plot

    def on_inspect(self, files: list[str] | None = None, choices: dict[str, Any] | None = None) -> dict[str, Any]:
        """Say what motion files hold, before they move anything.

        Args:
            files: the files of one clip.
            choices: sets by hand what was assumed, by its key.

        Returns:
            JSON with format, frames, fps, seconds, basis, lines for people, notes, and choices: what may be set by
            hand, each with key, value, options (empty: a number) and the sentence that says why it was assumed.
        """
        with sentences():
            return inspect_files(self.shelf, motion_request(files=files, choices=choices))

    def on_save(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
        format: str = "npz",
    ) -> tuple[str, str]:
        """Write the edited motion for other programs.

        Args:
            avatar_id: the secret id that /create returned.
            clip: as in /play, like everything up to the edits.
            files: see /play.
            speech: see /play.
            transcript: see /play.
            text: see /play.
            language: see /play.
            choices: see /play.
            edits: see /play.
            format: npz, our own clip; flame, GaussianAvatars' flame_param.npz; or arkit, weights as JSON.

        Returns:
            The file, or a zip of the parts of a split clip, and what the format cannot say as Markdown.
        """
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            path, notes = save(self.workshop, self.shelf, avatar_id, request, format)
            return str(path), notes_text(notes)

    def on_export(
        self,
        avatar_id: str,
        clip: str | None = None,
        files: list[str] | None = None,
        speech: str | None = None,
        transcript: str = "",
        text: str = "",
        language: str = LANGUAGE,
        choices: dict[str, Any] | None = None,
        edits: dict[str, Any] | None = None,
        size: int = 512,
        fps: float = 0,
        layout: str = "single",
        background: str = "grey",
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> Iterator[tuple[Any, ...]]:
        """Make a video of a head that moves.

        Args:
            avatar_id: the secret id that /create returned.
            clip: as in /play, like everything up to the edits.
            files: see /play.
            speech: see /play.
            transcript: see /play.
            text: see /play.
            language: see /play.
            choices: see /play.
            edits: see /play.
            size: pixels of one square view.
            fps: frames per second; 0 for the clip's own.
            layout: single, turntable or four.
            background: a colour name or #rrggbb, or transparent for a zip of PNG frames.

        Returns:
            The video (none where the background is transparent), the file to download, and a line on the progress.
        """
        settings = AnimationSettings(size or 512, size or 512, fps or None, layout or "single", background or "grey")
        with sentences():
            request = motion_request(clip, files, speech, transcript, text, language, choices, edits)
            with closing(export_video(self.workshop, self.shelf, avatar_id, request, settings)) as steps:
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

    # ---- when they are done

    def _play_after(self, event: Any, when: str = "then", **options: Any) -> Any:
        """Play once ``event`` is over, then show what belongs to a motion."""
        options = {"api_visibility": "private", **options}
        played = getattr(event, when)(**{**self.playing, **options})
        tools = [self.tab["tools"], self.tab["save_notes"]]
        played.success(lambda plot: (gr.Column(visible=bool(plot)), ""), self.tab["plot"], tools, **QUIET)
        return played

    def _wire_sources(self) -> None:
        tab = self.tab
        fresh = [self.tab["cuts"], tab["part"], tab["controls"][0], tab["controls"][1], tab["edits"]]
        """A new motion starts uncut; how strong, how fast and how happy stay as they were chosen."""

        def uncut(*values: Any) -> tuple[Any, ...]:
            edits = edits_of([], *_untrimmed(values))
            return [], gr.Dropdown(value=0, visible=False), 0, None, json.loads(edits.to_json())

        def on(trigger: Any, source: str) -> Any:
            return trigger(uncut, tab["controls"], fresh, js=SOURCE.format(source), **QUIET)

        chosen = on(tab["clip"].input, "clip")
        self._play_after(chosen, api_name="play", api_visibility="public", show_progress_on=self.viewer)
        chosen.then(lambda: (None, None), None, [tab["files"], self.found], **QUIET)
        for trigger in (tab["talk"].click, tab["words"].submit):
            spoken = on(trigger, "speech")
            spoken.then(lambda: (None, None, None), None, [tab["clip"], tab["files"], self.found], **QUIET)
            self._play_after(spoken, show_progress="minimal", show_progress_on=tab["talk"])
        uploaded = on(tab["files"].upload, "files")
        uploaded.then(lambda: None, None, tab["clip"], **QUIET)
        seen = uploaded.then(
            self.on_inspect, [tab["files"], self.choices], self.found, api_name="inspect", show_progress="hidden",
            js="(files, choices) => [files, {}]", concurrency_id="play",
        )  # fmt: skip
        seen.success(lambda: {}, None, self.choices, **QUIET)
        self._play_after(seen, "success", js=PICK.replace("values.map", "values.with(7, {}).map"))
        gone = gr.on(
            [tab["files"].clear, tab["files"].delete], lambda: (None, {}), None, [self.found, self.choices], **QUIET
        )
        self._play_after(gone)

    def _wire_choices(self) -> None:
        tab, slots = self.tab, self.tab["slots"]
        self.found.change(
            lambda found: [found_text(found), *slot_updates(found)], self.found, [tab["found"], *slots], **QUIET
        )

        def chosen(found: Any, before: Any, *values: str) -> dict[str, str]:
            return choices_by_hand(found, before, values)

        changed = gr.on(
            [slot.input for slot in slots], chosen, [self.found, self.choices, *slots], self.choices, **QUIET
        )
        seen = changed.then(
            self.on_inspect, [tab["files"], self.choices], self.found, api_visibility="private",
            show_progress="hidden", concurrency_id="play",
        )  # fmt: skip
        self._play_after(seen, "success")

    def _wire_edits(self) -> None:
        tab = self.tab
        cuts, edits, controls, part = tab["cuts"], tab["edits"], tab["controls"], tab["part"]

        def edited(cuts: list[float], *values: Any) -> Any:
            return json.loads(edits_of(cuts, *values).to_json())

        def cut(cuts: list[float], here: dict[str, Any]) -> tuple[Any, ...]:
            time, duration = here.pop("time"), here.pop("duration")
            moment = Edits.from_json(here).moment(time, duration) if duration else 0.0
            cuts = sorted({*cuts, round(moment, 3)} - {0.0})
            return cuts, gr.Dropdown(choices=part_choices(cuts), value=0, visible=bool(cuts)), 0, None

        def whole() -> tuple[Any, ...]:
            return [], *DEFAULTS, gr.Dropdown(value=0, visible=False)

        moved = gr.on(
            [control.input for control in controls],
            edited,
            [cuts, *controls],
            edits,
            trigger_mode="always_last",
            **QUIET,
        )
        self._play_after(moved)
        split = tab["cut"].click(cut, [cuts, edits], [cuts, part, *controls[:2]], js=PLAYHEAD, **QUIET)
        self._play_after(split.then(edited, [cuts, *controls], edits, **QUIET))
        reset = tab["reset"].click(whole, None, [cuts, *controls, part], **QUIET)
        self._play_after(reset.then(lambda: {}, None, edits, **QUIET))

    def _wire_save(self) -> None:
        tab = self.tab
        outputs = [tab["motion_file"], tab["save_notes"]]
        kind = gr.Textbox("npz", label="format", visible=False)
        for name in SAVED_AS:
            public: dict[str, Any] = {"api_name": "save"} if name == "npz" else {"api_visibility": "private"}
            pick = PICK.replace("values.map", f"values.with(9, '{name}').map")
            saved = tab[name].click(
                self.on_save, [*self.request, kind], outputs, js=pick, concurrency_id="play",
                show_progress_on=tab["save_notes"], **public,
            )  # fmt: skip
            saved.success(None, js=SAVE.format("motion-file"))

    def _wire_export(self) -> None:
        def busy() -> tuple[Any, Any]:
            return gr.Button(visible=False), gr.Button(visible=True)

        def idle() -> tuple[Any, Any]:
            return gr.Button(visible=True), gr.Button(visible=False)

        def show_video(background: str) -> tuple[Any, Any]:
            return gr.Video(visible=background != "transparent"), gr.DownloadButton(visible=True)

        tab = self.tab
        settings = [tab["size"], tab["fps"], tab["layout"], tab["background"]]
        outputs = [tab["video"], tab["video_file"], tab["status"]]
        buttons = [tab["export"], tab["cancel"]]
        tab["status"].change(None, tab["status"], None, js=PROGRESS_BAR, api_visibility="private")
        tab["export"].click(busy, None, buttons, **QUIET)
        running = tab["export"].click(
            self.on_export, [*self.request, *settings], outputs, api_name="animate", concurrency_id="export",
            show_progress_on=tab["status"], js=PICK,
        )  # fmt: skip
        running.success(show_video, tab["background"], [tab["video"], tab["video_file"]], **QUIET)
        running.then(idle, None, buttons, **QUIET)
        tab["cancel"].click(idle, None, buttons, cancels=[running], **QUIET)


def _untrimmed(values: Sequence[Any]) -> list[Any]:
    """The editor's values with the whole clip chosen."""
    return [*DEFAULTS[:3], *values[3:]]
