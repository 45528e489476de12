"""Tab "Refine": what happens on each click."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.animate_wiring import QUIET, SAVE
from ui.people import READ_KEY
from ui.run_job_calls import RunJobCalls
from ui.runs import Runs
from ui.runs_calls import RunsCalls

CHOICE = "() => document.runChoice"
ADDRESSED = f"() => [new URLSearchParams(location.search).get('run') || '', ({READ_KEY})()[0]]"
"""The page may ask before its field holds the browser's key."""
FORM = ("prompt", "seed", "attributes", "head", "recipe", "length")


class RunsWiring:
    """Connects the tab's parts to the visitor's runs and to the stage."""

    def __init__(self, runs: Runs, tab: dict[str, Any], stage: dict[str, Any]) -> None:
        self.calls, self.tab, self.stage = RunsCalls(runs), tab, stage
        self.anywhere = RunJobCalls(self.calls)
        self.form = [tab[name] for name in FORM]
        self.shown = [tab["runs"], tab["timer"]]
        self.request = [tab[name] for name in ("prompt", "seed", "attributes", "head", "source", "taken")]
        self.told = [tab[name] for name in ("cost", "start", "command", "flavor")]
        self.asked: dict[str, Any] = {
            "api_visibility": "private", "show_progress": "hidden", "concurrency_limit": None,
        }  # fmt: skip

    def wire(self, page: gr.Blocks, here: Any, others: Sequence[Any]) -> Any:
        """Add every event; ``here`` is the tab, ``others`` are the other ones. Gives the event that opens a head."""
        self._wire_form()
        self._wire_portrait()
        self._wire_list(page, here, others)
        self._wire_api()
        return self._wire_actions()

    def _wire_form(self) -> None:
        tab, calls = self.tab, self.calls
        told = self.told
        taken = self.stage["refine"].click(
            calls.on_refine, self.stage["avatar_id"], [*self.request, self.stage["tabs"]], **self.asked
        )
        taken.success(calls.on_form, self.form, told, **QUIET)
        tab["prompt"].input(lambda: ("", ""), None, [tab["source"], tab["taken"]], **QUIET)
        gr.on([tab["recipe"].input, tab["length"].input, tab["prompt"].input], calls.on_form, self.form, told, **QUIET)
        started = tab["start"].click(
            calls.on_start, [*self.form, tab["source"], self.stage["key"]], tab["run_id"], **self.asked
        )
        self._then_advance(self._then_look(started))
        handed = tab["job"].click(
            self.anywhere.on_hand_over, [*self.form, tab["source"], tab["flavor"], self.stage["key"]], tab["run_id"],
            **{**self.asked, "show_progress": "minimal"},
        )  # fmt: skip
        self._then_look(handed)

    def _wire_portrait(self) -> None:
        tab, key = self.tab, self.stage["key"]
        started = tab["rig"].click(
            self.calls.on_rig, [tab["portrait"], tab["who"], key], tab["run_id"],
            **{**self.asked, "show_progress": "minimal"},
        )  # fmt: skip
        started.success(lambda: (None, ""), None, [tab["portrait"], tab["who"]], **QUIET)
        self._then_advance(self._then_look(started))

    def _wire_list(self, page: gr.Blocks, here: Any, others: Sequence[Any]) -> None:
        """The timer ticks only while something is under way and the tab is looked at."""
        calls, tab, key = self.calls, self.tab, self.stage["key"]
        page.load(calls.on_arrive, [tab["run_id"], key], [*self.shown, self.stage["tabs"]], js=ADDRESSED, **self.asked)
        here.select(calls.on_look, key, self.shown, **QUIET)
        entered = here.select(calls.on_enter, [tab["prompt"], self.stage["avatar_id"]], self.request, **QUIET)
        entered.then(calls.on_form, self.form, self.told, **QUIET)
        tab["timer"].tick(calls.on_look, key, self.shown, **QUIET)
        gr.on([other.select for other in others], lambda: gr.Timer(active=False), None, tab["timer"], **QUIET)

    def _wire_actions(self) -> Any:
        calls, anywhere, tab, key = self.calls, self.anywhere, self.tab, self.stage["key"]
        runs, run_id = tab["runs"], tab["run_id"]

        def chosen(action: str, call: Any, output: Any = None, *more: Any) -> Any:
            picked = getattr(runs, action)(None, None, run_id, js=CHOICE, **QUIET)
            return picked.then(call, [run_id, *more, key], output, **self.asked)

        self._then_look(chosen("stop", anywhere.on_end))
        self._then_look(chosen("look", anywhere.on_job))
        self._then_advance(self._then_look(chosen("resume", anywhere.on_resume, None, tab["flavor"])))
        self._then_look(chosen("delete", anywhere.on_remove))
        chosen("config", calls.on_config, tab["config"]).success(None, js=SAVE.format("run-config"))
        return chosen("open", calls.on_open, self.stage["entry_id"])

    def follow(self, event: Any) -> None:
        """Show the run whose id ``event`` put into ``run_id``, and drive it where the GPU is lent for minutes."""
        self._then_advance(self._then_look(event))

    def _then_look(self, event: Any) -> Any:
        """Show the run that this was about."""
        return event.success(self.calls.on_look, [self.stage["key"], self.tab["run_id"]], self.shown, **QUIET)

    def _then_advance(self, event: Any) -> None:
        """Drive the run that this was about where the GPU is lent for minutes."""
        event.success(self.calls.on_advance, [self.tab["run_id"], self.stage["key"]], self.shown, **self.asked)

    def _wire_api(self) -> None:
        calls, tab, key = self.calls, self.tab, self.stage["key"]
        unseen, listed = gr.Button(visible=False), gr.JSON(label="runs", visible=False)
        one = [tab["run_id"], key]
        entry = gr.Textbox("", label="entry", visible=False)
        unseen.click(
            calls.on_start, [*self.form, tab["source"], key], tab["run_id"], api_name="refine", concurrency_limit=None
        )
        unseen.click(
            calls.on_rig, [tab["portrait"], tab["who"], key], tab["run_id"], api_name="rig", concurrency_limit=None
        )
        unseen.click(calls.on_runs, key, listed, api_name="runs", concurrency_limit=None)
        for name in ("stop", "resume", "delete"):
            unseen.click(getattr(calls, f"on_{name}"), one, None, api_name=f"{name}_run", concurrency_limit=None)
        unseen.click(calls.on_open, one, entry, api_name="open_run")
