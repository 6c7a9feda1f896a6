"""A thread's own connection to Redis, on which commands are sent ahead and their answers read later."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import ConnectionPool
from redis.connection import ConnectionInterface
from redis.exceptions import RedisError, ResponseError

from shared.redis_scripts import BROKEN, packed

Command = tuple[Any, ...]


class _Own(threading.local):
    def __init__(self) -> None:
        self.connection: ConnectionInterface
        self.pid = 0
        """Of the process that made the connection; 0 before there is one."""
        self.open: list[Command] = []
        """Commands without an answer, in order."""
        self.sent = 0
        """How many of them went out over this connection."""


class RedisLine:
    """Connections to one Redis, one for each thread, each made when it is first used.

    What breaks on the way is sent once more over a new connection, with all that has no answer yet.  So it is for
    commands that may be carried out twice.

    Args:
        pool: Makes the connections; it keeps none.
        lost: Told of each command that was sent ahead and failed, and why.
    """

    def __init__(self, pool: ConnectionPool, lost: Callable[[Command, Exception], None]) -> None:
        self._pool = pool
        self._lost = lost
        self._own = _Own()

    def tell(self, *command: Any) -> None:
        """Send a command and wait for nothing; its answer is read with the next one, or by :meth:`settle`."""
        own = self._adopted()
        own.open.append(command)
        with suppress(*BROKEN):  # it is sent again with the next one
            self._send(own)

    def ask(self, *command: Any) -> Any:
        """Send a command and return its answer.

        Raises:
            RedisError: There is none, or it is an error.
        """
        own = self._adopted()
        own.open.append(command)
        try:
            try:
                return self._answer(own)
            except BROKEN:
                return self._answer(own)
        except BROKEN as error:
            for other in own.open[:-1]:
                self._lost(other, error)
            own.open.clear()
            raise
        finally:
            if own.open:  # cut short, as by a time limit: it must not go out later
                own.open.pop()

    def settle(self) -> None:
        """Wait for the answers to all that was sent ahead."""
        own = self._adopted()
        if not own.open:
            return
        with suppress(RedisError):  # each command was told of
            self.ask("PING")

    def close(self) -> None:
        """Close the connection of this thread."""
        own = self._adopted()
        self._hang_up(own)
        own.open.clear()

    def _adopted(self) -> _Own:
        own = self._own
        if own.pid != os.getpid():
            # After a fork the connection belongs to the parent, and so does what was sent on it.
            own.connection, own.pid, own.open, own.sent = self._pool.make_connection(), os.getpid(), [], 0
        return own

    def _send(self, own: _Own) -> None:
        try:
            commands = b"".join(map(packed, own.open[own.sent :]))
            own.connection.send_packed_command([commands])  # type: ignore[no-untyped-call]
            own.sent = len(own.open)
        except BaseException:  # a time limit may strike anywhere, and half a command may be out
            self._hang_up(own)
            raise

    def _answer(self, own: _Own) -> Any:
        """Send what was not sent, read all answers, and return the last."""
        self._send(own)
        try:
            while True:
                try:
                    answer = own.connection.read_response()
                except ResponseError as error:
                    answer = error
                command = own.open.pop(0)
                own.sent -= 1
                if not own.open:
                    break
                if isinstance(answer, Exception):
                    self._lost(command, answer)
        except BaseException:  # a time limit may strike anywhere, and an answer may be half read
            self._hang_up(own)
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _hang_up(self, own: _Own) -> None:
        own.sent = 0
        own.connection.disconnect()  # type: ignore[no-untyped-call]
