"""Send mails through a running fleet, and tell what became of each: ``python -m examples.client ada@example.org``.

A client needs ``shared`` and the settings that say where the brokers are, and no code of a worker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from celery import group
from celery.exceptions import TimeoutError as NotInTime

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.producers import PublishFailed
from shared.queues import QUEUES
from shared.reports import MailOutcome
from shared.signatures import email
from shared.tasks import TASKS

DONE, SOME_FAILED, OUT_OF_REACH, UNDER_WAY = 0, 1, 3, 4
"""Exit codes, the same as those of ``yard``."""


def client_app() -> FleetCelery:
    """Make an app that knows Switchyard's brokers, queues and tasks, and make it current."""
    app = FleetCelery(
        "client",
        brokers=switchyard_brokers,
        queues=QUEUES,
        tasks=TASKS,
        defaults=switchyard_defaults,
        state=switchyard_state,
    )
    app.set_current()
    return app


def send(addresses: Sequence[str], template: str, name: str, seconds: float) -> list[MailOutcome | Exception]:
    """Send a mail to each address and wait for the outcomes.

    Args:
        addresses: Whom to send to.
        template: The name of a template.
        name: Its one variable.
        seconds: How long to wait for all of them.

    Returns:
        For each address what became of its mail, or the error that it failed with.

    Raises:
        PublishFailed: A broker did not take a message; ``sent`` says whether it may have arrived.
        NotInTime: Not all were done; they go on without this program.
    """
    mails = group(email.send(address, template, {"name": name}) for address in addresses)
    outcomes: list[MailOutcome | Exception] = mails.apply_async().get(timeout=seconds, propagate=False)
    return outcomes


def main() -> int:
    """Read the command line, send, print a line for each address."""
    parser = argparse.ArgumentParser(description="Send mails through a running fleet, and tell what became of each.")
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--template", default="welcome", help="name of a template (welcome)")
    parser.add_argument("--name", default="you", help="whom the mail greets (you)")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="how long to wait (60)")
    given = parser.parse_args()

    with client_app():
        try:
            outcomes = send(given.addresses, given.template, given.name, given.timeout)
        except PublishFailed as error:
            sys.stderr.write(f"{error}\n")
            return OUT_OF_REACH
        except NotInTime:
            sys.stderr.write("Not all mails are done; the fleet goes on with them.\n")
            return UNDER_WAY
    for address, outcome in zip(given.addresses, outcomes, strict=True):
        sys.stdout.write(f"{address}: {told(outcome)}\n")
    return SOME_FAILED if any(isinstance(outcome, Exception) for outcome in outcomes) else DONE


def told(outcome: MailOutcome | Exception) -> str:
    """Say what became of a mail."""
    return f"failed, {outcome}" if isinstance(outcome, Exception) else outcome["status"]


if __name__ == "__main__":
    sys.exit(main())
