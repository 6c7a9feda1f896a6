"""The mail catcher, as a service of a fleet."""

from __future__ import annotations

import smtplib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.core.local import mail_catcher
from services.core.local.ports import LOOPBACK, free_ports
from services.core.local.processes import ChildProcess
from services.core.local.service import Service
from shared.settings import child_environment


class LocalMail(Service):
    """An SMTP server on a free port of the loopback interface that keeps each message as a file.

    Args:
        folder: Gets the messages.
        logs: Folder for ``mail.log``.
    """

    name = "mail"

    def __init__(self, folder: Path, *, logs: Path) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        self._server = ChildProcess(
            self.name,
            [sys.executable, "-m", "services.core.local.mail_service", str(folder), str(self.port)],
            log=logs / "mail.log",
            environment=child_environment(),
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The server."""
        return (self._server,)

    @property
    def ports(self) -> Mapping[str, int]:
        """The one port."""
        return {"smtp": self.port}

    def is_ready(self) -> bool:
        """Tell whether it answers a command."""
        try:
            with smtplib.SMTP(LOOPBACK, self.port, timeout=2) as client:
                return client.noop()[0] == 250
        except OSError:
            return False


if __name__ == "__main__":
    mail_catcher.run(Path(sys.argv[1]), host=LOOPBACK, port=int(sys.argv[2]))
