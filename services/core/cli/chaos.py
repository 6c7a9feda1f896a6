"""Runs a scenario of faults and prints its report."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

import typer

from services.core.chaos.amounts import Amounts, Scenario
from services.core.chaos.containers.scenario import TARGETS as CONTAINER_TARGETS
from services.core.chaos.containers.scenario import play_in_containers
from services.core.chaos.course import Run, faults_of
from services.core.chaos.report import Report
from services.core.chaos.scenario import TARGETS, play
from services.core.chaos.schedule import Targets
from services.core.chaos.stock_scenario import TARGETS as STOCK_TARGETS
from services.core.chaos.stock_scenario import play_stock
from services.core.cli import exit_codes
from services.core.local.state import clear_home
from shared.errors import ConfigurationError, did_you_mean
from shared.settings import load_settings


class Subject(StrEnum):
    """What is put to the test."""

    LOCAL = "local"
    """The fleet, as processes of this machine."""
    CONTAINERS = "containers"
    """The fleet of ``compose.yaml``."""
    STOCK = "stock"
    """Plain Celery."""


PLAYS: Mapping[Subject, tuple[Targets, Callable[..., Report]]] = {
    Subject.LOCAL: (TARGETS, play),
    Subject.CONTAINERS: (CONTAINER_TARGETS, play_in_containers),
    Subject.STOCK: (STOCK_TARGETS, play_stock),
}


def run_chaos(
    scenario: str, subject: Subject, *, seed: int, minutes: float, work: Mapping[str, int], home: Path, as_json: bool
) -> int:
    """Run a scenario; return the exit code, 0 only if nothing was lost and no effect repeated.

    Args:
        scenario: The name of one.
        subject: What is put to the test.
        seed: Chooses the faults.
        minutes: For how long they happen.
        work: The numbers of ``recipients``, ``files``, ``chords`` and ``mails``.
        home: Folder for everything that is written; what an earlier run left there is removed.
        as_json: Print the report as JSON, and nothing else.

    Raises:
        ConfigurationError: There is no such scenario, it has no work, the folder holds something else, or there is no
            container engine.
        LocalFleetError: The fleet can't be started; nothing of it is left.
    """
    chosen = _scenario(scenario)
    run = Run(scenario=chosen, amounts=Amounts.of(chosen, **work), seed=seed, seconds=minutes * 60)
    _refuse_elsewhere()
    home = home.resolve()
    clear_home(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tell = _silent if as_json else typer.echo
    targets, play_it = PLAYS[subject]
    for fault in faults_of(run, targets):
        tell(f"  {fault}")
    report = play_it(run, home, tell=tell)
    typer.echo(json.dumps(report.as_json(), indent=2) if as_json else "\n".join(report.lines()))
    return exit_codes.OK if report.holds else exit_codes.FAILED


def _scenario(name: str) -> Scenario:
    try:
        return Scenario(name)
    except ValueError:
        known = [str(scenario) for scenario in Scenario]
        raise ConfigurationError(f"There is no scenario {name!r}.{did_you_mean(name, known)}") from None


def _refuse_elsewhere() -> None:
    """Refuse a ledger or a storage that is not the run's own: faults are no good for real work."""
    settings = load_settings()
    for name in ("database_url", "storage_root", "run_dir"):
        if getattr(settings, name) is not None:
            raise ConfigurationError(f"YARD_{name.upper()} is set: chaos runs on what it makes itself. Unset it.")


def _silent(_: str) -> None:
    """Tell nobody."""
