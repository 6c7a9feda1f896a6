"""What ``yard workflows`` does: lists them, and draws one as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import typer

from services.core.app import app
from services.core.bootstrap import ledger
from services.core.cli import exit_codes
from services.core.cli.dead_letters import instant as instant_of
from services.core.cli.tables import console, print_table, printable
from services.core.cli.told import instant, seconds
from services.core.fleet_view.workflows import list_workflows, the_workflow
from services.core.history.workflows import Step, Workflow

UUID_LENGTH = 36
MARKS = {
    "succeeded": "✓", "failed": "✗", "revoked": "✗", "rejected": "✗", "skipped": "·", "started": "▶", "received": "…",
    "retried": "↻", "sent": "…", "pending": "○",
}  # fmt: skip


def print_workflows(*, since: str, limit: int, as_json: bool) -> int:
    """Print a line for each workflow; return the exit code.

    Raises:
        InvalidSubmission: The time can't be understood.
        LedgerUnavailable: The history does not answer.
    """
    found = list_workflows(ledger(), instant_of(since), limit)
    if as_json:
        typer.echo(json.dumps({"workflows": [each._asdict() for each in found]}, indent=2))
        return exit_codes.OK
    rows = [
        (instant(each.first_at), each.root_id, each.name or "–", str(each.tasks), str(each.under_way), str(each.failed))
        for each in found
    ]
    print_table(("begun", "first task", "task", "tasks", "under way", "failed"), rows)
    return exit_codes.OK


def print_workflow(task_id: str, *, most: int, as_json: bool) -> int:
    """Print a workflow as a tree, or all of it as JSON; return the exit code.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
        LedgerUnavailable: The history does not answer.
    """
    found = the_workflow(app, ledger(), task_id)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return exit_codes.OK
    lines = list(tree(found))
    for line in lines[:most]:
        console().print(printable(line))
    if len(lines) > most:
        typer.echo(f"… and {len(lines) - most} lines more; --steps shows them.")
    if not found.complete:
        typer.echo("yard: the workflow is larger than what is drawn.", err=True)
    return exit_codes.OK


def tree(found: Workflow) -> Iterator[str]:
    """Draw a workflow, a line for each step; what follows and stands above already is named at its end."""
    after: dict[str, list[str]] = {}
    for edge in found.edges:
        after.setdefault(edge.before, []).append(edge.after)
    steps = {step.id: step for step in found.steps}
    begun = {edge.after for edge in found.edges}
    firsts = [step.id for step in found.steps if step.id not in begun] or [step.id for step in found.steps[:1]]
    drawn: set[str] = set()
    # A stack in the place of recursion: a chain may have more steps than Python has frames.
    waiting = [(first, "", "") for first in reversed(firsts)]
    while waiting:
        step_id, indent, branch = waiting.pop()
        if step_id in drawn:
            continue
        drawn.add(step_id)
        following = [each for each in after.get(step_id, ()) if each in steps]
        above = "".join(f" → {steps[each].name} {short(each)}" for each in following if each in drawn)
        yield f"{indent}{branch}{line_of(steps[step_id])}{above}"
        fresh = [each for each in following if each not in drawn]
        waiting += _below(fresh, indent, branch, flat=len(following) == 1)


def line_of(step: Step) -> str:
    """Write one step: state, name, broker, run time, why it failed."""
    told = [MARKS.get(step.state, "?"), step.name or "unknown task", f"[{step.broker or '?'}]", step.state]
    if step.seconds is not None:
        told.append(seconds(step.seconds))
    if step.retries:
        told.append(f"try {step.retries + 1}")
    told.append(short(step.id))
    if step.exception and step.state != "succeeded":
        told.append(" ".join(step.exception.split())[:60])
    return " ".join(told)


def short(task_id: str) -> str:
    """Return enough of an id to tell it from others: the beginning of a random one, all of one that somebody chose."""
    return task_id[:8] if len(task_id) == UUID_LENGTH else task_id


def _below(ids: Sequence[str], indent: str, branch: str, *, flat: bool) -> list[tuple[str, str, str]]:
    """Return what to draw next, the last one first; what alone follows is not indented, so that chains stay flat."""
    inner = indent + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    if flat:
        return [(each, inner, "") for each in ids]
    return [(each, inner, "└─ " if each == ids[-1] else "├─ ") for each in reversed(ids)]
