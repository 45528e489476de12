"""The calls behind the tab "Refine", for the page and for programs, which find this documentation on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from pipeline.errors import UserError
from pipeline.jobs.config import RunConfig
from pipeline.jobs.making import check_request
from pipeline.jobs.own_machine import command_for_own_machine
from pipeline.jobs.worker import is_running
from pipeline.pretrained import fetch_models
from ui.gallery import read_recipe
from ui.gpu_runs import SLICE_SECONDS, STOP, slices
from ui.people import person_of
from ui.run_cards import RunsView
from ui.run_cost import computing
from ui.run_jobs import flavor_choices
from ui.run_models import are_here
from ui.run_portraits import picked, start_portrait_run
from ui.run_request import cost_words, is_slow, run_config
from ui.run_words import card_of
from ui.runs import Run, Runs
from ui.runs_tab import NO_RUNS
from ui.sentences import message, plain, sentences

WHOEVER = "a sentence"
"""In the command, before there is a prompt."""
ALIVE = ("waiting", "running")
REQUEST = 6
"""Outputs of a head that is asked for, see `RunsCalls._request`."""
CONTINUE = f"Continue, up to {SLICE_SECONDS} s of GPU each time"


class RunsCalls:
    """What the tab does on one workshop's runs."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs

    def on_refine(self, avatar_id: str) -> tuple[Any, ...]:
        """The head on the stage as a request, and the tab."""
        with sentences():
            return (*self._request(avatar_id), gr.Tabs(selected="runs"))

    def on_enter(self, prompt: str, avatar_id: str) -> tuple[Any, ...]:
        """The tab is opened: as long as nothing is asked for there, it is about the head on the stage."""
        if (prompt or "").strip() or not avatar_id:
            return tuple(gr.skip() for _ in range(REQUEST))
        try:
            return self._request(avatar_id)
        except UserError:  # deleted meanwhile
            return tuple(gr.skip() for _ in range(REQUEST))

    def on_form(
        self, prompt: str, seed: float, attributes: Any, head: str, recipe: str, length: str
    ) -> tuple[str, Any, str, Any]:
        """What it would take here, how much the button asks to be pressed, the command for another machine, and what
        the machines of Hugging Face would cost."""
        with sentences():
            config = run_config(prompt or WHOEVER, seed, attributes, head, recipe, length)
            start = gr.Button(variant="secondary" if is_slow(config, computing()) else "primary")
            flavors = gr.Dropdown(choices=flavor_choices(config.refinement) if config.refinement else [])
            return cost_words(config, computing()), start, command_for_own_machine(config), flavors

    def on_start(
        self,
        prompt: str,
        seed: float = 0,
        attributes: dict[str, Any] | None = None,
        head: str = "anny",
        recipe: str = "animportrait3d",
        length: str = "Draft",
        avatar_id: str = "",
        key: str = "",
        request: gr.Request | None = None,
    ) -> str:
        """Start refining a head with a diffusion model; it takes minutes to days, and goes on by itself.

        Args:
            prompt: as in /create.
            seed: as in /create.
            attributes: as in /create.
            head: as in /create.
            recipe: animportrait3d or headstudio.
            length: Quick look, Draft or As published.
            avatar_id: the secret id of a head that comes from elsewhere, to refine that instead of what the sentence
                gives.
            key: 32 hexadecimal digits that only you know; the run is listed for it alone.

        Returns:
            The run's secret id. Where the GPU is lent for minutes, nothing happens before it is continued on the page.
        """
        with sentences():
            person = person_of(key, request)
            config = run_config(prompt, seed, attributes, head, recipe, length)
            if computing().kind == "lent":
                return self.add(config, avatar_id, person).id
            self.runs.check_turns(person)
            run = self.add(config, avatar_id, person)
            self.runs.line.join(run)
            return run.id

    def on_rig(
        self, files: list[str] | None = None, prompt: str = "", key: str = "", request: gr.Request | None = None
    ) -> str:
        """Put a static portrait on a rig; it takes minutes, and goes on by itself.

        Args:
            files: the .pth of a tri-grid of Portrait3D, and its decoder (decoder_512.ckpt) where this place has none.
            prompt: who it shows; may be empty.
            key: as in /refine.

        Returns:
            The run's secret id.
        """
        with sentences():
            portrait, decoder = picked(files or [])
            return start_portrait_run(self.runs, person_of(key, request), portrait, prompt or "", decoder=decoder).id

    def add(self, config: RunConfig, source: str, person: str) -> Run:
        """Keep a new run for a person; it begins with the head of the id ``source`` where there is one. Raises
        `UserError` for what cannot be made, and where there is no room."""
        check_request(config, start_is_there=bool(source))
        start = self.runs.workshop.folder(source) / "avatar" if source else None
        return self.runs.add(config, person, start)

    def on_runs(self, key: str = "", request: gr.Request | None = None) -> list[dict[str, Any]]:
        """List the refinements of a person.

        Args:
            key: the key that they were started with.

        Returns:
            JSON, for each run, the newest first: id, prompt, recipe, seed, status (waiting, running, stopped, failed or
            finished), phase, done and total steps, seconds_left (null when unknown), and sentence, what to know of it.
        """
        with sentences():
            mine = self.runs.of(person_of(key, request))
            return [
                {
                    "id": run.id, "prompt": card.title, "recipe": run.config.recipe, "seed": run.config.seed,
                    "status": card.status, "phase": run.state.phase, "done": run.state.done, "total": run.state.total,
                    "seconds_left": run.state.seconds_left, "sentence": card.note,
                }
                for run, card in ((run, card_of(self.runs, run)) for run in mine)
            ]  # fmt: skip

    def on_look(self, key: str, current: str = "", request: gr.Request | None = None) -> tuple[Any, Any]:
        """The visitor's runs as they are now, and whether it is worth looking again soon."""
        with sentences():
            return self._shown(person_of(key, request), current)

    def on_arrive(self, run_id: str, key: str, request: gr.Request | None = None) -> tuple[Any, ...]:
        """The page's address names a run: the tab with it, or why not."""
        if not run_id:
            return gr.skip(), gr.skip(), gr.skip()
        person = person_of(key, request)
        try:
            self.runs.find(run_id, person)
        except UserError as error:
            gr.Warning(message(error), duration=30, title="This address")
            return gr.skip(), gr.skip(), gr.skip()
        with sentences():
            return (*self._shown(person, run_id), gr.Tabs(selected="runs"))

    def on_stop(self, run_id: str, key: str = "", request: gr.Request | None = None) -> None:
        """Stop a refinement after its step; what it has is kept, and /resume_run goes on with it.

        Args:
            run_id: the secret id that /refine returned.
            key: the key that it was started with.
        """
        with sentences():
            run = self.runs.find(run_id, person_of(key, request))
            if computing().kind == "lent":  # a signal would end the process of the slice before its step
                (run.place / STOP).touch()
            else:
                self.runs.line.stop(run)

    def on_resume(self, run_id: str, key: str = "", request: gr.Request | None = None) -> None:
        """Go on with a refinement that was stopped or has failed.

        Args:
            run_id: the secret id that /refine returned.
            key: the key that it was started with.
        """
        with sentences():
            person = person_of(key, request)
            run = self.runs.find(run_id, person)
            if run.job is not None:
                raise UserError("this run is in the hands of Hugging Face; go on with it on the page")
            if run.state.resumable and not self.runs.line.has(run) and computing().kind != "lent":
                self.runs.check_turns(person)
                self.runs.line.join(run)

    def on_advance(self, run_id: str, key: str, request: gr.Request | None = None) -> Iterator[tuple[Any, Any]]:
        """Where the GPU is lent for minutes: slice after slice, until the run ends or nothing is lent any more."""
        with sentences():
            person = person_of(key, request)
            run = self.runs.find(run_id, person)
            if computing().kind != "lent" or run.job is not None or run.finished:
                yield self._shown(person)
                return
            yield from self._sliced(run, person)

    def on_delete(self, run_id: str, key: str = "", request: gr.Request | None = None) -> None:
        """Delete a refinement, also one that is under way. A head that was opened from it stays.

        Args:
            run_id: the secret id that /refine returned.
            key: the key that it was started with.
        """
        with sentences():
            self.runs.delete(self.runs.find(run_id, person_of(key, request)))

    def on_open(self, run_id: str, key: str = "", request: gr.Request | None = None) -> str:
        """Take the head that a refinement has made among your own.

        Args:
            run_id: the secret id that /refine returned.
            key: the key that it was started with.

        Returns:
            The entry's id for /open.
        """
        with sentences():
            person = person_of(key, request)
            return f"mine/{self.runs.open(self.runs.find(run_id, person), person).id}"

    def on_config(self, run_id: str, key: str, request: gr.Request | None = None) -> str:
        """Path of the run's settings, where the page serves files from."""
        with sentences():
            return str(self.runs.config_file(self.runs.find(run_id, person_of(key, request))))

    def _request(self, avatar_id: str) -> tuple[Any, ...]:
        """Prompt, seed, attributes, head, its id where the sentence does not make it again, what was set by hand."""
        recipe = read_recipe(self.runs.workshop.folder(avatar_id) / "avatar")
        by_hand = ", ".join(f"{plain(name)} {plain(value)}" for name, value in recipe.overrides.items())
        source = "" if recipe.prior == "procedural" and recipe.refinement is None else avatar_id
        told = f"With {by_hand}" if by_hand else ""
        return recipe.prompt, recipe.seed, recipe.overrides, recipe.head, source, told

    def _sliced(self, run: Run, person: str) -> Iterator[tuple[Any, Any]]:
        if is_running(run.folder.path):
            yield self._shown(person)
            return
        if not are_here(run.config):
            gr.Info("The diffusion model is fetched from the Hub first, which takes minutes but no GPU")
            fetch_models(run.config.model, run.config.controlnet or None, recipe=run.config.recipe or None)
        try:
            for ended in slices(Path(run.folder.path)):
                if ended.problem:
                    raise UserError(ended.problem)
                yield self._shown(person)
        except gr.Error as error:  # the quota is used up, no GPU is free, or the slice was cut off
            gr.Warning(f"{error.message.removesuffix('.')}. What the run has is kept; continue it later.")
            yield self._shown(person)

    def _shown(self, person: str, current: str = "") -> tuple[Any, Any]:
        view = self._view(person, current)
        return view, gr.Timer(active=any(run.status in ALIVE or run.state == "Stopping" for run in view.runs))

    def _view(self, person: str, current: str = "") -> RunsView:
        cards = [card_of(self.runs, run) for run in self.runs.of(person)]
        if computing().kind == "lent":
            cards = [card.model_copy(update={"resume": CONTINUE}) for card in cards]
        return RunsView(runs=cards, current=current, empty=NO_RUNS)
