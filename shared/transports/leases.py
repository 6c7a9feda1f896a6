"""The thread that keeps what a process holds in Redis, and puts back what dead processes held."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis

from shared.threads import start_thread
from shared.transports.claims import HELD, Claims

logger = logging.getLogger(__name__)

LEASE_SECONDS = 10.0
"""A dead process's work is handed out again this long after its last renewal."""
RENEWALS_PER_LEASE = 5
"""So many that a lease outlasts the longest outage which nobody notices: half a lease, see ``_put_back``."""
LOOKS_PER_LEASE = 10
STANDSTILL_SECONDS = 30.0
"""A process whose loop has not turned for so long holds nothing any more."""
LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 100


class LeaseKeeper:
    """Renews the leases of a process's claims for as long as it works, and looks for those that ran out.

    It puts nothing back before some process of the fleet has been in touch with the server for the length of a lease:
    after an outage of the server all leases have run out, and their holders must have the time to renew them.

    A worker has one for all its connections, one after the other.  So work that runs when a connection breaks is
    neither given away nor forgotten, and is settled by its claim as if nothing had happened.

    Args:
        connect: Makes a client for this thread alone; is called long after any connection is closed.
        lease: Seconds.
        alive: Whether the process works; a hung one loses what it holds.
    """

    outlives_connections = False
    """Whether it goes on when the connection that made it is closed; then its owner has to end it."""

    def __init__(self, connect: Callable[[], redis.Redis], lease: float, alive: Callable[[], bool]) -> None:
        self.alive = alive
        self._connect = connect
        self._lease = lease
        self._held: dict[str, None] = {}
        """Changed by the loop, copied by the thread; each is one step of the interpreter, and needs no lock."""
        self._carried: dict[str, None] = {}
        """Of what is held, that which came over a connection that broke."""
        self._done: dict[str, bytes | None] = {}
        """Of what is held, that which is to be settled as soon as the server answers, each with its dead letter."""
        self._asked: dict[str, range] = {}
        """Ids, by what they begin with, of claims whose answers are not read yet."""
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

    def ask(self, owner: str, numbers: range) -> None:
        """Renew what a claim may bring: who reads its answer may be at work for longer than a lease lasts."""
        self._asked[owner] = numbers

    def answered(self, owner: str) -> None:
        """Renew what a claim has brought no longer, but for what is held."""
        self._asked.pop(owner, None)

    def let_go(self, identity: str) -> None:
        """Renew a claim no longer."""
        for kept in (self._held, self._carried, self._done):
            kept.pop(identity, None)

    @property
    def carried(self) -> int:
        """How many claims are held from connections that broke."""
        return len(self._carried)

    def carry_over(self, identities: Iterable[str]) -> None:
        """Keep some claims although the connection breaks over which they came, and no others from before."""
        running = {identity: None for identity in identities if identity in self._held}
        for identity in list(self._carried):
            if identity not in running:
                self.let_go(identity)
        self._carried = running

    def keeps(self, identity: str) -> bool:
        """Tell whether a claim outlives its connection: it is carried over, or about to be settled."""
        return identity in self._carried or identity in self._done

    def settle(self, identity: str, letter: bytes | None = None) -> None:
        """Settle a claim as soon as the server answers; renew it until then.

        Args:
            identity: The claim.
            letter: The dead letter to put in the place of its message.
        """
        self._carried.pop(identity, None)
        self._held[identity], self._done[identity] = None, letter

    def give_back(self) -> None:
        """Put everything back now, in front and in its old order, for a process that ends in the midst of its work.

        It uses a connection of its own, in whatever thread it is called: the loop may hang.
        """
        self.end()
        client = self._connect()
        self._settle(Claims(client))
        held = [*reversed(self._may_hold()), *reversed(self._held)]
        entries: list[Any] = client.hmget(HELD, held) if held else []
        marked = [
            (identity, redelivered(entry.partition(b"\n")[2]))
            for identity, entry in zip(held, entries, strict=True)
            if entry
        ]
        Claims(client).give_back(marked, where="front")

    def _may_hold(self) -> list[str]:
        return [f"{owner}{number}" for owner, numbers in list(self._asked.items()) for number in numbers]

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
                self._settle(claims)  # last: where that is refused, the rest goes on
                self._in_touch = True
            except (redis.RedisError, OSError) as error:
                if self._in_touch:
                    logger.warning("Leases can't be renewed now: %s", type(error).__name__)
                self._in_touch = False
            except Exception:  # without this thread, all that is held would be given away
                logger.exception("Something is wrong with the keys of claims.")
            time.sleep(min(LOOK_EVERY_SECONDS, self._lease / LOOKS_PER_LEASE))
        client.close()

    def _settle(self, claims: Claims) -> None:
        done = list(self._done.items())
        claims.settle(*(identity for identity, letter in done if letter is None))
        for identity, letter in done:
            if letter is not None:
                claims.bury(identity, letter)
            self.let_go(identity)

    def _renew(self, claims: Claims) -> None:
        held = list(self._held)
        if not self.alive():
            logger.error("This process hangs; the %d messages that it holds go to others.", len(held))
            return
        renewed = [*held, *self._may_hold()]
        gone = claims.renew(renewed, self._lease) if renewed else set()
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
    """Return a message, in kombu's format, marked as one that was delivered before; the original may be in use."""
    properties = message["properties"]
    return {
        **message,
        "headers": {**message["headers"], "redelivered": True},
        "properties": {**properties, "delivery_info": {**properties["delivery_info"], "redelivered": True}},
    }
