"""How ``yard inspect`` and ``yard control`` show what workers answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.text import Text

from services.core.cli.tables import print_table
from shared.asking import Answers

Row = tuple[str, ...]


def print_answers(command: str, answers: Sequence[Answers]) -> None:
    """Print the answer of each worker with its broker: as a table where rows fit it, else as a block of text."""
    found = [(node, each.broker, answer) for each in answers for node, answer in sorted(each.workers.items())]
    if not found:
        return
    if command in BLOCKS and not all(failed(answer) for _, _, answer in found):
        for node, broker, answer in found:
            typer.secho(f"{node} ({broker})", bold=True)
            typer.echo("\n".join(f"  {line}" for line in _block(answer).splitlines()))
        return
    columns, rows_of = TABLES.get(command, ANSWER)
    rows: list[Sequence[str | Text]] = []
    for node, broker, answer in found:
        if failed(answer):
            rows.append((node, broker, Text(_plain(answer), style="red"), *[""] * (len(columns) - 1)))
        else:
            rows += [(node, broker, *row) for row in rows_of(answer) or [("–",) * len(columns)]]
    print_table(("worker", "broker", *columns), rows)


def failed(answer: Any) -> bool:
    """Tell whether an answer says that a worker could not do it."""
    return isinstance(answer, Mapping) and "error" in answer


def _plain(answer: Any) -> str:
    """Return an answer as one line."""
    if isinstance(answer, Mapping) and len(answer) == 1:
        (answer,) = answer.values()
    return answer if isinstance(answer, str) else "done" if answer is None else json.dumps(answer, default=str)


def _block(answer: Any) -> str:
    if isinstance(answer, Mapping) and set(answer) == {"ok"}:
        return str(answer["ok"]).strip()
    return json.dumps(answer, indent=2, sort_keys=True, default=str)


def _tasks(requests: Iterable[Mapping[str, Any]]) -> list[Row]:
    return [(*_task(request), _since(request.get("time_start"))) for request in requests]


def _scheduled(waiting: Iterable[Mapping[str, Any]]) -> list[Row]:
    return [(*_task(each["request"]), str(each.get("eta") or "–")) for each in waiting]


def _task(request: Mapping[str, Any]) -> Row:
    return str(request["name"]), str(request["id"]), str((request.get("delivery_info") or {}).get("routing_key", "–"))


def _since(began: Any) -> str:
    return datetime.fromtimestamp(began, UTC).isoformat(" ", "seconds") if began else "–"


def _queried(found: Mapping[str, Sequence[Any]]) -> list[Row]:
    return [(str(state), *_task(request)) for state, request in found.values()]


ANSWER: tuple[Row, Callable[[Any], list[Row]]] = ("answer",), lambda answer: [(_plain(answer),)]
TABLES: Mapping[str, tuple[Row, Callable[[Any], list[Row]]]] = {
    "active": (("task", "id", "routing key", "since"), _tasks),
    "reserved": (("task", "id", "routing key", "since"), _tasks),
    "scheduled": (("task", "id", "routing key", "due"), _scheduled),
    "query_task": (("state", "task", "id", "routing key"), _queried),
    "revoked": (("id",), lambda ids: [(str(each),) for each in ids]),
    "registered": (("task",), lambda names: [(str(name),) for name in names]),
    "active_queues": (
        ("queue", "routing key"),
        lambda queues: [(str(queue["name"]), str(queue["routing_key"])) for queue in queues],
    ),
}
"""The columns of a command, and what makes rows of an answer."""
BLOCKS = frozenset({"stats", "report", "conf", "memdump"})
