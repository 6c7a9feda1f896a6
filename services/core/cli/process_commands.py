"""Commands that become a process of the fleet, such as ``worker``, ``beat``, ``relay`` and ``recorder``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.command(rich_help_panel="Processes", context_settings={"ignore_unknown_options": True})(worker)
    app.command(rich_help_panel="Processes")(beat)
    app.command(rich_help_panel="Processes")(relay)
    app.command(rich_help_panel="Processes")(observer)
    app.command(rich_help_panel="Processes")(recorder)
    app.command(rich_help_panel="Processes")(migrate)


def worker(
    queues: Annotated[list[str], typer.Argument(metavar="QUEUE…", help="Queues of one broker and one service.")],
    name: Annotated[str, typer.Option(help="Node name before the @; the first queue's by default.")] = "",
    loglevel: Annotated[str, typer.Option("--loglevel", "-l", help="What is logged.")] = "INFO",
) -> None:
    """Serve queues with a worker, set up as the queue table says.

    It becomes `celery -A services.<service> worker -Q …`; give Celery's own options after `--`.

    \b
    Examples:
      yard worker email.critical
      yard worker file.images file.documents -- --concurrency=4
    """
    from shared.errors import ConfigurationError, UnknownQueue
    from shared.queues import QUEUES

    wanted = [queue for queue in queues if not queue.startswith("-")]
    options = [option for option in queues if option.startswith("-")]
    services = {spec.name: spec.service for spec in QUEUES}
    for queue in wanted:
        if queue not in services:
            raise UnknownQueue.named(queue, services)
    serving = {services[queue] for queue in wanted}
    if len(serving) != 1:
        raise ConfigurationError(f"These queues belong to {len(serving)} services; start a worker for each.")
    arguments = ["worker", "-Q", ",".join(wanted), "-n", f"{name or wanted[0]}@%h", "-l", loglevel, *options]
    _become_celery(serving.pop(), arguments)


def beat(loglevel: Annotated[str, typer.Option("--loglevel", "-l", help="What is logged.")] = "INFO") -> None:
    """Publish what is due by the clock; of several, one publishes each entry, and the others go on when it dies."""
    from shared.settings import load_settings

    home = load_settings().home
    home.mkdir(parents=True, exist_ok=True)
    _become_celery("core", ["beat", "-l", loglevel, "-s", str(home / "beat-schedule"), "--pidfile="])


def relay() -> None:
    """Publish what was accepted, as soon as its broker is there; any number may run at once."""
    from services.core.bootstrap import ledger
    from services.core.relay import run
    from shared.logs import log_to_stderr

    log_to_stderr("relay")
    run(ledger())


def observer() -> None:
    """Serve the depth of every queue and the health of every broker as metrics.

    The address is YARD_METRICS_HOST and YARD_METRICS_PORT.
    """
    from services.core.observer import run
    from shared.logs import log_to_stderr

    log_to_stderr("observer")
    run()


def recorder() -> None:
    """Keep the history of tasks, which `yard tasks` and `yard workflows` read; any number may run at once."""
    from services.core.bootstrap import ledger
    from services.core.history.recorder import run
    from shared.logs import log_to_stderr

    log_to_stderr("recorder")
    run(ledger())


def migrate() -> None:
    """Bring the tables of the ledger to those of this release; safe to run again."""
    from services.core.ledger.migrations import upgrade
    from shared.settings import load_settings

    upgrade(load_settings().ledger_url)
    typer.echo("The ledger is up to date.")


def _become_celery(service: str, arguments: list[str]) -> None:
    from shared.logs.setting_up import read_by_programs

    # Without a banner where a program reads the log: it is text, and no line of it.
    quiet = ["--quiet"] if read_by_programs(sys.stderr) else []
    command = [sys.executable, "-m", "celery", *quiet, "-A", f"services.{service}", *arguments]
    os.execv(sys.executable, command)  # noqa: S606
