"""An SMTP server that takes everything and keeps nothing: ``python -m benchmarks.smtp_sink PORT``.

It speaks what clients of a relay need, also pipelined (RFC 2920), as fast as Python can.
"""

from __future__ import annotations

import asyncio
import sys

END = b"\r\n.\r\n"
ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-SIZE 20000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
OK = b"250 OK\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._held = b""
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer the commands of a piece, and let go of content."""
        self._held += data
        answers: list[bytes] = []
        while (answer := self._next()) is not None:
            answers.append(answer)
        if answers:
            self._transport.write(b"".join(answers))

    def _next(self) -> bytes | None:
        """Take one command or one message from what is held; return the answer, or ``None`` when more has to come."""
        end = self._held.find(END if self._in_content else b"\r\n")
        if end < 0:
            return None
        if self._in_content:
            self._held, self._in_content = self._held[end + len(END) :], False
            return OK
        command, self._held = self._held[:4].upper(), self._held[end + 2 :]
        self._in_content = command == b"DATA"
        return ANSWERS.get(command, OK)


async def serve(port: int) -> None:
    """Serve for good."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
