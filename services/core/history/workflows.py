"""A workflow as a graph: what ran, what runs, what waits, and what follows from what."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from services.core.history.sightings import UNDER_WAY, Sighting, TaskState
from services.core.ledger.errors import UnknownId
from services.core.ledger.history import AT_ONCE, TABLE, read_sightings

MOST_STEPS = 5000
MOST_ROUNDS = 8
"""How often what is found may lead to tasks with another root; a group that nobody published from a task has many."""
PENDING, SKIPPED = "pending", "skipped"
LOST = frozenset({"failed", "revoked", "rejected", SKIPPED})
"""What follows from a step in one of these states does not run, unless somebody replays it."""
READ = (
    "id", "state", "at", "first_at", "name", "queue", "broker", "worker", "retries", "root_id", "parent_id", "group_id",
    "chord_id", "chord_task", "next_steps", "eta", "sent_at", "received_at", "started_at", "ended_at", "seconds",
    "exception",
)  # fmt: skip
"""What a graph shows; arguments and tracebacks, which are large, are left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the graph.  Times are seconds since the epoch."""

    id: str
    state: str
    """That of the task; ``pending`` when it is not published yet, ``skipped`` when it never will be."""
    name: str | None = None
    queue: str | None = None
    broker: str | None = None
    worker: str | None = None
    retries: int | None = None
    group_id: str | None = None
    sent_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    seconds: float | None = None
    exception: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One step follows from another."""

    before: str
    after: str
    kind: str
    """``published``: by the task before, or behind it in a chain; ``chord``: the body of a chord behind a member."""


@dataclass(frozen=True, slots=True)
class Workflow:
    """The steps of a workflow, in the order in which they were first heard of, pending ones last."""

    steps: tuple[Step, ...]
    edges: tuple[Edge, ...]
    complete: bool
    """Whether all of it is here; a workflow of more than 5,000 steps is not."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The members of each group, by its id."""


def workflow(session: Session, task_id: str) -> Workflow:
    """Return the workflow of a task.

    Args:
        session: Any transaction.
        task_id: Of any of its tasks, or of a group.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
    """
    seen = _gather(session, task_id)
    if not seen:
        raise UnknownId("workflow", task_id)
    known = sorted(seen.values(), key=lambda task: (task.first_at, task.id))
    edges = _edges(known, seen)
    to_pending = list(_edges_to_pending(known, seen))
    pending = _unless_skipped(_pending(known, seen), to_pending, {task.id: str(task.state) for task in known})
    edges |= {(before, after): kind for before, after, kind in to_pending}
    groups: dict[str, list[str]] = {}
    for task in known:
        if task.group_id:
            groups.setdefault(task.group_id, []).append(task.id)
    return Workflow(
        steps=(*map(_step, known), *pending.values()),
        edges=tuple(Edge(before, after, kind) for (before, after), kind in edges.items()),
        complete=len(known) < MOST_STEPS,
        groups={group: tuple(members) for group, members in groups.items()},
    )


class WorkflowSummary(NamedTuple):
    """A workflow of more than one task, in a list."""

    root_id: str
    """The id of its first task, or of its group where it begins with one."""
    name: str | None
    """Of its first task."""
    first_at: float
    """When it was first heard of, in seconds since the epoch."""
    tasks: int
    under_way: int
    failed: int


def recent_workflows(session: Session, since: datetime, limit: int) -> list[WorkflowSummary]:
    """List workflows of more than one task that were first heard of since an instant, the newest first."""
    task, root = TABLE.c, TABLE.alias("root")
    # Members of a group that no task published have a root each; they belong together all the same.
    key = func.coalesce(root.c.group_id, task.root_id)
    begun = func.min(task.first_at)
    counted = [
        func.sum(case((task.state.in_([str(state) for state in states]), 1), else_=0))
        for states in (UNDER_WAY, (TaskState.FAILED, TaskState.REJECTED, TaskState.REVOKED))
    ]
    query = (
        select(key, func.min(root.c.name), begun, func.count(), *counted)
        .select_from(TABLE.outerjoin(root, root.c.id == task.root_id))
        .where(task.root_id.is_not(None), task.first_at >= since)
        .group_by(key)
        .having(func.count() > 1)
        .order_by(begun.desc())
        .limit(limit)
    )
    return [
        WorkflowSummary(first, name, at.timestamp(), tasks, int(under_way), int(failed))
        for first, name, at, tasks, under_way, failed in session.execute(query)
    ]


def _gather(session: Session, task_id: str) -> dict[str, Sighting]:
    """Read the tasks of a workflow: with the first query all that share its root, then what they lead to."""
    column = TABLE.c
    first = select(column.root_id).where(column.id == task_id).scalar_subquery()
    found = _read(session, or_(column.id == task_id, column.root_id == task_id, column.root_id == first,
                               column.group_id == task_id, column.chord_id == task_id))  # fmt: skip
    seen = {task.id: task for task in found}
    there = seen.get(task_id)
    asked = {task_id, there.root_id or task_id} if there else {task_id}
    for _ in range(MOST_ROUNDS):
        ids = _leads_to(found, seen) - asked
        if not ids or len(seen) >= MOST_STEPS:
            break
        asked |= ids
        found = []
        for part in _parts(sorted(ids)):
            found += _read(session, or_(*(name.in_(part) for name in (
                column.id, column.root_id, column.group_id, column.chord_id))))  # fmt: skip
        found = [task for task in found if task.id not in seen]
        seen |= {task.id: task for task in found}
    return seen


def _leads_to(found: Iterable[Sighting], seen: Collection[str]) -> set[str]:
    """Return the ids by which tasks of another root belong to the same workflow."""
    ids: set[str | None] = set()
    for task in found:
        ids |= {known for known in (task.parent_id, task.root_id, task.chord_id) if known not in seen}
        if task.root_id in (None, task.id):  # nobody's step: its siblings have other roots, its own steps have this one
            ids |= {task.group_id, task.id}
    return {known for known in ids if known}


def _read(session: Session, condition: Any) -> list[Sighting]:
    columns = [TABLE.c[name] for name in READ]
    return read_sightings(session, select(*columns).where(condition).order_by(TABLE.c.first_at).limit(MOST_STEPS))


def _edges(known: Iterable[Sighting], seen: Collection[str]) -> dict[tuple[str, str], str]:
    edges = {(task.id, task.chord_id): "chord" for task in known if task.chord_id and task.chord_id in seen}
    bodies = {body for _, body in edges}
    for task in known:
        # The body is published by whichever member ends last, which says nothing.
        if task.parent_id and task.parent_id in seen and task.id not in bodies:
            edges.setdefault((task.parent_id, task.id), "published")
    return edges


def _pending(known: Iterable[Sighting], seen: Collection[str]) -> dict[str, Step]:
    """Return the steps that are known from the tasks before them alone."""
    steps: dict[str, Step] = {}
    for task in known:
        for step_id, name, queue in task.next_steps or ():
            if step_id and step_id not in seen:
                steps.setdefault(step_id, Step(step_id, PENDING, name, queue))
        if task.chord_id and task.chord_id not in seen:
            steps.setdefault(task.chord_id, Step(task.chord_id, PENDING, task.chord_task))
    return steps


def _unless_skipped(
    pending: dict[str, Step], edges: Iterable[tuple[str, str, str]], states: dict[str, str]
) -> dict[str, Step]:
    """Mark the pending steps that no longer can run: something before them is lost."""
    before: dict[str, set[str]] = {}
    for one, other, _ in edges:
        before.setdefault(other, set()).add(one)
    found = dict(pending)
    for step_id, step in pending.items():  # in the order of their chains, so that one pass is enough
        if any(states.get(each) in LOST for each in before.get(step_id, ())):
            states[step_id] = SKIPPED
            found[step_id] = replace(step, state=SKIPPED)
    return found


def _edges_to_pending(known: Iterable[Sighting], seen: Collection[str]) -> Iterable[tuple[str, str, str]]:
    for task in known:
        before = task.id
        for step_id, _, _ in task.next_steps or ():
            if step_id and step_id not in seen:
                yield before, step_id, "published"
            before = step_id or before
        if task.chord_id and task.chord_id not in seen:
            yield task.id, task.chord_id, "chord"


def _step(task: Sighting) -> Step:
    return Step(
        task.id, str(task.state), task.name, task.queue, task.broker, task.worker, task.retries, task.group_id,
        task.sent_at, task.started_at, task.ended_at if task.ended_at and task.ended_at >= (task.started_at or 0)
        else None, task.seconds, task.exception,
    )  # fmt: skip


def _parts(ids: list[str]) -> Iterable[list[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
