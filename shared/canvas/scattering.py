"""Gives each result of a group to one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from celery import Signature, Task, chord

from shared.canvas.carriers import SCATTER, first_task
from shared.canvas.fan_out import map as fan_out
from shared.canvas.signatures import FleetSignature

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


def scatter(each: Signature | Task) -> Signature:
    """Give each result of the group before to a call of its own, in parallel.

    In ``chord(group(…), scatter(send.s()))`` it is the body of a chord; it may be a step after a group, too, or after a
    task that returns a list.  In Celery each member of a group in that place gets the whole list.

    Args:
        each: A task, or a signature or canvas that is given the result before its own arguments.

    Returns:
        A signature, whose result is the list of all results in the order of the group.  It takes one message more:
        a worker of the queue of ``each`` publishes the calls.
    """
    sig = each.s() if isinstance(each, Task) else each
    first = first_task(sig)
    where = {key: first.options[key] for key in ("queue", "priority") if key in first.options}
    return FleetSignature(SCATTER, kwargs={"each": sig}, options=where, app=sig._app or first._app)  # noqa: SLF001


def add_scatter(app: FleetCelery) -> None:
    """Register the task that does it."""
    app.task(run_scatter, name=SCATTER, bind=True, shared=False)


def run_scatter(self: Any, results: Iterable[Any], each: dict[str, Any]) -> Any:
    """Publish a call for each result, in the place of this task."""
    calls = fan_out(Signature.from_dict(each, app=self.app), results)
    if not calls.tasks:
        return []
    gather = self.app.tasks["celery.accumulate"].s(index=0)
    gather.set(queue=self.app.amqp.origin(self.request.delivery_info)[0])
    return self.replace(chord(calls, gather, app=self.app))
