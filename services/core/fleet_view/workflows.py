"""Workflows of the history, with the broker of each step, also of those that are not published yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.core.history.workflows import Step, Workflow, WorkflowSummary, recent_workflows, workflow
from services.core.ledger.engine import Ledger
from shared.celery_app import FleetCelery


def the_workflow(app: FleetCelery, ledger: Ledger, task_id: str) -> Workflow:
    """Return the workflow of a task.

    Args:
        app: Any app of the fleet; its tables say where a step goes that is not published yet.
        ledger: Where the history is.
        task_id: Of any of its tasks, or of a group.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        found = workflow(session, task_id)
    return replace(found, steps=tuple(_placed(app, step) for step in found.steps))


def list_workflows(ledger: Ledger, since: datetime, limit: int = 20) -> list[WorkflowSummary]:
    """List workflows of more than one task that were first heard of since an instant, the newest first.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        return recent_workflows(session, since, limit)


def _placed(app: FleetCelery, step: Step) -> Step:
    if step.broker:
        return step
    queue = step.queue or (app.routing.queue(step.name) if step.name else None)
    return replace(step, queue=queue, broker=app.routing.owners.get(queue) if queue else None)
