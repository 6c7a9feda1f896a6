"""What is known of one task from some of its events: policy alone.

Events come late, twice, in any order, and several recorders hear the same ones.  So what is known is merged by rules
that do not depend on the order: what happened later wins, a first time stays the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

MOST_TEXT = 1024
"""Characters of arguments, results and exceptions that are kept; Celery's own bound of the first."""
MOST_TRACEBACK = 8192
MOST_NAME = 255


class TaskState(StrEnum):
    """Where a task was when it was last heard of."""

    SENT = "sent"
    """It was published, and no worker told of it."""
    RECEIVED = "received"
    """A worker has it, and it did not begin yet."""
    STARTED = "started"
    """A worker runs it."""
    RETRIED = "retried"
    """It failed, and was published again under the same id."""
    REJECTED = "rejected"
    """A worker took it out of its queue and did not run it to its end."""
    REVOKED = "revoked"
    """Somebody revoked it, it had expired, or its queue was purged."""
    FAILED = "failed"
    SUCCEEDED = "succeeded"


ORDER = {state: number for number, state in enumerate(TaskState)}
"""Of two states at the same instant, the later in this order is the later one."""
UNDER_WAY = (TaskState.SENT, TaskState.RECEIVED, TaskState.STARTED, TaskState.RETRIED)
ENDED = (TaskState.REJECTED, TaskState.REVOKED, TaskState.FAILED, TaskState.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What some events told of one task.  Times are seconds since the epoch, by the clock of whoever told."""

    id: str
    """Of the task."""
    state: TaskState
    """See below."""
    at: float
    """When it came into this state."""
    first_at: float
    """When it was first heard of."""
    name: str | None = None
    """Of the task, such as ``email.send``."""
    queue: str | None = None
    broker: str | None = None
    """The alias of the broker over which it was heard of."""
    worker: str | None = None
    """The worker that told of it last."""
    retries: int | None = None
    """How often it was tried again."""
    root_id: str | None = None
    """The first task of its workflow."""
    parent_id: str | None = None
    """The task that published it."""
    group_id: str | None = None
    chord_id: str | None = None
    """The body that waits for its group."""
    chord_task: str | None = None
    next_steps: tuple[tuple[str | None, str | None, str | None], ...] | None = None
    """Id, task and queue of the steps that follow in its chain."""
    args: str | None = None
    """As text, shortened."""
    kwargs: str | None = None
    """As text, shortened."""
    eta: str | None = None
    """Before when it does not begin."""
    sent_at: float | None = None
    received_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    """When an execution of it ended last."""
    seconds: float | None = None
    """Run time, in seconds."""
    result: str | None = None
    """As text, shortened."""
    exception: str | None = None
    """Of its last failure, as text, shortened."""
    traceback: str | None = None


PLAIN = tuple(field.name for field in fields(Sighting) if field.name not in {"id", "state", "at", "first_at"})
OF_THE_END = ("seconds", "result", "exception", "traceback")
"""Told together, when an execution ends."""
TIMES_TOLD = ("at", "first_at", "sent_at", "received_at", "started_at", "ended_at")
LATEST = ("received_at", "started_at", "ended_at")
KINDS = {f"task-{state}": state for state in TaskState}


def sighting(broker: str, event: Mapping[str, Any]) -> Sighting | None:
    """Return what an event tells of a task, or ``None`` if it is of another kind or makes no sense.

    Args:
        broker: The alias of the broker that it came over.
        event: As Celery sends it; anybody may, so that nothing in it is trusted.
    """
    state, task_id, at = KINDS.get(str(event.get("type"))), event.get("uuid"), event.get("timestamp")
    if state is None or not isinstance(task_id, str) or not isinstance(at, int | float) or len(task_id) > MOST_NAME:
        return None
    if not 0 < at < 253_402_300_800:  # the year 10000, where calendars end
        return None
    at = round(at, 6)  # as exact as the ledger is
    chord, worker = _step(event.get("chord")), None if state is TaskState.SENT else _name(event.get("hostname"))
    return Sighting(
        id=task_id,
        state=state,
        at=at,
        first_at=at,
        name=_name(event.get("name")),
        queue=_name(event.get("queue")),
        broker=broker,
        worker=worker,
        retries=_count(event.get("retries")),
        root_id=_name(event.get("root_id")),
        parent_id=_name(event.get("parent_id")),
        group_id=_name(event.get("group")),
        chord_id=chord[0],
        chord_task=chord[1],
        next_steps=tuple(map(_step, event["next"])) if isinstance(event.get("next"), list) else None,
        args=_text(event.get("args"), MOST_TEXT),
        kwargs=_text(event.get("kwargs"), MOST_TEXT),
        eta=_name(event.get("eta")),
        sent_at=at if state is TaskState.SENT else None,
        received_at=at if state is TaskState.RECEIVED else None,
        started_at=at if state is TaskState.STARTED else None,
        ended_at=at if state in ENDED or state is TaskState.RETRIED else None,
        seconds=_seconds(event.get("runtime")),
        result=_text(event.get("result"), MOST_TEXT),
        exception=_text(event.get("exception"), MOST_TEXT),
        traceback=_text(event.get("traceback"), MOST_TRACEBACK),
    )


def merged(one: Sighting, other: Sighting) -> Sighting:
    """Return what is known of a task from both.

    ``sent`` gives way to whatever a worker told, whatever the clocks of the two machines say.
    """
    first, last = sorted((one, other), key=_when)
    values = {name: _known(getattr(last, name), getattr(first, name)) for name in PLAIN}
    for name in LATEST:
        values[name] = max((at for at in (getattr(one, name), getattr(other, name)) if at is not None), default=None)
    values["sent_at"] = min((at for at in (one.sent_at, other.sent_at) if at is not None), default=None)
    ends = sorted((each for each in (one, other) if each.ended_at is not None), key=_end)
    for name in OF_THE_END:
        values[name] = getattr(ends[-1], name) if ends else None
    return replace(last, first_at=min(one.first_at, other.first_at), **values)


def _when(known: Sighting) -> tuple[bool, float, int]:
    return known.state is not TaskState.SENT, known.at, ORDER[known.state]


def _end(known: Sighting) -> tuple[Any, ...]:
    return known.ended_at, *(str(getattr(known, name)) for name in OF_THE_END)


def _known(later: Any, earlier: Any) -> Any:
    return earlier if later is None else later


def _name(told: Any) -> str | None:
    return told[:MOST_NAME] if isinstance(told, str) and told else None


def _text(told: Any, most: int) -> str | None:
    if told is None:
        return None
    text = told if isinstance(told, str) else repr(told)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _count(told: Any) -> int | None:
    return told if isinstance(told, int) and 0 <= told < 2**31 else None


def _seconds(told: Any) -> float | None:
    return float(told) if isinstance(told, int | float) and 0 <= told < 2**31 else None


def _step(told: Any) -> tuple[str | None, str | None, str | None]:
    if not isinstance(told, list | tuple):
        return None, None, None
    first, second, third = [*map(_name, told[:3]), None, None, None][:3]
    return first, second, third
