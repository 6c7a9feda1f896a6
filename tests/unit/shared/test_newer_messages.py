"""How long a worker bears messages of a newer release; with a clock of the test, for it is half an hour."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from shared.versions import VERSION_HEADER
from shared.worker import newer
from shared.worker.newer import FORGOTTEN_SECONDS, LONGEST_SECONDS, NewerMessages
from tests.fleet.app import fleet


class Consumer:
    """What there is of a consumer while its worker holds a message: nothing is given back."""

    restart_count = 0

    def __init__(self, app):
        self.app = app
        self.held: list[float] = []
        self.timer = SimpleNamespace(call_after=lambda seconds, _: self.held.append(seconds))
        self.qos = SimpleNamespace(increment_eventually=lambda: None)


@pytest.fixture
def now(monkeypatch):
    moment = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(newer, "clock", lambda: moment.seconds)
    return moment


@pytest.fixture
def worker(now):
    """Meet a message of a newer release every so many seconds; what was refused by then."""
    refused: list[str] = []
    with fleet(message_version=1) as app:
        messages = NewerMessages(Consumer(app), lambda _, said: refused.append(said))

        def meet(times: int, every: float) -> list[str]:
            for _ in range(times):
                now.seconds += every
                assert messages.takes(SimpleNamespace(headers={VERSION_HEADER: 2}))
            return refused

        yield SimpleNamespace(meet=meet, patience=app.newer_messages_seconds)


def test_a_worker_that_nobody_replaces_keeps_them_in_the_end(worker):
    within = int(worker.patience // LONGEST_SECONDS)
    assert not worker.meet(within, LONGEST_SECONDS)
    assert worker.meet(3, LONGEST_SECONDS)


def test_those_of_a_deploy_that_is_over_do_not_count_in_the_next_one(worker, now):
    assert not worker.meet(3, LONGEST_SECONDS)
    now.seconds += worker.patience + FORGOTTEN_SECONDS
    assert not worker.meet(3, LONGEST_SECONDS)
