"""The thread that keeps what a process holds in Redis, and puts back what dead processes held."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import redis

from shared.threads import start_thread
from shared.transports.claims import Claims

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""A dead process's work is handed out again this long after its last renewal."""
RENEWALS_PER_LEASE = 3
STANDSTILL_SECONDS = 30.0
"""A process whose loop has not turned for so long holds nothing any more."""
LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 100


class LeaseKeeper:
    """Renews the leases of a connection's claims for as long as its process works, and looks for those that ran out.

    It puts nothing back before some process of the fleet has been in touch with the server for the length of a lease:
    after an outage of the server all leases have run out, and their holders must have the time to renew them.

    Args:
        connect: Makes a client for this thread alone.
        lease: Seconds.
        alive: Whether the process works; a hung one loses what it holds.
    """

    def __init__(self, connect: Callable[[], redis.Redis], lease: float, alive: Callable[[], bool]) -> None:
        self.alive = alive
        self._connect = connect
        self._lease = lease
        self._held: dict[str, None] = {}
        """Changed by the loop, copied by the thread; each is one step of the interpreter, and needs no lock."""
        self._missing: set[str] = set()
        self._started = self._ended = self._in_touch = False

    def start(self) -> None:
        """Begin, once, with a thread that ends with the process."""
        if not self._started:
            self._started = True
            start_thread(self._run, "leases")

    def end(self) -> None:
        """Renew nothing from now on."""
        self._ended = True

    def hold(self, identity: str) -> None:
        """Renew a claim from now on."""
        self._held[identity] = None

    def let_go(self, identity: str) -> None:
        """Renew a claim no longer."""
        self._held.pop(identity, None)

    def _run(self) -> None:
        client = self._connect()
        claims = Claims(client)
        renewed = time.monotonic()
        while not self._ended:
            started = time.monotonic()
            try:
                if started - renewed >= self._lease / RENEWALS_PER_LEASE:
                    self._renew(claims)
                    renewed = started
                self._put_back(claims)
                self._in_touch = True
            except (redis.RedisError, OSError) as error:
                if self._in_touch:
                    logger.warning("Leases can't be renewed now: %s", type(error).__name__)
                self._in_touch = False
            except Exception:  # without this thread, all that is held would be given away
                logger.exception("Something is wrong with the keys of claims.")
            time.sleep(min(LOOK_EVERY_SECONDS, self._lease / RENEWALS_PER_LEASE))
        client.close()

    def _renew(self, claims: Claims) -> None:
        held = list(self._held)
        if not self.alive():
            logger.error("This process hangs; the %d messages that it holds go to others.", len(held))
            return
        gone = claims.renew(held, self._lease) if held else set()
        missing = {identity for identity in gone if identity in self._held}
        lost = missing & self._missing  # one that is missing for the first time may just be settled by the loop
        self._missing = missing - lost
        for identity in lost:
            self.let_go(identity)
        if lost:
            logger.warning("%d messages that this process held were given to others while it stood still.", len(lost))

    def _put_back(self, claims: Claims) -> None:
        while expired := claims.expired(AT_ONCE, self._lease, self._lease / 2):
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
