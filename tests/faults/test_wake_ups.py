"""Who waits for messages in Redis is woken by each, however what the server says is cut into pieces."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from kombu import Connection, Consumer, Queue

from services.core.local.brokers import LocalRedis
from shared.transports import redis as transport
from tests.fixtures.proxy import KeepingProxy
from tests.fleet.inspection import wait_for

QUEUE = Queue("woken", routing_key="woken")
NOTHING = b"*0\r\n"
"""The answer to a claim for which there is no message."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LocalRedis(tmp_path_factory.mktemp("redis")) as started:
        yield started


def test_a_message_that_comes_with_the_answer_that_there_is_none(server, monkeypatch):
    """Nothing else is to read on the connection then; it would be asked again only when it has waited for long."""
    monkeypatch.setattr(transport, "ASK_AGAIN_SECONDS", 3600)
    taken = []
    with ExitStack() as stack:
        proxy = KeepingProxy(server.port, NOTHING)
        stack.callback(proxy.end)
        behind = server.url().replace(f":{server.port}/", f":{proxy.port}/")
        publishing = stack.enter_context(Connection(server.url(), transport="shared.transports.redis:Transport"))
        consuming = stack.enter_context(Connection(behind, transport="shared.transports.redis:Transport"))
        stack.enter_context(Consumer(consuming, [QUEUE], callbacks=[lambda body, _: taken.append(body)], no_ack=True))

        def answered_and_kept() -> bool:
            with suppress(TimeoutError):
                consuming.drain_events(timeout=0.05)
            return proxy.keeps

        def delivered() -> bool:
            with suppress(TimeoutError):
                consuming.drain_events(timeout=0.05)
            return bool(taken)

        wait_for(answered_and_kept, "the answer that there is no message")
        publishing.Producer().publish("late", exchange="", routing_key="woken")
        wait_for(delivered, "the message")
    assert taken == ["late"]
