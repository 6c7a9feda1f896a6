"""What ``yard dead list``, ``show`` and ``drop`` do.

Arguments are printed only where they are asked for: they may hold addresses, and secrets such as the link of a
password reset.  That goes for the body and for the two headers in which Celery repeats the arguments.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
import typer

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.tables import console, print_table
from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import InvalidSubmission
from services.core.usecases.letters import (
    LetterCounts,
    LetterEntry,
    LetterView,
    as_plain,
    count_kept,
    drop_letters,
    list_letters,
    the_letter,
)
from shared.dead_letters import DeadLetter, Reason
from shared.errors import UnknownBroker, did_you_mean
from shared.replaying import NotReplayable, arguments_of, why_not
from shared.worker.keeping import left_out

AGE = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
WITH_ARGUMENTS = ("argsrepr", "kwargsrepr")
WIDEST_CAUSE = 80


def letter_filter(
    *,
    numbers: Collection[int] | None,
    queue: str | None,
    task: str | None,
    reason: str | None,
    broker: str | None,
    since: str | None,
    until: str | None,
    task_id: str | None,
    workflow: str | None,
    text: str | None,
    replayed: bool | None = False,
    everything: bool = True,
) -> LetterFilter:
    """Return the filter of a command line.

    Raises:
        InvalidSubmission: A time or a reason can't be understood, or nothing says which letters are meant.
        UnknownBroker: The fleet has no such broker.
    """
    which = LetterFilter(
        numbers=tuple(numbers or ()),
        queue=queue,
        task=task,
        reason=_reason(reason) if reason else None,
        broker=_broker(broker) if broker else None,
        since=instant(since) if since else None,
        until=instant(until) if until else None,
        task_id=task_id,
        workflow=workflow,
        text=text,
        replayed=replayed,
    )
    if not everything and which == LetterFilter():
        raise InvalidSubmission("Say which dead letters are meant: by number, by a filter, or all with --all.")
    return which


def instant(text: str) -> datetime:
    """Return the instant that is meant by an age such as ``2h``, or by a time in ISO 8601, in UTC without a zone.

    Raises:
        InvalidSubmission: It is neither.
    """
    if found := AGE.fullmatch(text):
        return datetime.now(UTC) - age(text, found)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidSubmission(f"{text!r} is no time: write 30m, 2h or 7d, or 2026-11-21T09:30.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def age(text: str, found: re.Match[str] | None = None) -> timedelta:
    """Return a length of time such as ``2h``.

    Raises:
        InvalidSubmission: It is none.
    """
    found = found or AGE.fullmatch(text)
    if not found:
        raise InvalidSubmission(f"{text!r} is no length of time: write 90s, 30m, 2h or 7d.")
    try:
        return timedelta(**{UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise InvalidSubmission(f"{text!r} is longer than any calendar.") from None


def print_letters(ledger: Ledger, which: LetterFilter, *, after: int, limit: int, as_json: bool) -> None:
    """Print one line for each dead letter, and what the limits have cost."""
    page = list_letters(ledger, which, after=after, limit=limit)
    counts, missing = count_kept(ledger, which), _left_out()
    if as_json:
        told = {
            "letters": [as_plain(entry) for entry in page.entries],
            "after": page.after,
            "matching": counts.kept,
            "removed": {"expired": counts.expired, "over_limit": counts.over_limit},
            "left_out": missing,
        }
        typer.echo(json.dumps(told, indent=2, default=str))
        return
    rows = [
        (
            str(entry.number), f"{entry.died_at:%F %T}", _told(entry), entry.task or "–", entry.task_id or "–",
            entry.queue, _first_line(entry.detail),
        )
        for entry in page.entries
    ]  # fmt: skip
    if rows:
        print_table(("number", "taken out", "reason", "task", "task id", "queue", "why"), rows)
    for line in _footer(counts, len(rows), page.after, missing):
        console().print(line, markup=False, highlight=False)


def print_letter(ledger: Ledger, number: int, *, arguments: bool, as_json: bool) -> None:
    """Print all of a dead letter; its arguments only if they are asked for.

    Raises:
        UnknownId: There is none of this number.
    """
    view = the_letter(ledger, number)
    told = _whole(view, arguments=arguments)
    if as_json:
        typer.echo(json.dumps(told, indent=2, default=str))
        return
    traceback = told.pop("traceback")
    rows = [(name.replace("_", " "), _cell(value)) for name, value in told.items() if value not in (None, {}, "")]
    print_table(("", ""), rows)
    if traceback:
        typer.echo(f"\n{traceback.rstrip()}")
    refusal = why_not(view.letter)
    if refusal:
        typer.echo(f"\nIt can't be replayed: {refusal}.")


def drop(ledger: Ledger, which: LetterFilter, *, limit: int | None, yes: bool) -> int:
    """Remove dead letters for good; return the exit code."""
    there = count_kept(ledger, which).kept
    count = there if limit is None else min(there, limit)
    if not count:
        typer.echo("No dead letter matches.")
        return exit_codes.OK
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Drop {count} dead letters for good?", err=True)):
        typer.echo(f"yard: {count} dead letters match, and none was dropped; --yes drops them.", err=True)
        return exit_codes.REFUSED
    typer.echo(f"Dropped {drop_letters(ledger, which, count)} dead letters.")
    return exit_codes.OK


def _whole(view: LetterView, *, arguments: bool) -> dict[str, Any]:
    letter, headers = view.letter, dict(view.letter.headers or {})
    if not arguments:
        headers = {name: value for name, value in headers.items() if name not in WITH_ARGUMENTS}
    told = {
        **as_plain(view.entry),
        "parent_id": letter.header("parent_id"),
        "stamps": headers.get("stamps"),
        "origin": letter.header("origin"),
        "headers": headers,
        "properties": letter.properties,
        "content_type": letter.content_type,
        "bytes": len(letter.body),
        "traceback": letter.traceback,
    }
    if arguments:
        told["arguments"] = _arguments(letter, letter.body)
        if view.edited_body is not None:
            told["edited_arguments"] = _arguments(letter, view.edited_body)
    return told


def _arguments(letter: DeadLetter, body: bytes) -> Any:
    try:
        args, kwargs, embedded = arguments_of(replace(letter, body=body))
    except NotReplayable:
        return body.decode(errors="backslashreplace")
    return {"args": args, "kwargs": kwargs, "embedded": embedded}


def _footer(counts: LetterCounts, shown: int, after: int | None, missing: dict[str, int] | None) -> list[str]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.by_reason.items()))
    lines = [f"{counts.kept} dead letters match ({reasons})." if counts.kept else "No dead letter matches."]
    if after is not None:
        lines.append(f"{shown} are shown; go on with --after {after}.")
    if counts.over_limit:
        lines.append(f"{counts.over_limit} were removed, for their queues had more than the ledger keeps.")
    if counts.expired:
        lines.append(f"{counts.expired} were removed, for they were too old.")
    for alias, count in (missing or {}).items():
        lines.append(f"{count} failures were not kept on broker {alias}, which had too many or did not take them.")
    if missing is None:
        lines.append("Whether brokers left some out is unknown: shared state does not answer.")
    return lines


def _left_out() -> dict[str, int] | None:
    try:
        return left_out(app)
    except (redis.RedisError, OSError):
        return None


def _reason(text: str) -> Reason:
    known = {str(reason): reason for reason in Reason}
    wanted = text.replace("_", " ").replace("-", " ").lower()
    if wanted not in known:
        raise InvalidSubmission(f"There is no reason {text!r}.{did_you_mean(wanted, known)}")
    return known[wanted]


def _broker(alias: str) -> str:
    if alias not in app.brokers:
        raise UnknownBroker.named(alias, app.brokers)
    return alias


def _told(entry: LetterEntry) -> str:
    return entry.reason + (", replayed" if entry.replayed_at else "") + (", edited" if entry.edited else "")


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= WIDEST_CAUSE else f"{line[: WIDEST_CAUSE - 1]}…"


def _cell(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
