"""Work beside the thread that reports on it."""

import threading

import pytest

from pipeline.errors import UserError
from ui.beside import beside


def test_what_has_ended_gives_its_result_and_its_error():
    with beside("work", lambda cancel: 3) as job:
        assert job.result(30) == 3

    def fail(cancel):
        raise UserError("no such head")

    with beside("work", fail) as job, pytest.raises(UserError, match="no such head"):
        job.result(30)


def test_leaving_early_calls_the_work_off_and_does_not_wait_for_it():
    go_on, called_off = threading.Event(), []

    def work(cancel):
        go_on.wait(30)
        called_off.append(cancel())

    with beside("work", work) as job:
        pass
    assert not job.done()
    go_on.set()
    job.result(30)
    assert called_off == [True]
