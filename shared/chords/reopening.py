"""Lets a chord that failed go on when what failed is tried again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery import states
from kombu.utils.json import loads

from shared.chords.record import ends_of
from shared.errors import ResultUnavailable

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


def reopen(app: FleetCelery, headers: Mapping[str, Any], embedded: Mapping[str, Any] | None) -> list[str]:
    """Reopen the chords that failed because of a task, which is about to be published again under the same id.

    Each waits for that task anew, for as long as it did at first.  When all members have succeeded then, its body runs,
    once.  Should one fail again, the chord has failed as before: its errbacks, which have been called, are not called
    again.  A chord of which it is a member in turn, as a step of a nested canvas, is reopened too.  To call it again
    changes nothing.

    Args:
        app: The fleet; it needs shared state.
        headers: The headers of the task's message.
        embedded: What comes after the task, the third part of its body; ``None`` where that can't be read.

    Returns:
        The ids of the chords that wait for it now.  None where it is no member of one, where the chord has had its
        body, or is not known any more: a failed chord is kept for a day, or for as long as results are.

    Raises:
        redis.RedisError, OSError: Shared state or the result store does not answer; some chords may be reopened.
    """
    if not app.chords.configured:
        return []
    reopened: list[str] = []
    waiting = list(_memberships(headers, embedded))
    while waiting:
        chord, task_id = waiting.pop()
        record = app.chords.load(chord)
        if record is None:
            continue
        _forget_failure(app, task_id)
        if app.chords.reopen(chord, task_id):
            reopened.append(chord)
            waiting += _members(ends_of(loads(record.body)))
            waiting += _members(end for step in _steps_after(loads(record.body)) for end in ends_of(step))
    return reopened


def _forget_failure(app: FleetCelery, task_id: str) -> None:
    """Forget what is stored of the failure: the watch would take it for the end of the new try."""
    with suppress(ResultUnavailable):  # a large result, so it did not fail
        if app.backend.get_task_meta(task_id, cache=False)["status"] in states.PROPAGATE_STATES:
            app.backend.forget(task_id)


def _memberships(headers: Mapping[str, Any], embedded: Mapping[str, Any] | None) -> Iterable[tuple[str, str]]:
    """Yield chords and the ids under which a task, or the end of its chain, reports to them."""
    is_member = embedded is None or embedded.get("chord")  # the body of a chord bears the id of the group as well
    if is_member and headers.get("group") and headers.get("id"):
        yield str(headers["group"]), str(headers["id"])
    for step in (embedded or {}).get("chain") or ():
        yield from _members(ends_of(step))


def _members(ends: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for end in ends:
        options = end.get("options") or {}
        if options.get("chord") and options.get("group_id") and options.get("task_id"):
            yield str(options["group_id"]), str(options["task_id"])


def _steps_after(body: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    steps: Iterable[Mapping[str, Any]] = (body.get("options") or {}).get("chain") or ()
    return steps
