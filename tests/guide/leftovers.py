"""Looks for what a page has left behind, where the next one would find it."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from urllib.parse import urlsplit

import redis

from shared.brokers import Broker, Brokers, switchyard_brokers
from shared.depths import measured_by
from shared.settings import load_settings
from tests.fleet.inspection import wait_for
from tests.guide.pages import GUIDE

TABLES = runpy.run_path(str(GUIDE / "fleet" / "tables.py"))
JOURNAL = "guide:journal"
SETTLES_WITHIN_SECONDS = 20.0


def refuse_leftovers() -> None:
    """Wait until every queue and the journal are empty, and no worker of Redis holds a message.

    Raises:
        AssertionError: Something is still there.
    """
    wait_for(lambda: not list(leftovers()), f"an end of what is left: {list(leftovers())}", SETTLES_WITHIN_SECONDS)


def leftovers() -> Iterator[str]:
    """Tell of each thing that is left."""
    # RabbitMQ's management API is seconds behind, and is not asked.
    exact = Brokers([Broker(broker.alias, broker.url) for broker in switchyard_brokers().values()])
    for depths in measured_by(exact, TABLES["QUEUES"]):
        for depth in depths.measure() or ():
            if depth.ready or depth.unacknowledged:
                yield f"{depth.ready} messages in {depth.queue}, and {depth.unacknowledged} held by workers"
    state = urlsplit(load_settings().state_url.get_secret_value())._replace(path=f"/{TABLES['STATE_DATABASE']}")
    with redis.Redis.from_url(state.geturl(), decode_responses=True) as client:
        yield from (f"the line {line!r} in the journal" for line in client.lrange(JOURNAL, 0, -1))
