"""`RunCards`: a visitor's refinements as a Gradio component; one of them is open, with picture, log and buttons."""

from __future__ import annotations

from gradio.data_classes import GradioModel
from pydantic import Field

from ui.cards import WEB
from ui.scripted_html import ScriptedHTML

ACTIONS = ("stop", "resume", "look", "open", "config", "delete")
"""What can be done with a run, and the component's events."""
ON_LOAD = f"""
const root = (window.gradio_config && window.gradio_config.root) || '';
const events = {{}};
for (const name of {list(ACTIONS)}) {{
  events[name] = () => trigger(name);
}}
import(root + '/gradio_api/file={WEB.as_posix()}/runs.js').then(({{mount}}) => mount(element, props, watch, events));
"""
"""The module is named here: a list that changed before its tab was ever open has lost its other properties."""


class RunCard(GradioModel):
    """One run."""

    id: str
    title: str
    """The prompt."""
    recipe: str
    """Recipe and length, for people."""
    status: str
    """waiting, running, stopped, failed, finished, or elsewhere: in the hands of Hugging Face."""
    state: str
    """The status for people."""
    step: str = ""
    """How far it is, and how long it still takes."""
    share: float = 0.0
    """Done, 0..1."""
    picture: str = ""
    """Address of the newest preview; empty for none."""
    log: list[str] = Field(default_factory=list)
    """The last lines."""
    note: str = ""
    """What the person should do or know, as a sentence."""
    link: str = ""
    """Address of the job on Hugging Face; empty where it runs here."""
    actions: list[str] = Field(default_factory=list)
    """Of `ACTIONS`."""
    resume: str = "Resume"
    """What the button says that carries on."""


class RunsView(GradioModel):
    """What the component shows."""

    runs: list[RunCard]
    current: str = ""
    """Id of the run that the server opens, once; empty leaves what is open as it is."""
    empty: str = ""
    """What to say when there is none."""


class RunCards(ScriptedHTML):
    """Lines to open.

    The value is a `RunsView`; previews are files that the page serves. The events are `ACTIONS`: the run that a button
    belongs to stands in ``document.runChoice`` for the event's ``js``.
    """

    data_model = RunsView
    place = "runs-place"
    mounting = ON_LOAD
