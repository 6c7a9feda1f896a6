"""The events of a fleet are heard for as long as somebody listens."""

from __future__ import annotations

from time import monotonic

from shared.listening import FleetEvent, Listening, Lost

GIVEN_UP_AFTER_SECONDS = 3
"""RabbitMQ closes a connection after three heartbeat intervals of silence."""


def test_events_that_never_pause_do_not_keep_heartbeats_back(brokers, fleet_of_tests):
    fleet_of_tests.conf.broker_heartbeat = 1
    heard = 0
    with (
        Listening(fleet_of_tests, ["batch"]) as listening,
        fleet_of_tests.connection_for_write("batch", heartbeat=0) as connection,
        fleet_of_tests.events.Dispatcher(connection, hostname="busy@here") as dispatcher,
    ):
        deadline = monotonic() + 2 * GIVEN_UP_AFTER_SECONDS
        while monotonic() < deadline:
            dispatcher.send("worker-heartbeat")
            for news in listening.news(0.1):
                assert not isinstance(news, Lost), news
                heard += isinstance(news, FleetEvent)
    assert heard > 0
