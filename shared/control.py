"""Remote control over the whole fleet: what Celery broadcasts goes to the workers of every broker."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celery.app.control import Control
from kombu import Queue
from kombu.exceptions import OperationalError
from kombu.pidbox import Mailbox

from shared.brokers import Broker, BrokerKind
from shared.delays.remote import NODE, DelayedMessages
from shared.producers import PublishFailed
from shared.publishing import broker_of_publication, place_of, publication
from shared.replies import Replies

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

CONNECT_WITHIN_SECONDS = 4.0
"""kombu tries for ever to reach a broker for a broadcast; here it gives up, and the other brokers are told."""


class FleetMailbox(Mailbox):
    """kombu's mailbox, whose queues on RabbitMQ bear another name with each connection.

    They are exclusive.  After a connection broke that RabbitMQ still believes in, a queue of the same name would be
    refused (405), and with it the worker.  Commands come over a fanout exchange, so nobody asks for the name.
    """

    app: FleetCelery

    def get_queue(self, hostname: str) -> Queue:
        """Return the queue of a node."""
        if self.app.broker.kind is BrokerKind.RABBITMQ:
            hostname = f"{hostname}.{uuid4().hex}"
        return super().get_queue(hostname)

    def _publish_reply(self, *args: Any, **options: Any) -> None:
        """Reply to a command; where the broker takes no reply the worker goes on without."""
        try:
            super()._publish_reply(*args, **options)
        except PublishFailed as error:
            logger.warning("A remote control command gets no reply: %s", error)


class FleetControl(Control):
    """Celery's remote control (``revoke``, ``inspect``, ``rate_limit``, ``ping`` …) over every broker at once.

    A connection that is handed in, or ``app.on_broker(alias)``, keeps a command to one broker.  Tasks that wait for
    their time in shared state are revoked and listed as well, see ``shared.delays.remote``.  ``purge`` leaves them, as
    it leaves those that a worker of stock Celery holds for later.
    """

    app: FleetCelery
    Mailbox = FleetMailbox

    def __init__(self, app: FleetCelery) -> None:
        super().__init__(app)
        self.mailbox.app = app

    def broadcast(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        destination: Any = None,
        connection: Any = None,
        **options: Any,
    ) -> Any:
        """Send a command to the workers of all brokers, and return all their replies where some are asked for.

        A broker that is out of reach is logged and left out: the others are told all the same.

        Args:
            command: The name of the command.
            arguments: Its arguments.
            destination: Names of the nodes that are meant; all by default.  When each of them has replied, no more is
                waited for, on any broker.
            connection: A connection to the one broker whose workers are meant.
            options: What ``Control.broadcast`` takes; ``limit`` counts for each broker by itself.

        Returns:
            The replies, one dictionary for each worker, or ``None`` when none are asked for.

        Raises:
            kombu.exceptions.OperationalError: No broker could be reached, and nobody was told; or a revoke could not
                look for delayed tasks, and the workers alone were told.
        """
        delayed = DelayedMessages(self.app).asked(command, arguments or {}, destination, connection, options)
        replies: Any = []
        if not delayed.alone:
            awaited = Replies({*(destination or ())} - {NODE}, options.pop("callback", None))
            replies = self._tell_workers(
                awaited, command, arguments, destination, connection=connection, callback=awaited.note, **options
            )
        if delayed.failure is not None:
            raise delayed.failure
        return [*(replies or ()), *delayed.replies] if options.get("reply") else None

    def _tell_workers(self, awaited: Replies, *args: Any, connection: Any = None, **options: Any) -> Any:
        if connection is not None:
            # Celery would read the replies there, and publish the command on the home broker.
            with publication(self.app.brokers.at(place_of(connection))):
                return super().broadcast(*args, connection=connection, **options)
        if broker_of_publication() is not None:
            return super().broadcast(*args, **options)
        brokers = list(self.app.brokers.values())
        # All at once: each may wait its whole time limit for replies.
        with ThreadPoolExecutor(len(brokers)) as pool:
            answers = list(pool.map(lambda broker: self._broadcast_on(broker, awaited, *args, **options), brokers))
        if all(isinstance(answer, OperationalError) for answer in answers):
            raise next(iter(answers))
        replies = [reply for answer in answers if isinstance(answer, list) for reply in answer]
        return replies if options.get("reply") else None

    def _broadcast_on(self, broker: Broker, awaited: Replies, *args: Any, **options: Any) -> Any:
        """Broadcast on one broker; return its replies, or the error when it is out of reach."""
        with publication(broker):
            try:
                with self.app.connection_or_acquire() as connection:
                    connection.ensure_connection(max_retries=1, timeout=CONNECT_WITHIN_SECONDS)
                    return super().broadcast(*args, connection=awaited.over(connection), **options)
            except (OperationalError, *_lost_connection(self.app, broker)) as error:
                logger.warning("Broker %s was not told of a remote control command: %s", broker, type(error).__name__)
                return OperationalError(f"Broker {broker} is out of reach.")


def _lost_connection(app: FleetCelery, broker: Broker) -> tuple[type[Exception], ...]:
    """Return the errors with which a broker's client tells that the connection is gone."""
    errors: tuple[type[Exception], ...] = app.connection_for_write(broker.alias).connection_errors
    return errors
