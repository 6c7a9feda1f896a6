"""What can go wrong when a fleet runs on one machine.

::

    FleetError
    └── LocalFleetError
        ├── NotInstalled           a server's program is missing; says how to get it
        ├── StartFailed            a process ended, or did not answer in time; shows the end of its log
        ├── FleetAlreadyRunning    another fleet lives in the same folder
        └── NotRestarted           a process is not ready after its restart, or there is none to restart
"""

from __future__ import annotations

from shared.errors import FleetError


class LocalFleetError(FleetError):
    """The fleet on this machine could not do what was asked."""


class NotInstalled(LocalFleetError):
    """The program of a server is not on this machine."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed. Run deploy/local/get-brokers to get it.")


class StartFailed(LocalFleetError):
    """A process ended, or did not answer in time; the message ends with the last lines of its log."""


class FleetAlreadyRunning(LocalFleetError):
    """Another fleet lives in the same folder; it was left alone."""


class NotRestarted(LocalFleetError):
    """A process is not ready after its restart, or there is none to restart."""
