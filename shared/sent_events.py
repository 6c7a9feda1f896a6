"""Tells monitors what was published, without a message for each: events are gathered, and go out together.

Celery sends ``task-sent`` with the publish itself, which costs about as much as the publish.  Here a thread sends what
was gathered every fifth of a second.  These events are for the eye: a process that is killed takes its last ones along,
and where a broker does not answer the oldest are dropped.  The worker tells of the same task when it has it.
"""

from __future__ import annotations

import atexit
import logging
import os
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from celery.events import event as events
from celery.utils.nodenames import anon_nodename
from celery.utils.time import utcoffset

from shared.deadlines import at_most
from shared.producers import FleetProducer

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

SEND_EVERY_SECONDS = 0.2
AT_ONCE = 200
MOST_KEPT = 10_000
"""Events of one broker that wait to be sent; about ten megabytes."""
SEND_WITHIN_SECONDS = 2.0
MOST_NEXT_STEPS = 50
"""How many of the steps that follow in its chain an event tells of; a chain carries all of them in each message."""
HIDDEN = "(hidden)"
"""What is shown in the place of arguments that nobody shall see."""


def place_in_workflow(headers: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """Return what Celery's event leaves out: group, body of the chord, the steps that follow.

    Args:
        headers: Those of the message.
        body: What it carries, not encoded yet.
    """
    carried = body[2] if isinstance(body, tuple) else {}
    chord, chain = carried.get("chord"), carried.get("chain") or ()
    found = {
        "group": headers.get("group"),
        "chord": _step(chord) if chord else None,
        "next": [_step(step) for step in [*chain][: -MOST_NEXT_STEPS - 1 : -1] if step.get("subtask_type") != "group"],
    }
    return {name: value for name, value in found.items() if value}


def _step(signature: Mapping[str, Any]) -> Sequence[str | None]:
    if signature.get("subtask_type") == "chord":  # what follows in the chain waits for the body of it
        signature = signature["kwargs"]["body"]
    options = signature.get("options") or {}
    return options.get("task_id"), signature.get("task"), getattr(options.get("queue"), "name", options.get("queue"))


class SentEvents:
    """Takes the place of the dispatcher to which ``AMQP`` hands its events.

    Args:
        app: Whose events they are.
        broker: Tells the alias of the broker to which something is published here and now.
    """

    def __init__(self, app: FleetCelery, broker: Callable[[], str]) -> None:
        self._app = app
        self._broker = broker
        self._pid = 0
        self._waiting: defaultdict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=MOST_KEPT))
        self._woken = Event()
        self._producers: dict[str, FleetProducer] = {}
        self._hostname = anon_nodename()
        self._complained: set[str] = set()

    def publish(self, type: str, fields: dict[str, Any], producer: Any, **_: Any) -> None:  # noqa: A002, ARG002
        """Keep an event of the publish under way until it is sent; never raises, never waits."""
        if self._app.recorder is None:
            self.tell(self._broker(), type, fields)

    def tell(self, broker: str, type: str, fields: Mapping[str, Any]) -> None:  # noqa: A002
        """Keep an event of a publish to a broker until it is sent; never raises, never waits."""
        if self._pid != os.getpid():
            self._begin()
        waiting = self._waiting[broker]
        event = events.Event(
            type, hostname=self._hostname, utcoffset=utcoffset(), pid=self._pid,
            clock=self._app.clock.forward(), **fields,
        )  # fmt: skip
        waiting.append(event)
        if len(waiting) >= AT_ONCE:
            self._woken.set()

    def flush(self) -> None:
        """Send what waits, a second or two for each broker at most; what can't be sent is dropped."""
        for alias, waiting in list(self._waiting.items()):
            while waiting:
                batch: list[dict[str, Any]] = []
                with suppress(IndexError):  # of two that flush, the other one took it
                    batch.extend(waiting.popleft() for _ in range(min(AT_ONCE, len(waiting))))
                if not self._send(alias, batch):
                    break

    def _begin(self) -> None:
        """Start afresh in this process: after a fork there is no thread, and the connections are the parent's."""
        self._pid = os.getpid()
        self._waiting.clear()
        self._producers = {}
        self._woken = Event()
        Thread(target=self._run, args=(self._woken,), name="sent-events", daemon=True).start()
        atexit.register(self.flush)

    def _run(self, woken: Event) -> None:
        while True:
            woken.wait(SEND_EVERY_SECONDS)
            woken.clear()
            self.flush()

    def _send(self, alias: str, batch: list[dict[str, Any]]) -> bool:
        try:
            with at_most(SEND_WITHIN_SECONDS):
                producer = self._producers.get(alias) or self._connect(alias)
                producer.publish(
                    batch, routing_key="task.multi", exchange=producer.exchange.name, declare=[producer.exchange],
                    serializer=self._app.conf.event_serializer, headers={"hostname": self._hostname},
                    delivery_mode=1, retry=False,
                )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: work goes on without its monitors
            level = logging.DEBUG if alias in self._complained else logging.WARNING
            logger.log(level, "Monitors are not told what was published to broker %s: %s", alias, type(error).__name__)
            self._complained.add(alias)
            if (dropped := self._producers.pop(alias, None)) is not None:
                with suppress(Exception):
                    dropped.connection.collect()
            return False
        self._complained.discard(alias)
        return True

    def _connect(self, alias: str) -> FleetProducer:
        connection = self._app.connection_for_write(alias)
        exchange = events.get_exchange(connection, name=self._app.conf.event_exchange)
        producer = FleetProducer(connection, exchange=exchange, auto_declare=False)
        self._producers[alias] = producer
        return producer
