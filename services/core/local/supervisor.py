"""The process that keeps a detached fleet together: ``python -m services.core.local.supervisor --home FOLDER``."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import time
from pathlib import Path
from types import FrameType

from services.core.local.fleet import LocalFleet
from services.core.local.rolling import serve_request, take_request
from services.core.local.specs import Planner
from services.core.local.state import Phase
from shared.errors import FleetError
from shared.logs import log_to_stderr

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
SWITCHYARD = "services.core.local.plan:switchyard_plan"


def main(arguments: list[str] | None = None) -> int:
    """Run a fleet until SIGTERM or SIGINT comes; return the exit code, 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="services.core.local.supervisor", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder for everything that the fleet writes")
    parser.add_argument("--plan", default=SWITCHYARD, help="module:function that says what to run (%(default)s)")
    options = parser.parse_args(arguments)
    log_to_stderr("supervisor")
    interrupt = Interrupt()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, interrupt)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with LocalFleet(options.home, _planner(options.plan), progress=_log) as fleet:
            take_request(fleet.home)  # nobody waits for what was asked of a fleet before this one
            while not interrupt.came:
                time.sleep(LOOK_SECONDS)
                serve_request(fleet.home, fleet.restart)
    except KeyboardInterrupt:
        return 0
    except FleetError as error:
        logger.error("%s", error)  # noqa: TRY400 - says all that there is to say
        return 1
    return 0


class Interrupt:
    """Raises ``KeyboardInterrupt`` when a signal comes, and remembers it.

    What is raised while Python calls a finalizer is swallowed: ``came`` tells of it all the same.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler
        """Take the signal."""
        self.came = True
        raise KeyboardInterrupt


def _planner(name: str) -> Planner:
    module, _, function = name.partition(":")
    planner: Planner = getattr(importlib.import_module(module), function)
    return planner


def _log(name: str, phase: Phase) -> None:
    logger.info("%s: %s", name, phase)


if __name__ == "__main__":
    raise SystemExit(main())
