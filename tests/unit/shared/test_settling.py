"""When a worker's loop tells the broker of work that is over: at once, or of several tasks together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from celery.bootsteps import CLOSE, RUN
from kombu.asynchronous import Hub

from shared.worker.settling import Settling


class Channel:
    """Notes what it is asked to settle."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def settle_together(self, messages: list[object]) -> None:
        self.steps.append(len(messages))


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.close()


def worker(hub, *, processes, prefetch, state=RUN):
    consumer = SimpleNamespace(
        hub=hub,
        pool=None,
        controller=SimpleNamespace(blueprint=SimpleNamespace(state=state)),
        connection_errors=(OSError,),
        prefetch_multiplier=prefetch,
        initial_prefetch_count=processes * prefetch,
    )
    return Settling(consumer), Channel()


def end(settling, channel, count):
    for _ in range(count):
        settling.acknowledge(SimpleNamespace(channel=channel))


def turn(hub):
    """Do what the loop does before it waits, but for its timers."""
    for callback in hub._pop_ready():
        callback()


@pytest.mark.parametrize("prefetch", [0, 1])
def test_where_nothing_is_fetched_ahead_each_turn_settles(hub, prefetch):
    settling, channel = worker(hub, processes=4, prefetch=prefetch)
    for _ in range(2):
        end(settling, channel, 1)
        turn(hub)
    assert channel.steps == [1, 1]


def test_where_more_is_held_half_of_that_is_waited_for(hub):
    settling, channel = worker(hub, processes=4, prefetch=4)
    end(settling, channel, 5)
    turn(hub)
    assert channel.steps == [], "twelve are held beyond those that run"
    end(settling, channel, 1)
    turn(hub)
    assert channel.steps == [6]


def test_what_ends_slowly_is_settled_when_the_time_is_over(hub):
    settling, channel = worker(hub, processes=4, prefetch=4)
    end(settling, channel, 1)
    turn(hub)
    [scheduled] = hub.timer.queue
    scheduled.entry()
    assert channel.steps == [1]


def test_a_worker_that_stops_waits_for_nothing(hub):
    settling, channel = worker(hub, processes=4, prefetch=4, state=CLOSE)
    end(settling, channel, 1)
    turn(hub)
    assert channel.steps == [1]
