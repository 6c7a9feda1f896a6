"""Ports on the loopback interface that nobody uses."""

from __future__ import annotations

import secrets
import socket

LOOPBACK = "127.0.0.1"
CANDIDATES = range(10_240, 30_000)
"""Below the range that Linux (32768 and up), macOS and IANA (49152 and up) give to outgoing connections.

A client that keeps dialling a stopped broker on a port of that range would sooner or later be given this
very port as its own end, connect to itself, and keep the broker from coming back.
"""

_given: set[int] = set()
"""What this process has got, and may not have begun to listen on yet."""


def free_ports(count: int) -> list[int]:
    """Find free ports, all of them different from those that this process has got before.

    Raises:
        OSError: None was found.
    """
    return [_next_free() for _ in range(count)]


def _next_free() -> int:
    for _ in CANDIDATES:
        port = secrets.choice(CANDIDATES)
        if port not in _given and _can_be_bound(port):
            _given.add(port)
            return port
    raise OSError(f"no free port was found between {CANDIDATES.start} and {CANDIDATES.stop}")


def _can_be_bound(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False
