"""Broadcasts on Redis reach whoever listens, from the moment on in which it says so."""

from __future__ import annotations

from uuid import uuid4

import pytest
import redis
from kombu import Exchange, Queue

from tests.fleet.app import app
from tests.fleet.inspection import wait_for


@pytest.mark.parametrize("broker", ["default", "critical"])
def test_what_is_told_before_the_first_look_arrives(brokers, broker):
    """A worker that says that it is ready has not come to its loop yet; on a busy machine that takes a while."""
    heard = []
    exchange = Exchange(uuid4().hex, type="fanout", durable=False)
    queue = Queue(uuid4().hex, exchange, auto_delete=True)
    with (
        redis.Redis.from_url(app.brokers[broker].url.get_secret_value()) as server,
        app.connection_for_write(broker) as listener,
        app.connection_for_write(broker) as teller,
    ):
        listeners = server.pubsub_numpat()
        with listener.Consumer(queue, callbacks=[lambda body, _: heard.append(body)], no_ack=True):
            wait_for(lambda: server.pubsub_numpat() > listeners, "the server to know of it")
            teller.Producer().publish("news", exchange=exchange, declare=[exchange])
            while not heard:
                listener.drain_events(timeout=20)
    assert heard == ["news"]
