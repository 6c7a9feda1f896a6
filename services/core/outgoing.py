"""What goes into the outbox: a canvas as data, with the ids of all its tasks."""

from __future__ import annotations

from typing import Any

from celery import Signature
from celery.canvas import _chain, chord, group
from kombu.utils.json import dumps, loads

from services.core.app import app
from services.core.ledger.outbox import Outgoing


def outgoing(subject: str, canvas: Signature) -> Outgoing:
    """Return a canvas as an entry of the outbox.

    The ids of its tasks are given here: should a relay die while it publishes, the next one publishes the same
    tasks, and what they do is known by their ids.

    Args:
        subject: The id of the job, campaign or mail that it belongs to.
        canvas: A signature, a chain or a chord; not an empty one.

    Raises:
        UnknownTask, UnknownQueue: The fleet does not know the first task, or where it goes.  Nothing was recorded.
        kombu.exceptions.EncodeError: An argument is no JSON.
    """
    canvas.freeze()
    queue, priority = destination(first_task(canvas))
    plain: dict[str, Any] = loads(dumps(canvas))
    return Outgoing(subject, broker=app.routing.owner(queue), priority=priority, signature=plain)


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
