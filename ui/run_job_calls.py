"""The calls of the tab "Refine" that need the visitor's login: what concerns the machines of Hugging Face."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.people import person_of
from ui.publish import token_of
from ui.run_jobs import end, hand_over, last_sight, look
from ui.run_request import run_config
from ui.runs_calls import RunsCalls
from ui.sentences import sentences


class RunJobCalls:
    """What the tab does on runs wherever they are; those that are here are left to `RunsCalls`."""

    def __init__(self, here: RunsCalls) -> None:
        self.here, self.runs = here, here.runs

    def on_hand_over(
        self,
        prompt: str,
        seed: float,
        attributes: Any,
        head: str,
        recipe: str,
        length: str,
        source: str,
        flavor: str,
        key: str,
        login: gr.OAuthToken | None,
        request: gr.Request | None = None,
    ) -> str:
        """Start the run as a job on Hugging Face, with the visitor's login; its id."""
        with sentences():
            token = _token(login, request)
            config = run_config(prompt, seed, attributes, head, recipe, length)
            run = self.here.add(config, source, person_of(key, request))
            try:
                hand_over(run.folder.path, config, token, flavor)
            except BaseException:
                self.runs.delete(run)
                raise
            return run.id

    def on_resume(
        self, run_id: str, flavor: str, key: str, login: gr.OAuthToken | None, request: gr.Request | None = None
    ) -> None:
        """Go on with a run; one that a job had goes to a new job, which finds the checkpoints of the first."""
        with sentences():
            run = self.runs.find(run_id, person_of(key, request))
            if run.job is not None:
                token = _token(login, request)
                if look(run.folder.path, token).ended and not self.runs.find(run_id, person_of(key, request)).finished:
                    hand_over(run.folder.path, run.config, token, flavor)
                return
        self.here.on_resume(run_id, key, request)

    def on_job(self, run_id: str, key: str, login: gr.OAuthToken | None, request: gr.Request | None = None) -> None:
        """See how the job of a run is, and fetch its head when it is there."""
        with sentences():
            run = self.runs.find(run_id, person_of(key, request))
            look(run.folder.path, _token(login, request))

    def on_end(self, run_id: str, key: str, login: gr.OAuthToken | None, request: gr.Request | None = None) -> None:
        """Stop a run, wherever it is."""
        with sentences():
            run = self.runs.find(run_id, person_of(key, request))
            if run.job is not None:
                end(run.folder.path, _token(login, request))
        self.here.on_stop(run_id, key, request)

    def on_remove(self, run_id: str, key: str, login: gr.OAuthToken | None, request: gr.Request | None = None) -> None:
        """Delete a run; a job on Hugging Face is ended before, so that it costs no more."""
        with sentences():
            run = self.runs.find(run_id, person_of(key, request))
            if run.job is not None and not run.finished and not last_sight(run.folder.path).ended:
                end(run.folder.path, _token(login, request))
        self.here.on_delete(run_id, key, request)


def _token(login: gr.OAuthToken | None, request: gr.Request | None) -> str:
    return token_of(None if login is None else login.token, request)
