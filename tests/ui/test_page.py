"""The page's limits, with a workshop that takes as long as the test wants."""

import threading
import time

import pytest
from gradio.data_classes import _StaticFiles
from gradio_client import Client
from gradio_client.exceptions import AppError

import ui.page
from pipeline.errors import UserError
from ui.cards import Cards
from ui.runs import Runs
from viewer.component import AvatarViewer


class SlowWorkshop:
    """Every creation waits, then fails."""

    warm = True

    def __init__(self):
        self.go_on = threading.Event()

    def welcome(self):
        return None

    def create(self, *arguments):
        self.go_on.wait(60)
        raise UserError("the oven is cold")


@pytest.fixture
def workshop():
    return SlowWorkshop()


@pytest.fixture
def url(workshop, monkeypatch):
    monkeypatch.setattr(ui.page, "LONGEST_QUEUE", 1)
    page = ui.page.build_page(workshop, Runs(workshop))
    _, url, _ = page.launch(**ui.page.launch_options(), prevent_thread_lock=True, quiet=True)
    yield url
    workshop.go_on.set()
    page.close()


def test_one_too_many_is_told_at_once_and_the_others_are_served(workshop, url):
    client = Client(url, verbose=False)
    served = []
    for state in ("PROCESSING", "IN_QUEUE"):
        served.append(client.submit("a man", 0, None, api_name="/create"))
        wait_for(served[-1], state)
    with pytest.raises(Exception, match="Queue is full"):
        client.predict("a man", 0, None, api_name="/create")
    workshop.go_on.set()
    for job in served:
        with pytest.raises(AppError, match="The oven is cold"):
            job.result(timeout=30)


def test_a_part_that_is_made_anew_at_an_update_widens_no_search():
    before = len(_StaticFiles.all_paths)  # Gradio looks for every file of every answer in all of them
    for part in (AvatarViewer, Cards):
        part(render=False)
    assert len(_StaticFiles.all_paths) == before


def wait_for(job, state):
    deadline = time.monotonic() + 30
    while job.status().code.name != state:
        assert time.monotonic() < deadline, job.status()
        time.sleep(0.05)


def test_a_defect_of_ours_is_one_sentence_without_details(workshop, url, monkeypatch):
    monkeypatch.setattr(workshop, "create", lambda *arguments: 1 / 0)
    with pytest.raises(AppError, match="Something went wrong on our side") as caught:
        Client(url, verbose=False).predict("a man", 0, None, api_name="/create")
    assert "zero" not in str(caught.value)
