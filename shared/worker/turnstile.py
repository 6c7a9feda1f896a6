"""Where tasks with a fleet-wide rate limit pass before they start.

A task that has no token yet does not wait in the worker: its message is put into the table of delayed messages until
its appointment, and acknowledged.  So it takes up no slot, outlives the worker, can be revoked, and keeps its place
in the line.  When a worker dies between storing and acknowledging, the message is handed out again and stored under
the same name, and on Redis published once (``shared.transports.once``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from time import sleep
from typing import Any, NamedTuple
from uuid import uuid4

import redis
from celery import bootsteps
from celery.worker import state
from kombu.compression import compress

from shared.dead_letters import as_bytes
from shared.delays.entry import Delay, Entry, Message
from shared.limits import PUT_OFF_HEADER, Limit, Limits, Turn, appointment_of, key_of, times_put_off
from shared.publishing import PUBLISHED_AT_HEADER
from shared.threads import start_thread
from shared.worker.acknowledged_request import EXECUTION_HEADER

logger = logging.getLogger(__name__)

KEPT_PROPERTIES = ("reply_to", "priority")
TRY_AGAIN_SECONDS = 1.0


class Passing(NamedTuple):
    """A task before the turnstile."""

    request: Any
    key: str
    limit: Limit
    appointment: float | None
    """When it had an appointment, if it had one and comes back."""
    connects: int
    """How often the worker had connected when the task arrived."""


class Turnstile:
    """Lets a worker's tasks start, those with a fleet-wide limit when it is their turn.

    A thread asks shared state; the loop must not wait for it.  While it is out of reach, limited tasks wait in the
    worker.  In gevent, where a thread must share nothing with greenlets, a greenlet asks.

    Args:
        consumer: The worker's consumer.
        start: What starts a task, as Celery's ``on_task_request`` does.
    """

    def __init__(self, consumer: Any, start: Callable[[Any], None]) -> None:
        self._consumer = consumer
        self._app = consumer.app
        self._start = start
        self._limits = Limits(self._app.state if consumer.hub is None else self._app.state.apart())
        self._waiting: SimpleQueue[Passing] | None = None
        self._in_trouble = False

    def __call__(self, request: Any) -> None:
        """Start a task, now or when shared state has let it pass."""
        limit = Limit.of(request.task)
        if limit is None:
            self._start(request)
            return
        try:
            key = key_of(request.task, request.args, request.kwargs)
        except TypeError:
            self._start(request)  # with these arguments it fails by itself
            return
        appointment = appointment_of(request.request_dict)
        self._enter(Passing(request, key, limit, appointment, self._consumer.restart_count))

    def _enter(self, passing: Passing) -> None:
        if self._consumer.hub is None:
            self._consumer.timer.call_after(0, self._ask, (passing, self._go_on))
            return
        if self._waiting is None:
            self._waiting = SimpleQueue()
            start_thread(self._run, "turnstile")
        self._waiting.put(passing)

    def _run(self) -> None:
        while self._waiting is not None:
            self._ask(self._waiting.get(), lambda *answer: self._consumer.hub.call_soon(self._go_on, *answer))

    def _ask(self, passing: Passing, then: Callable[[Passing, Turn, bool], Any]) -> None:
        """Have shared state decide, however long it takes to answer, and store a task that has to wait."""
        turn: Turn | None = None
        while self._is_held(passing):
            try:
                if turn is None:
                    turn = self._limits.take(passing.key, passing.limit, appointment=passing.appointment)
                stored = turn.wait > 0 and self._put_off(passing.request, turn)
            except (redis.RedisError, OSError) as error:
                self._complain(error)
                sleep(TRY_AGAIN_SECONDS)
            else:
                self._in_trouble = False
                then(passing, turn, stored)
                return

    def _put_off(self, request: Any, turn: Turn) -> bool:
        """Store the message of a task until its appointment; tell whether it could be."""
        queue, broker = self._app.amqp.origin(request.delivery_info)
        try:
            entry = entry_of(request.message, queue, broker, turn, times_put_off(request.request_dict))
            delay, most = Delay(countdown=turn.wait, eta=None, due=0.0), self._app.bounds.delayed_tasks
            stored: bool = self._app.delays.store(entry, delay, most=most)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("Task %s can't be stored until its turn, and waits here: %r", request.id, error)
            return False
        return stored

    def _go_on(self, passing: Passing, turn: Turn, stored: bool) -> None:
        """Start a task that has its token, and let go of one that was stored; the rest waits here."""
        request = passing.request
        if not self._is_held(passing):
            return  # its message comes again
        if turn.wait <= 0:
            self._start(request)
            return
        logger.info(
            "Task %s[%s] has its turn in %.1f s, by its fleet-wide rate limit.", request.name, request.id, turn.wait
        )
        if stored:
            request.acknowledge()
            state.task_ready(request)
        else:
            self._consumer.timer.call_after(turn.wait, self._enter, (passing._replace(appointment=turn.at),))

    def _is_held(self, passing: Passing) -> bool:
        """Tell whether the worker still holds the message, over the connection that it came by."""
        running: bool = self._consumer.controller.blueprint.state == bootsteps.RUN
        return running and passing.connects == self._consumer.restart_count

    def _complain(self, error: Exception) -> None:
        level = logging.DEBUG if self._in_trouble else logging.WARNING
        logger.log(level, "Tasks with a fleet-wide rate limit wait for shared state: %s", type(error).__name__)
        self._in_trouble = True


def entry_of(message: Any, queue: str, broker: str, turn: Turn, times: int) -> Entry:
    """Return a message that a worker received, as it waits in the table of delayed messages.

    Args:
        message: The message.
        queue: Where it came from, and goes to again.
        broker: The alias of the queue's owner.
        turn: Until when.
        times: How often it was put off before.
    """
    until = datetime.now(UTC) + timedelta(seconds=turn.wait)
    headers = {**message.headers, PUT_OFF_HEADER: {"times": times + 1, "until": until.isoformat(), "at": turn.at}}
    headers.pop(EXECUTION_HEADER, None)
    body = message.body
    if headers.get("compression"):  # which kombu has undone
        body, headers["compression"] = compress(as_bytes(body), headers["compression"])
    published = headers.get(PUBLISHED_AT_HEADER)
    name = f"{published}:{headers.get('retries')}:{times}" if published else uuid4().hex
    return Entry(
        id=f"{headers['id']}/{name}",
        broker=broker,
        queue=queue,
        declare=(queue,),
        message=Message(
            body=body,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            exchange="",
            routing_key=queue,
            delivery_mode=message.properties.get("delivery_mode"),
            headers=headers,
            properties={
                "correlation_id": headers["id"],
                **{name: message.properties[name] for name in KEPT_PROPERTIES if name in message.properties},
            },
        ),
    )
