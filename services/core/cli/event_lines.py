"""``yard events``: the events of all brokers, a line for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from celery.utils.functional import LRUCache

from services.core.app import app
from services.core.cli import exit_codes
from shared.listening import FleetEvent, Found, Listening, Lost

REMEMBERED = 10_000
"""Tasks whose names are known while only their ids are told."""


def print_events(
    kinds: Sequence[str], brokers: Sequence[str], *, limit: int | None, seconds: float | None, as_json: bool
) -> int:
    """Print events as they arrive; return the exit code, 3 when a broker is lost at the end.

    Args:
        kinds: The types of event that are printed; all by default.
        brokers: Aliases of the brokers that are meant; all by default.
        limit: How many events to print; without end when ``None``.
        seconds: For how long; without end when ``None``.
        as_json: Print each event as a line of JSON.

    Raises:
        UnknownBroker: There is no such broker.
    """
    show = _as_json if as_json else Lines()
    lost: set[str] = set()
    printed = 0
    with Listening(app, brokers) as listening:
        for news in listening.news(seconds):
            match news:
                case Lost(alias, why):
                    lost.add(alias)
                    typer.echo(f"yard: {app.brokers[alias]} is out of reach: {why}", err=True)
                case Found(alias):
                    if alias in lost:
                        typer.echo(f"yard: {app.brokers[alias]} is back", err=True)
                    lost.discard(alias)
                case FleetEvent(event=event) if not kinds or event["type"] in kinds:
                    typer.echo(show(news))
                    printed += 1
                    if printed == limit:
                        break
    return exit_codes.OUT_OF_REACH if lost else exit_codes.OK


def _as_json(news: FleetEvent) -> str:
    return json.dumps({"broker": news.broker, **news.event}, default=str)


class Lines:
    """Shows events for a person: when, where, what, and the name of the task where it was told once."""

    def __init__(self) -> None:
        self._names = LRUCache(limit=REMEMBERED)

    def __call__(self, news: FleetEvent) -> str:
        """Return the line of an event."""
        event = news.event
        at = datetime.fromtimestamp(event["timestamp"]).astimezone().isoformat(" ", "milliseconds")
        told = [at, f"{news.broker:<10}", f"{event['type']:<16}", str(event["hostname"]), *self._task(event)]
        line = "  ".join(told).rstrip()
        return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)

    def _task(self, event: Mapping[str, Any]) -> list[str]:
        if "uuid" not in event:
            return []
        if event.get("name"):
            self._names[event["uuid"]] = event["name"]
        why = event.get("exception") or (f"{event['runtime']:.3f} s" if "runtime" in event else "")
        return [str(self._names.get(event["uuid"], "")), str(event["uuid"]), str(why)]
