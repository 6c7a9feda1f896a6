"""The thread that keeps what a process holds in Redis, and puts back what dead processes held."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any

import redis

from shared.transports.claims import Claims

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""A dead process's work is handed out again this long after its last renewal."""
RENEWALS_PER_LEASE = 3
STANDSTILL_SECONDS = 30.0
"""A process whose loop has not turned for so long holds nothing any more."""
LOOK_EVERY_SECONDS = 1.0
SLOW_SECONDS = 2.0
AT_ONCE = 100


class LeaseKeeper:
    """Renews the leases of a connection's claims for as long as its process works, and looks for those that ran out.

    It puts nothing back before it has itself been in touch with the server for the length of a lease: after an outage
    of the server all leases have run out, and their holders must have the time to renew them.

    Args:
        connect: Makes a client for this thread alone.
        lease: Seconds.
        alive: Whether the process works; a hung one loses what it holds.
    """

    def __init__(self, connect: Callable[[], redis.Redis], lease: float, alive: Callable[[], bool]) -> None:
        self.alive = alive
        self._connect = connect
        self._lease = lease
        self._held: set[str] = set()
        self._changing = Lock()
        self._ended = Event()
        self._in_touch_since: float | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, once, with a thread that ends with the process."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Renew nothing from now on."""
        self._ended.set()

    def hold(self, identity: str) -> None:
        """Renew a claim from now on."""
        with self._changing:
            self._held.add(identity)

    def let_go(self, identity: str) -> None:
        """Renew a claim no longer."""
        with self._changing:
            self._held.discard(identity)

    def _run(self) -> None:
        client = self._connect()
        claims = Claims(client)
        renewed = time.monotonic()
        while not self._ended.wait(min(LOOK_EVERY_SECONDS, self._lease / RENEWALS_PER_LEASE)):
            started = time.monotonic()
            try:
                if started - renewed >= self._lease / RENEWALS_PER_LEASE:
                    self._renew(claims)
                    renewed = started
                if self._in_touch(started):
                    self._put_back(claims)
                else:
                    client.ping()
            except (redis.RedisError, OSError) as error:
                if self._in_touch_since is not None:
                    logger.warning("Leases can't be renewed now: %s", type(error).__name__)
                self._in_touch_since = None
                continue
            if self._in_touch_since is None or time.monotonic() - started > SLOW_SECONDS:
                self._in_touch_since = time.monotonic()
        client.close()

    def _in_touch(self, now: float) -> bool:
        return self._in_touch_since is not None and now - self._in_touch_since >= self._lease

    def _renew(self, claims: Claims) -> None:
        if not self.alive():
            logger.error("This process hangs; the %d messages that it holds go to others.", len(self._held))
            return
        with self._changing:
            held = list(self._held)
        lost = claims.renew(held, self._lease) if held else set()
        with self._changing:
            lost &= self._held
            self._held -= lost
        if lost:
            logger.warning("%d messages that this process held were given to others while it stood still.", len(lost))

    def _put_back(self, claims: Claims) -> None:
        while expired := claims.expired(AT_ONCE):
            given = claims.give_back([(claim.id, redelivered(claim.payload)) for claim in expired], where="expired")
            if given:
                logger.warning("Put back %d messages whose holder is gone.", given)
            if len(expired) < AT_ONCE:
                return


def redelivered(payload: bytes) -> bytes:
    """Return a message as it lies in Redis, marked as redelivered; as it is, if it can't be read."""
    try:
        return json.dumps(mark_redelivered(json.loads(payload))).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return payload


def mark_redelivered(message: dict[str, Any]) -> dict[str, Any]:
    """Mark a message, in kombu's format, as one that was delivered before."""
    message["headers"]["redelivered"] = True
    message["properties"]["delivery_info"]["redelivered"] = True
    return message
