"""Celery's consumer for a fleet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import redis
from celery.bootsteps import RUN
from celery.concurrency.prefork import _run_ready_callbacks
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import InvalidTaskError
from celery.worker import state
from celery.worker.consumer import Consumer, Control, Mingle
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError

from shared.brokers import BrokerKind
from shared.health import clock
from shared.transports.leases import STANDSTILL_SECONDS, LeaseKeeper
from shared.worker.adoption import part, settled_here
from shared.worker.heartbeats import Heartbeats
from shared.worker.intake import Intake
from shared.worker.mingle import OptionalMingle
from shared.worker.newer import NewerMessages
from shared.worker.pidbox import DroppableControl
from shared.worker.profiles import refuse_unfit
from shared.worker.quarantine import QuarantiningConsumer
from shared.worker.settling import Settling
from shared.worker.suspects import taken
from shared.worker.turnstile import Turnstile

logger = logging.getLogger(__name__)

TURN_EVERY_SECONDS = 1.0
RECONNECT = {"interval_start": 0.5, "interval_step": 0.5, "interval_max": 2.0}
"""Seconds between tries to reach the broker: a worker is back soon after its broker is."""


class FleetConsumer(QuarantiningConsumer):
    """Consumes only queues that this worker's broker owns, and notes that its loop turns and what it takes."""

    class Blueprint(Consumer.Blueprint):
        """Celery's steps, of which two don't hold up a worker that lost its broker or can't publish there."""

        def _finalize_steps(self, steps: Any) -> list[Any]:
            # Exchanged once they are in order: other steps name those of Celery's as what they come after.
            ours = {Mingle: OptionalMingle, Control: DroppableControl}
            return [ours.get(step, step) for step in super()._finalize_steps(steps)]

    def __init__(self, *args: Any, **options: Any) -> None:
        self.turned = clock()
        """When the loop last turned; while there is no connection, when it last saw to getting one."""
        self.consuming = False
        """Whether it consumes over a connection that stands, as far as it knows."""
        self.intake = Intake()
        self.leases: LeaseKeeper | None = None
        """What keeps claims on Redis, over one connection after the other."""
        self._heartbeats = Heartbeats()
        self._newer = NewerMessages(self, self.on_newer_message)
        super().__init__(*args, **options)
        self.settling = Settling(self)
        self.on_task_request: Any = Turnstile(self, self.on_task_request)
        # What the consumer publishes itself, a greeting to its neighbours, fails with this one.
        self.connection_errors = (*self.connection_errors, OperationalError)

    def turn(self) -> None:
        """Note that the loop turns."""
        self.turned = clock()

    def works(self) -> bool:
        """Tell whether this worker may keep what it holds: its loop turns, or stands still for a good reason.

        A task runs in the loop itself in solo, and greenlets that compute hold it up.  A stopping worker turns no
        more; its grace period bounds it.
        """
        stopping = self.blueprint.state != RUN
        runs_tasks = isinstance(self.pool, SoloPool) or self.pool.is_green
        busy = runs_tasks and len(state.active_requests) > 0
        return stopping or busy or clock() - self.turned < STANDSTILL_SECONDS

    def register_with_event_loop(self, hub: Any) -> None:
        """Have the loop of prefork, threads and solo note its turns; Celery drops this timer with the connection."""
        super().register_with_event_loop(hub)
        hub.timer.call_repeatedly(TURN_EVERY_SECONDS, self.turn)

    def perform_pending_operations(self) -> None:
        """Note a turn of the loop that has no hub, that of gevent: it comes by here every 2 seconds at most."""
        self.turn()
        super().perform_pending_operations()

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long it takes; every second of waiting for the next try is a turn."""
        ensure = conn.ensure_connection

        def ensure_and_turn(*args: Any, callback: Callable[[], None], **options: Any) -> Any:
            def turn_and_call() -> None:
                self.turn()
                callback()

            return ensure(*args, callback=turn_and_call, **RECONNECT, **options)

        conn.ensure_connection = ensure_and_turn
        try:
            connected = super().ensure_connected(conn)
        finally:
            del conn.ensure_connection
        refuse_unfit(connected, self.app.amqp.queues.consume_from.values())
        self.controller.pauses.before_consuming()
        return connected

    def connect(self) -> Any:
        """Connect, and go on with the claims that are held on Redis."""
        connection = super().connect()
        if self.leases is not None:
            connection.transport.leases = self.leases
        return connection

    def shutdown(self) -> None:
        """Disconnect, and give back what is still held."""
        super().shutdown()
        if self.leases is not None:
            with suppress(redis.RedisError, OSError):  # then it goes back when its leases run out
                self.leases.give_back()

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Prepare to connect again; every other connection to the broker may be as dead as this one.

        Celery would take fewer messages for as long as tasks run from before, but one at least.  Here these take their
        place in the window: on RabbitMQ as deliveries, for they are delivered again, on Redis as claims that are kept.
        """
        goes_on = part(self.pool)
        # Before anybody can have it again, and takes it for one that died.  RabbitMQ hands out all of it.
        self.controller.isolation.give_back(taken().difference(goes_on if self.leases is not None else ()))
        if self.hub is not None:
            _run_ready_callbacks(self.hub)  # of what has just ended: it neither goes on nor waits
        with suppress(*self.connection_errors):
            self.settling.settle()
        if self.leases is not None:
            self.leases.carry_over(request.message.delivery_tag for request in goes_on)
        super().on_connection_error_after_connected(exc)
        self.app.amqp.pools.drop_idle()
        events = self.event_dispatcher and self.event_dispatcher.connection
        if events and self.app.broker.kind is BrokerKind.RABBITMQ:
            events.collect()  # to close it would wait for an answer
        self.initial_prefetch_count = self.max_prefetch_count
        self._maximum_prefetch_restored = True

    def on_ready(self) -> None:
        """Note that it consumes, after each connect."""
        self.intake.start_anew()
        self.consuming = True
        self._heartbeats.start(self)
        self.leases = getattr(self.connection.transport, "leases", None)
        if self.leases is not None:
            self.leases.alive = self.works
            self.leases.outlives_connections = True
        self.controller.isolation.on_ready()
        super().on_ready()

    def on_close(self) -> None:
        """Note that the connection is gone."""
        self.consuming = False
        self._heartbeats.end()
        if self.controller.blueprint.state != RUN:
            self.controller.isolation.give_back(taken())
        super().on_close()
        self.controller.isolation.drop()

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        """Return what handles a delivery, and counts it first.

        Celery's own handler makes a promise for each of the ways to settle a message; here it has only to say what is
        wrong with one that no task is known for.
        """
        handle = super().create_task_handler(*args, **options)
        strategies, callbacks, origin = self.strategies, self.on_task_message, self.app.amqp.origin

        def count_and_handle(message: Any) -> Any:
            message.origin = origin(message.delivery_info)
            self.intake.take(message.origin[0], message)
            if message.delivery_info.get("redelivered") and settled_here(self, message):
                return None
            if self._newer.takes(message):
                return None
            headers = message.headers
            strategy = strategies.get(headers.get("task")) if isinstance(headers, dict) else None
            if strategy is None:
                return handle(message)
            try:
                strategy(message, None, partial(self._acknowledge, message), partial(self._reject, message), callbacks)
            except (InvalidTaskError, ContentDisallowed) as error:
                return self.on_invalid_task(None, message, error)
            except DecodeError as error:
                return self.on_decode_error(message, error)

        return self.guarded(count_and_handle)

    def _acknowledge(self, message: Any, *_: Any) -> None:
        self.settling.acknowledge(message)

    def _reject(self, message: Any, *how: Any) -> None:
        self.call_soon_ack(message.reject_log_error, *how)

    def add_task_queue(self, queue: str, *args: Any, **options: Any) -> None:
        """Begin to consume a queue, as ``celery control add_consumer`` asks; refuse one of another broker."""
        owner = self.app.routing.owners.get(str(queue))
        if owner != self.app.broker.alias:
            where = f"belongs to broker {owner}" if owner else "is not in the queue table"
            logger.error(
                "Queue %s %s; this worker is on %s and does not serve it.", queue, where, self.app.broker.alias
            )
            return
        super().add_task_queue(queue, *args, **options)
