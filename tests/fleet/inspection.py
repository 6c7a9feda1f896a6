"""Looks into the brokers themselves, past Celery, for what arrived there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

import redis
from kombu import Connection

from shared.brokers import Broker, BrokerKind
from shared.celery_app import FleetCelery
from shared.transports.redis import Channel
from tests.fleet.tables import BROKERS, parked

DEADLINE_SECONDS = 30.0


def wait_for(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS):
    """Return the first true answer of a condition, or fail with what was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.02)


class ParkedMessages:
    """Takes what lies in the parked queue of each broker, and remembers where each task was found."""

    def __init__(self, app: FleetCelery) -> None:
        self._brokers = app.brokers
        self.found: dict[str, tuple[str, dict]] = {}
        for alias in BROKERS:
            with app.connection_for_write(alias) as connection:
                app.queue_table[parked(alias)].queue.bind(connection.default_channel).declare()

    def broker_of(self, task_id: str) -> str:
        """Wait for a task and return the broker on which it arrived."""
        wait_for(lambda: task_id in self.look(), f"task {task_id} in a parked queue")
        return self.found[task_id][0]

    def headers_of(self, task_id: str) -> dict:
        self.broker_of(task_id)
        return self.found[task_id][1]

    def look(self) -> Mapping[str, tuple[str, dict]]:
        """Take what has arrived since; return all that ever did: broker and headers, by task."""
        for alias in BROKERS:
            for headers in messages(self._brokers[alias], parked(alias)):
                assert headers["id"] not in self.found, "the same message arrived twice"
                self.found[headers["id"]] = (alias, headers)
        return self.found


def messages(broker: Broker, queue: str) -> list[dict]:
    """Take all messages out of a queue and return their headers, with ``priority`` among them."""
    take = _from_redis if broker.kind is BrokerKind.REDIS else _from_rabbitmq
    return take(broker.url.get_secret_value(), queue)


def _from_redis(url: str, queue: str) -> list[dict]:
    taken = []
    with redis.Redis.from_url(url, decode_responses=True) as client:
        for priority in range(9, -1, -1):
            key = f"{queue}{Channel.sep}{priority}" if priority else queue
            while raw := client.rpop(key):
                message = json.loads(raw)
                taken.append({**message["headers"], "priority": message["properties"]["priority"]})
    return taken


def _from_rabbitmq(url: str, queue: str) -> list[dict]:
    taken = []
    with Connection(url) as connection, connection.channel() as channel:
        while message := channel.basic_get(queue, no_ack=True):
            taken.append({**message.headers, "priority": message.properties["priority"]})
    return taken
