"""Stores a message that may not run yet, in the place of a producer that would publish it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import uuid4

import redis
from kombu import Connection, Queue

from shared.brokers import Broker
from shared.delays.entry import Delay, Entry, Message
from shared.delays.firing import firing_under_way
from shared.producers import PublishFailed

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

WAITED_HEADER = "waited_for"
"""Message header with the eta for which the message waited in the table.

A worker that finds both equal starts the task at once, whatever its own clock says.  A retry may copy the header; its
eta is another one."""


class DelayFailed(PublishFailed):
    """A message with a delay was not stored; ``sent`` says whether it may be all the same."""

    entry: str
    """The id under which it was to be stored."""

    @classmethod
    def of(cls, entry: Entry, why: str, sent: Literal["no", "unknown"]) -> Self:
        """Make the error for an entry."""
        failed = cls(why)
        failed.entry, failed.sent = entry.id, sent
        return failed


class DelayingProducer:
    """Takes what Celery publishes of one task, and stores it until it is due.

    It is all of a ``kombu.Producer`` that Celery uses.  The broker is not asked: it may be out of reach.
    """

    def __init__(self, app: FleetCelery, broker: Broker, queue: str, delay: Delay) -> None:
        self._app = app
        self._broker = broker
        self._queue = queue
        self._delay = delay

    @property
    def connection(self) -> Connection:
        """The connection from which those of the broker's pool are made; nobody has connected it."""
        return self._app.amqp.pools[self._broker].connections.connection

    @property
    def channel(self) -> Any:
        """A channel of that connection; some result stores declare a queue for replies."""
        return self.connection.default_channel

    def revive(self, channel: Any) -> None:
        """Do nothing: there is no connection to make anew."""

    def publish(self, body: Any, *, headers: dict[str, Any] | None = None, **options: Any) -> None:
        """Store a task, whose body is encoded already; an event is published.

        Raises:
            DelayFailed: Shared state is out of reach or full, or as many tasks wait as may.
        """
        if not headers or "task" not in headers:
            self._publish_event(body, headers=headers, **options)
            return
        entry, most = self._entry(body, headers, **options), self._app.bounds.delayed_tasks
        try:
            stored = self._app.delays.store(entry, self._delay, firing_under_way(), most=most)
        except (redis.RedisError, OSError) as error:
            raise _failure(entry, error) from error
        if not stored:
            full = (
                f"{most} tasks wait for their time already, and no more may (YARD_DELAYED_MAX_TASKS); nothing was "
                "sent. Publish without a countdown, or revoke some."
            )
            raise DelayFailed.of(entry, full, "no")

    def _entry(
        self,
        body: Any,
        headers: dict[str, Any],
        *,
        content_type: str,
        content_encoding: str,
        exchange: Any = "",
        routing_key: str = "",
        delivery_mode: Any = None,
        declare: Sequence[Any] | None = None,
        mandatory: bool = False,  # noqa: ARG002 - it is so when it is moved
        expiration: float | None = None,  # noqa: ARG002 - the broker would drop it; a worker records that it expired
        retry: bool = False,  # noqa: ARG002 - the mover tries for as long as it takes
        retry_policy: Any = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
        confirm_timeout: float | None = None,  # noqa: ARG002
        **properties: Any,
    ) -> Entry:
        return Entry(
            id=f"{headers['id']}/{uuid4().hex}",
            broker=self._broker.alias,
            queue=self._queue,
            declare=tuple(queue.name for queue in declare or () if isinstance(queue, Queue)),
            message=Message(
                body=body,
                content_type=content_type,
                content_encoding=content_encoding,
                exchange=str(getattr(exchange, "name", exchange)),
                routing_key=routing_key,
                delivery_mode=delivery_mode,
                headers={**headers, WAITED_HEADER: headers["eta"]},
                properties=properties,
            ),
        )

    def _publish_event(self, body: Any, **options: Any) -> None:
        """Tell monitors, if the broker can be reached; the task is stored either way."""
        try:
            with self._app.amqp.pools[self._broker].acquire(block=True) as producer:
                producer.publish(body, **{**options, "retry": False})
        except PublishFailed as error:
            logger.warning("Monitors were not told of a delayed task: %s", error)


def _failure(entry: Entry, error: Exception) -> DelayFailed:
    refused = isinstance(error, (redis.ResponseError, redis.exceptions.BusyLoadingError))
    outcome = "Nothing was sent." if refused else "It may be there all the same."
    why = f"Shared state did not take a task with a delay: {type(error).__name__}. {outcome}"
    return DelayFailed.of(entry, why, "no" if refused else "unknown")
