"""How the loop of a worker reads what RabbitMQ sends: many messages in a turn.

kombu reads one, and comes back for the next after a turn of the loop, which costs more than the message.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from amqp.exceptions import RecoverableConnectionError

if TYPE_CHECKING:
    from shared.transports.rabbitmq import Connection as RabbitMQConnection

MOST_AT_ONCE = 64
LONGEST_SECONDS = 0.05
"""After this time the loop turns, for it has other work; in solo it also runs the tasks."""


class LoopReader:
    """Reads from one connection.

    What was read ahead shows in no socket that the loop could wait for.  As long as there is some, it waits for one
    that can always be read.

    Args:
        connection: The connection.
        loop: kombu's hub.
    """

    def __init__(self, connection: RabbitMQConnection, loop: Any) -> None:
        self._connection = connection
        self._loop = loop
        self._ready, self._writer = socket.socketpair()
        self._writer.send(b"!")
        self._goes_on = False

    def start(self) -> None:
        """Read whenever something comes."""
        self._loop.add_reader(self._connection.sock, self._read)
        self._loop.on_tick.add(self._look)
        self._loop.on_close.add(self._end)

    def _read(self) -> None:
        """Read what is there, for a while.

        Raises:
            OSError, amqp.RecoverableConnectionError: The connection is gone.
        """
        if not self._connection.connected:
            raise RecoverableConnectionError("Socket was disconnected")
        ends = monotonic() + LONGEST_SECONDS
        for _ in range(MOST_AT_ONCE):
            try:
                self._connection.drain_events(timeout=0)
            except TimeoutError:
                return
            if monotonic() > ends:
                return

    def _look(self) -> None:
        """Have the loop come back at once where something is at hand; called before it waits."""
        if not self._connection.connected:
            self._end()
        elif self._connection.transport.has_frame_at_hand != self._goes_on:
            self._goes_on = not self._goes_on
            if self._goes_on:
                self._loop.add_reader(self._ready, self._read)
            else:
                self._loop.remove_reader(self._ready)

    def _end(self, *_: Any) -> None:
        self._loop.on_tick.discard(self._look)
        self._loop.on_close.discard(self._end)
        if self._goes_on:
            self._loop.remove_reader(self._ready)
        self._ready.close()
        self._writer.close()
