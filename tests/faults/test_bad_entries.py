"""An entry of the outbox that can't be published waits by itself; those behind it go out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import pytest

from services.core.app import app
from services.core.ledger.engine import Ledger
from services.core.ledger.models import OutboxEntry
from services.core.ledger.outbox import Outgoing, add_entries
from services.core.outgoing import replay_to_publish
from services.core.relay import Relay
from services.core.usecases.outbox_lag import outbox_lag
from shared.dead_letters import DeadLetter, Reason
from shared.names import BrokerName, QueueName
from tests.fleet.inspection import wait_for

BAD: dict[str, dict[str, Any]] = {
    "TypeError": {"task": "t", "args": 7},
    "KeyError": {"replay": {"queue": QueueName.CORE_DEFAULT, "headers": {}}},
}
"""What an entry may hold that no relay can publish, by the error that this raises."""


@pytest.fixture
def emptied(brokers) -> Iterator[None]:
    yield
    with app.connection_for_write(BrokerName.DEFAULT) as connection:
        connection.default_channel.queue_purge(QueueName.CORE_DEFAULT)


@pytest.fixture
def relaying(ledger: Ledger) -> Iterator[None]:
    ended = Event()
    thread = Thread(target=Relay(ledger, ended).run)
    thread.start()
    yield
    ended.set()
    thread.join()


def good() -> Outgoing:
    letter = DeadLetter(
        id="good", task="t", queue=QueueName.CORE_DEFAULT, broker=BrokerName.DEFAULT, reason=Reason.FAILED,
        detail="why", headers={"id": "good", "task": "t"}, content_type="application/json", content_encoding="utf-8",
        body=b"[[], {}, {}]",
    )  # fmt: skip
    return replay_to_publish(letter, 1, datetime.now(UTC), None)


@pytest.mark.parametrize("error", BAD)
def test_an_entry_that_cannot_be_published_holds_up_no_other(emptied, ledger, clock, relaying, error):
    bad = Outgoing("bad", BrokerName.DEFAULT, 9, BAD[error])
    with ledger.writing() as session:
        add_entries(session, [bad, good()], clock())

    def subjects() -> list[str]:
        clock.forward(seconds=1)
        with ledger.reading() as session:
            return [entry.subject for entry in session.query(OutboxEntry)]

    wait_for(lambda: subjects() == ["bad"], "the other entry to be published", 30)
    assert str(outbox_lag(ledger).error).startswith(error)
