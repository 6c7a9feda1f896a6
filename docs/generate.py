#!/usr/bin/env python3
"""Bring the tables of the reference up to date with the code.

Each stands in its page between ``<!-- NAME: made by docs/generate.py -->`` and ``<!-- end -->``; all else in the page
is written by hand.  With ``--check`` nothing is written, and the exit code is 1 when a page is out of date.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from services.core.cli import exit_codes
from services.core.history.sightings import Sighting, TaskState
from services.core.ledger.engine import open_ledger
from services.core.ledger.migrations import upgrade
from services.core.observer import LEDGER_UP
from services.core.usecases.measures import ledger_measures
from shared import events
from shared.depths import Measured, QueueDepth
from shared.metrics import DelayedCollector, DepthCollector, TallyCollector, WorkerMetrics
from shared.priorities import LEAST_URGENT, MOST_URGENT
from shared.queues import QUEUES
from shared.secret import SecretStr
from shared.tallies import TALLIES
from shared.tasks import TASKS

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
METRIC_COLUMNS = ("metric", "type", "labels", "meaning")
REGION = re.compile(r"(<!-- (\S+): made by docs/generate.py -->\n).*?(<!-- end -->)", re.DOTALL)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table; an empty cell is a dash."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(str(cell) or "–" for cell in line) + " |\n" for line in lines)


def code(text: object) -> str:
    """Mark a word as one of the code's."""
    return f"`{text}`"


def described(path: str) -> dict[str, str]:
    """Return the sentence below each assignment of a module and of its classes, by name: ``name``, ``Class.name``."""
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    bodies = [("", module.body)] + [
        (f"{node.name}.", node.body) for node in module.body if isinstance(node, ast.ClassDef)
    ]
    return {
        f"{prefix}{name}": one_line(text)
        for prefix, body in bodies
        for statement, following in pairwise(body)
        if (name := assigned(statement)) and (text := sentence(following))
    }


def assigned(statement: ast.stmt) -> str:
    """Return the name that a statement assigns to."""
    match statement:
        case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
            return name
    return ""


def sentence(statement: ast.stmt) -> str:
    """Return the text of a statement that is nothing but a text."""
    match statement:
        case ast.Expr(ast.Constant(str(text))):
            return text
    return ""


def one_line(text: str) -> str:
    """Fold a docstring into a cell, with the code's double ticks as single ones."""
    return " ".join(text.split()).replace("``", "`")


def queues() -> str:
    """Tell of every queue."""
    rows = [
        (
            code(spec.name), code(spec.broker), code(spec.service), code(spec.pool), spec.concurrency, spec.prefetch,
            f"{spec.soft_time_limit:g} s / {spec.time_limit:g} s" if spec.soft_time_limit and spec.time_limit else "",
        )
        for spec in QUEUES
    ]  # fmt: skip
    return table(("queue", "broker", "service", "pool", "concurrency", "prefetch", "soft / hard time limit"), rows)


def tasks() -> str:
    """Tell of every task."""
    rows = [(code(task.name), code(task.queue), f"{int(task.priority)}") for task in TASKS]
    return table(("task", "queue", "priority"), rows)


def exits() -> str:
    """Tell of every exit code of ``yard``."""
    meanings = described("services/core/cli/exit_codes.py")
    return table(
        ("code", "name", "meaning"), [(getattr(exit_codes, name), code(name), meanings[name]) for name in meanings]
    )


def event_records() -> str:
    """Tell of every event and its fields."""
    meanings = described("shared/events.py")
    return "\n".join(
        f"### {event.__name__}\n\n{one_line(event.__doc__ or '')}\n\n"
        + table(
            ("field", "type", "meaning"),
            [
                (
                    code(name),
                    code(kind.__forward_arg__).replace("|", "\\|"),
                    meanings.get(f"{event.__name__}.{name}", ""),
                )
                for name, kind in event.__annotations__.items()
            ],
        )
        for event in get_args(events.Event)
    )


def history() -> str:
    """Tell what the history knows of a task."""
    meanings = described("services/core/history/sightings.py")
    rows = [
        (code(field.name), code(field.type).replace("|", "\\|"), meanings.get(f"Sighting.{field.name}", ""))
        for field in fields(Sighting)
    ]
    return table(("field", "type", "meaning"), rows)


def task_states() -> str:
    """Tell of the states that a task may be in."""
    meanings = described("services/core/history/sightings.py")
    return table(
        ("state", "meaning"), [(code(state), meanings.get(f"TaskState.{state.name}", "")) for state in TaskState]
    )


def outcomes() -> str:
    """List the outcomes of an execution."""
    return ", ".join(code(outcome) for outcome in events.Outcome) + "\n"


def worker_metrics() -> str:
    """Tell what a worker serves, by counting one of each event."""
    served = {"queue": "broker"}
    metrics = WorkerMetrics("host", lambda: True, tasks=["task"], queues=served, served=served, processes=lambda: 1)
    metrics.on_event(events.TaskReceived("task", "queue", "broker", redelivered=False))
    metrics.on_event(events.TaskEnded("task", "queue", "broker", events.Outcome.FAILED, None, None))
    tallies = {(tally.name, tuple(f"{label}=" for label in tally.labels)): 1 for tally in TALLIES}
    return metric_table([*metrics.collect(), *TallyCollector("host", lambda: tallies).collect()])


def observer_metrics() -> str:
    """Tell what the observer serves, by measuring one broker."""
    delayed = DelayedCollector({"queue": "broker"}, dict)
    return metric_table([*DepthCollector([OneQueue()]).collect(), *delayed.collect()])


def ledger_metrics() -> str:
    """Tell what the observer reads in the ledger, by measuring an empty one."""
    with TemporaryDirectory() as folder:
        url = SecretStr(f"sqlite:///{folder}/ledger.db")
        upgrade(url)
        ledger = open_ledger(url)
        rows = [
            (code(measure.name), "gauge", ", ".join(map(code, measure.labels)), measure.meaning)
            for measure in (LEDGER_UP, *ledger_measures(ledger))
        ]
        ledger.close()
    return table(METRIC_COLUMNS, rows)


class OneQueue:
    """A broker of one queue."""

    alias = "broker"

    def look(self) -> Measured:
        """Return all that a broker can say."""
        depth = QueueDepth("queue", 1, 1, {LEAST_URGENT: 1, MOST_URGENT: 0}, consumers=1, oldest_seconds=1.0)
        return Measured([depth], dead=0)

    def measure(self) -> list[QueueDepth]:
        """Return its depth."""
        return self.look().queues


def metric_table(families: Iterable[Any]) -> str:
    """Tell of metrics: the name that is scraped, type, labels, meaning."""
    rows = []
    for family in families:
        name, kind = family.name, family.type
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        scraped = f"{name}_total" if kind == "counter" else name
        if not name.endswith("_created"):
            rows.append((code(scraped), kind, ", ".join(map(code, labels)), family.documentation))
    return table(METRIC_COLUMNS, rows)


def errors() -> str:
    """Draw the tree of everything that derives from ``FleetError``, with the module and the meaning of each."""
    classes = {node.name: (path, node) for path in modules() for node in classes_of(path)}
    children: dict[str, list[str]] = {}
    for name, (_, node) in classes.items():
        for base in node.bases:
            children.setdefault(ast.unparse(base), []).append(name)

    def lines(name: str, depth: int) -> Iterator[str]:
        path, node = classes[name]
        doc = one_line((ast.get_docstring(node) or "").partition("\n\n")[0])
        yield f"{'  ' * depth}- `{name}` ({'.'.join(path.relative_to(ROOT).with_suffix('').parts)}): {doc}\n"
        for child in sorted(children.get(name, ())):
            yield from lines(child, depth + 1)

    return "".join(lines("FleetError", 0))


def modules() -> Iterator[Path]:
    """Find the code."""
    for folder in ("shared", "services"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def classes_of(path: Path) -> Iterator[ast.ClassDef]:
    """Find the classes of a module."""
    return (node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef))


REGIONS: dict[str, Callable[[], str]] = {
    "queues": queues,
    "tasks": tasks,
    "exit-codes": exits,
    "events": event_records,
    "history": history,
    "task-states": task_states,
    "outcomes": outcomes,
    "worker-metrics": worker_metrics,
    "observer-metrics": observer_metrics,
    "ledger-metrics": ledger_metrics,
    "errors": errors,
}


def up_to_date(page: str) -> str:
    """Return a page with its regions made anew."""
    return REGION.sub(lambda found: f"{found[1]}\n{REGIONS[found[2]]()}\n{found[3]}", page)


def main() -> int:
    """Write every page that is out of date, or only tell of it."""
    stale = 0
    for path in sorted(DOCS.rglob("*.md")):
        page = path.read_text(encoding="utf-8")
        fresh = up_to_date(page)
        if fresh == page:
            continue
        if "--check" in sys.argv[1:]:
            sys.stdout.write(f"{path.relative_to(ROOT)} is out of date; run docs/generate.py\n")
            stale = 1
        else:
            path.write_text(fresh, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)} written\n")
    return stale


if __name__ == "__main__":
    sys.exit(main())
