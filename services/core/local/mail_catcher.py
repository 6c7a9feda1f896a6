"""A local SMTP server that keeps each message as a file instead of sending it on.

Some recipients get an error, so that failures can be tried out:

* a local part that begins with ``soft-fail`` gets 451 at the first two tries and is accepted then;
* a local part that begins with ``hard-fail`` gets 550 every time.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

SOFT_FAIL = "soft-fail"
HARD_FAIL = "hard-fail"
SOFT_FAILURES = 2
"""How often a ``soft-fail`` recipient is refused before it is accepted."""

ENVELOPE_HEADER = "X-Envelope-To"
"""The header, first in each kept message, that holds the recipients of the envelope."""


def run(
    folder: Path, host: str = "127.0.0.1", port: int = 0, port_file: Path | None = None, *, answer_after: float = 0.0
) -> None:
    """Take mail until SIGTERM or SIGINT comes.

    A message is answered with 250 when its file is there; a file is there whole or not at all.

    Args:
        folder: Gets one ``.eml`` file for each message, whose name sorts by arrival; made if missing.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        port_file: Gets the port, in decimal, once the server listens.
        answer_after: Seconds until the answer to a message, as of a relay that is busy or far away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve(Catcher(folder, answer_after), host, port, port_file))


class Catcher:
    """What the server does with recipients and messages; the handler that aiosmtpd calls."""

    def __init__(self, folder: Path, answer_after: float = 0.0) -> None:
        self._folder = folder
        self._answer_after = answer_after
        self._tries: Counter[str] = Counter()
        self._last = 0

    async def handle_RCPT(  # noqa: N802  (aiosmtpd finds the method by this name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a recipient, but for those that ask for an error."""
        if address.startswith(HARD_FAIL):
            return "550 5.1.1 No such recipient, as its name asks for"
        if address.startswith(SOFT_FAIL):
            self._tries[address] += 1
            if self._tries[address] <= SOFT_FAILURES:
                return "451 4.3.0 Try again later, as its name asks for"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a message as a file."""
        recipients = ", ".join(envelope.rcpt_tos)
        content = envelope.original_content or b""
        name = self._next_name()
        unfinished = self._folder / f".{name}.tmp"
        unfinished.write_bytes(f"{ENVELOPE_HEADER}: {recipients}\r\n".encode() + content)
        unfinished.rename(self._folder / name)
        await asyncio.sleep(self._answer_after)
        return f"250 OK, kept as {name}"

    def _next_name(self) -> str:
        self._last = max(time.time_ns(), self._last + 1)
        return f"{self._last:020}.eml"


async def _serve(catcher: Catcher, host: str, port: int, port_file: Path | None) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    session = partial(SMTP, catcher, hostname="localhost", ident="Switchyard", enable_SMTPUTF8=True)
    server = await loop.create_server(session, host, port)
    if port_file is not None:
        _write_whole(port_file, str(server.sockets[0].getsockname()[1]))
    await stopped.wait()
    # Not waited for: clients keep their connections open between messages.
    server.close()


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(text)
    unfinished.rename(path)
