"""Connecting a socket within the time that the caller has left, name lookup included."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from shared.deadlines import has_deadline, time_left

Address = tuple[Any, ...]


def dial(host: str, port: int, limit: float | None, prepare: Callable[[socket.socket], None]) -> socket.socket:
    """Connect to the first address of a host that answers.

    Args:
        host: A name or an address.
        port: The port.
        limit: Seconds that each address gets; less where a deadline is near.
        prepare: Sets options of the socket before it connects.

    Raises:
        OSError: The name is unknown, or no address answered.
    """
    error: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in addresses(host, port):
        connecting = socket.socket(family, kind, protocol)
        try:
            prepare(connecting)
            connecting.settimeout(time_left(limit))
            connecting.connect(address)
        except OSError as refused:
            connecting.close()
            error = refused
        else:
            return connecting
    raise error


def addresses(host: str, port: int) -> list[Address]:
    """Look a host up; under a deadline no longer than that allows.

    The resolver of the system knows no time limit: with a name server that does not answer it takes half a minute.
    A lookup that is given up goes on in a thread that ends with it.

    Raises:
        OSError: The name is unknown, or was not resolved in time.
    """
    if not has_deadline():
        return _look_up(host, port)
    with suppress(socket.gaierror):
        return _look_up(host, port, socket.AI_NUMERICHOST)
    answers: SimpleQueue[list[Address] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(_look_up(host, port))
        except OSError as error:
            answers.put(error)

    Thread(target=look_up, name="name-lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=time_left())
    except Empty:
        raise TimeoutError(f"the name {host} was not resolved in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    return socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM, flags=flags)
