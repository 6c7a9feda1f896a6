"""What goes into the outbox: a canvas as data, with the ids of all its tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import Signature
from celery.canvas import _chain, chord, group
from kombu.utils.json import dumps, loads

from services.core.app import app
from services.core.ledger.outbox import Outgoing
from shared.dead_letters import DeadLetter
from shared.message_size import refuse_too_large
from shared.replaying import message_of
from shared.versions import mark

REPLAY = "replay"
"""Where an entry of the outbox has a message instead of a canvas."""


def outgoing(subject: str, canvas: Signature) -> Outgoing:
    """Return a canvas as an entry of the outbox.

    The ids of its tasks are given here: should a relay die while it publishes, the next one publishes the same
    tasks, and what they do is known by their ids.

    Args:
        subject: The id of the job, campaign or mail that it belongs to.
        canvas: A signature, a chain or a chord; not an empty one.

    Raises:
        UnknownTask, UnknownQueue: The fleet does not know the first task, or where it goes.  Nothing was recorded.
        MessageTooLarge: It could never be published.  Nothing was recorded.
        kombu.exceptions.EncodeError: An argument is no JSON.
    """
    canvas.freeze()
    queue, priority = destination(first_task(canvas))
    data = dumps(canvas)
    if not isinstance(canvas, chord | group):  # each member of these travels by itself
        refuse_too_large(str(first_task(canvas).task), len(data), app.bounds.message_bytes)
    plain: dict[str, Any] = loads(data)
    mark(plain, app.message_version)  # for a relay of a later release may publish it
    return Outgoing(subject, broker=app.routing.owner(queue), priority=priority, signature=plain)


def replay_to_publish(
    letter: DeadLetter, number: int, now: datetime, body: bytes | None, *, expires: timedelta | None = None
) -> Outgoing:
    """Return a dead letter as an entry of the outbox; see ``shared.replaying.message_of``.

    Raises:
        NotReplayable: It names no task, or is undecodable.
        UnknownQueue: The fleet has its queue no more.
    """
    message = message_of(letter, number, now, body=body, expires=expires)
    broker, priority = app.routing.owner(letter.queue), message["properties"]["priority"]
    return Outgoing(f"dead letter {number}", broker=broker, priority=priority, signature={REPLAY: message})


def first_task(canvas: Signature) -> Signature:
    """Return the signature that is published first."""
    while isinstance(canvas, _chain | chord | group):
        tasks = canvas.tasks
        canvas = (tasks.tasks if isinstance(tasks, group) else tasks)[0]
    return canvas


def destination(signature: Signature) -> tuple[str, int]:
    """Return the queue and the priority with which a task will be published."""
    task, options = signature.task, signature.options
    queue = options.get("queue") or app.routing.queue(task) or app.routing.default_queue
    priority = options.get("priority")
    return str(queue), int(app.routing.priority(task) if priority is None else priority)
