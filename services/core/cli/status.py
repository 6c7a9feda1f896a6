"""What ``yard status`` prints: brokers, depths, workers, the outbox, processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import typer
from kombu.exceptions import OperationalError

from services.core.app import app
from services.core.bootstrap import ledger
from services.core.cli import exit_codes
from services.core.cli.tables import console, print_table
from services.core.fleet_view.tasks import status_of_history
from services.core.history.search import HistoryStatus
from services.core.ledger.errors import LedgerUnavailable
from services.core.local.state import read_state
from services.core.usecases.letters import LetterCounts, count_kept
from services.core.usecases.outbox_lag import OutboxLag, outbox_lag
from shared.brokers import Broker
from shared.depths import QueueDepth, measured_by
from shared.queues import QUEUES
from shared.settings import load_settings

WORKERS_ANSWER_WITHIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """One broker as it answers now."""

    alias: str
    url: str
    """Without its password."""
    up: bool
    queues: list[QueueDepth]
    workers: list[str]
    """The names of the workers that answered."""


def print_status(*, as_json: bool) -> int:
    """Print how the fleet stands; return the exit code, 3 when a broker does not answer."""
    brokers = broker_statuses()
    outbox, letters, history = _outbox(), _letters(), _history()
    state = read_state(load_settings().home)
    if as_json:
        told = {
            "brokers": [asdict(broker) for broker in brokers],
            "outbox": asdict(outbox) if outbox else None,
            "dead_letters": asdict(letters) if letters else None,
            "history": history._asdict() if history else None,
            "local": state.model_dump(mode="json") if state else None,
        }
        typer.echo(json.dumps(told, indent=2, default=str))
    else:
        _print_brokers(brokers)
        console().print(f"\n{_outbox_line(outbox)}", markup=False, highlight=False)
        console().print(_letters_line(letters), markup=False, highlight=False)
        console().print(_history_line(history), markup=False, highlight=False)
        if state:
            rows = [
                (service.name, service.phase, str(service.restarts), _ports(service.ports))
                for service in state.services.values()
            ]
            console().print()
            print_table(("process", "state", "restarts", "ports"), rows)
    return exit_codes.OK if all(broker.up for broker in brokers) else exit_codes.OUT_OF_REACH


def broker_statuses() -> list[BrokerStatus]:
    """Ask every broker for its queues, and its workers for their names."""
    statuses = []
    for measuring in measured_by(app.brokers, QUEUES):
        broker = app.brokers[measuring.alias]
        depths = measuring.measure()
        workers = [] if depths is None else _workers(broker)
        statuses.append(BrokerStatus(broker.alias, broker.masked_url, depths is not None, depths or [], workers))
    return statuses


def _outbox() -> OutboxLag | None:
    file = ledger().file
    if file is not None and not file.exists():
        return None  # SQLite would make an empty one
    try:
        return outbox_lag(ledger())
    except LedgerUnavailable:
        return None


def _outbox_line(outbox: OutboxLag | None) -> str:
    if outbox is None:
        return "outbox: unknown, the ledger does not answer"
    waiting = f"{outbox.entries} wait to be published, the oldest for {outbox.seconds:.0f} s" if outbox.entries else ""
    error = f" ({outbox.error})" if outbox.error else ""
    relay = "" if outbox.relay_at_work else "; no relay is at work"
    return f"outbox: {waiting or 'empty'}{error}{relay}"


def _letters() -> LetterCounts | None:
    file = ledger().file
    if file is not None and not file.exists():
        return None
    try:
        return count_kept(ledger())
    except LedgerUnavailable:
        return None


def _letters_line(letters: LetterCounts | None) -> str:
    if letters is None:
        return "dead letters: unknown, the ledger does not answer"
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(letters.by_reason.items()))
    removed = f"; {letters.over_limit} were removed, for their queues had too many" if letters.over_limit else ""
    return f"dead letters: {f'{letters.kept} ({reasons}); see yard dead list' if letters.kept else 'none'}{removed}"


def _history() -> HistoryStatus | None:
    file = ledger().file
    if file is not None and not file.exists():
        return None
    try:
        return status_of_history(ledger())
    except LedgerUnavailable:
        return None


def _history_line(history: HistoryStatus | None) -> str:
    if history is None:
        return "history: unknown, the ledger does not answer"
    dropped = f"; {history.dropped} tasks are missing, recorders had no room for them" if history.dropped else ""
    return f"history: {'kept; see yard tasks' if history.at_work else 'not kept, no recorder is at work'}{dropped}"


def _workers(broker: Broker) -> list[str]:
    try:
        with app.on_broker(broker.alias):
            answers: dict[str, Any] = app.control.inspect(timeout=WORKERS_ANSWER_WITHIN_SECONDS).ping() or {}
    except OperationalError:
        return []
    return sorted(answers)


def _print_brokers(brokers: list[BrokerStatus]) -> None:
    rows = [
        (broker.alias, broker.url, "up" if broker.up else "down", ", ".join(broker.workers) or "none")
        for broker in brokers
    ]
    print_table(("broker", "url", "state", "workers"), rows)
    console().print()
    print_table(("queue", "broker", "ready", "held by workers"), list(_depth_rows(brokers)))


def _depth_rows(brokers: list[BrokerStatus]) -> list[tuple[str, str, str, str]]:
    known = {(broker.alias, depth.queue): depth for broker in brokers for depth in broker.queues}
    up = {broker.alias for broker in brokers if broker.up}
    rows = []
    for spec in QUEUES:
        depth = known.get((str(spec.broker), spec.name))
        missing = "not made yet" if spec.broker in up else "unknown"
        held = "unknown" if depth is None or depth.unacknowledged is None else str(depth.unacknowledged)
        rows.append((spec.name, str(spec.broker), str(depth.ready) if depth else missing, held))
    return rows


def _ports(ports: dict[str, int]) -> str:
    return ", ".join(f"{name} {port}" for name, port in ports.items())
