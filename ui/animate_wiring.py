"""Tab "Animate": what happens on each click."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from pipeline.motion.edits import Edits
from ui.animate_calls import AnimateCalls
from ui.animate_tab import SAVED_AS
from ui.motion_editor import DEFAULTS, edits_of, part_choices
from ui.motion_upload import choices_by_hand, found_text, slot_updates
from ui.sentences import sentences
from ui.workshop import Workshop

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
PROGRESS_BAR = """
(line) => {
  const [, done, all] = /^(\\d+) of (\\d+)/.exec(line) ?? [0, 1, 1];
  document.querySelector('#export-status').style.setProperty('--done', done / all);
}
"""


class AnimateWiring:
    """Connects the tab's parts to the head on the stage."""

    def __init__(self, workshop: Workshop, tab: dict[str, Any], avatar_id: Any, viewer: Any) -> None:
        self.calls, self.tab, self.viewer = AnimateCalls(workshop), tab, viewer
        self.choices = gr.JSON({}, label="choices", visible=False)
        self.found = gr.JSON(None, label="found", visible=False)
        self.request = [
            avatar_id, tab["clip"], tab["files"], tab["speech"], tab["words"], tab["words"], tab["language"],
            self.choices, tab["edits"],
        ]  # fmt: skip
        """Inputs of everything that a motion goes into, in the order that `PICK` counts."""
        self.playing: dict[str, Any] = {
            "fn": self.calls.on_play, "inputs": self.request, "outputs": [viewer, tab["notes"], tab["plot"]],
            "js": PICK, "show_progress": "hidden", "concurrency_id": "play", "concurrency_limit": 2,
        }  # fmt: skip
        """What brings the present motion to the head, for an event of another tab."""
        self.plays: list[Any] = []
        """Events that bring a motion to the head."""

    def wire(self) -> None:
        """Add every event."""
        self._wire_sources()
        self._wire_choices()
        self._wire_edits()
        self._wire_save()
        self._wire_export()
        self._let_the_last_win()

    def _play_after(self, event: Any, when: str = "then", **options: Any) -> Any:
        """Play once ``event`` is over, then show what belongs to a motion."""
        options = {"api_visibility": "private", **options}
        played = getattr(event, when)(**{**self.playing, **options})
        tools = [self.tab["tools"], self.tab["save_notes"]]
        played.success(lambda plot: (gr.Column(visible=bool(plot)), ""), self.tab["plot"], tools, **QUIET)
        self.plays.append(played)
        return played

    def _let_the_last_win(self) -> None:
        """Two motions are made at once, so that an earlier one could come late and stand instead of the last."""
        tab, files = self.tab, self.tab["files"]
        triggers = [
            tab["clip"].input, tab["talk"].click, tab["words"].submit, files.upload, files.clear, files.delete,
            tab["cut"].click, tab["reset"].click, *(part.input for part in (*tab["slots"], *tab["controls"])),
        ]  # fmt: skip
        gr.on(triggers, None, cancels=self.plays, **QUIET)

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
            checked = trigger(
                _check_said,
                [tab["words"], tab["speech"]],
                None,
                api_visibility="private",
                show_progress="hidden",
                concurrency_limit=None,
            )  # fmt: skip  (only an event of the queue tells its errors)
            spoken = on(checked.success, "speech")
            spoken.then(lambda: (None, None, None), None, [tab["clip"], tab["files"], self.found], **QUIET)
            self._play_after(spoken, show_progress="minimal", show_progress_on=tab["talk"])
        uploaded = on(tab["files"].upload, "files")
        uploaded.then(lambda: None, None, tab["clip"], **QUIET)
        seen = uploaded.then(
            self.calls.on_inspect, [tab["files"], self.choices], self.found, api_name="inspect", show_progress="hidden",
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
            self.calls.on_inspect, [tab["files"], self.choices], self.found, api_visibility="private",
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
                self.calls.on_save, [*self.request, kind], outputs, js=pick, concurrency_id="play",
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
            self.calls.on_export, [*self.request, *settings], outputs, api_name="animate", concurrency_id="export",
            show_progress_on=tab["status"], js=PICK,
        )  # fmt: skip
        running.success(show_video, tab["background"], [tab["video"], tab["video_file"]], **QUIET)
        running.then(idle, None, buttons, **QUIET)
        tab["cancel"].click(idle, None, buttons, cancels=[running], **QUIET)


def _check_said(words: str, speech: str | None) -> None:
    """Tell a visitor who has given nothing to say."""
    with sentences():
        if not words.strip() and speech is None:
            raise UserError("nothing is said yet: type a sentence, or give a recording")


def _untrimmed(values: Sequence[Any]) -> list[Any]:
    """The editor's values with the whole clip chosen."""
    return [*DEFAULTS[:3], *values[3:]]
