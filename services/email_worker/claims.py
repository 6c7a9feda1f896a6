"""Claims: the memory in Redis of which mail went out, so that no execution sends it again.

A claim is one string under the key of its mail: ``started <execution>`` while an execution hands the mail to the
relay, then the outcome as JSON.  It holds no address.

It is made at the last moment, when the relay waits for the content: an execution that slept until another one took
its place finds the claim of that one, and sends nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Any, Literal
from uuid import uuid4

from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from services.email_worker.errors import BeingSent, ClaimsUnavailable
from services.email_worker.redis_line import Command, RedisLine
from shared.secret import SecretStr

KEPT_FOR = timedelta(days=30)
"""A claim outlives every message that could send its mail again: none waits in a broker for weeks."""

URGENT_FOR_SECONDS = 10.0
"""How long an urgent mail is one execution's to hand over; then another one may, should the first have died.

As long as the lease of a message on Redis, after which a dead worker's mail comes again: so a claim rarely delays it.
"""

ANSWER_WITHIN_SECONDS = 5.0
"""How long Redis may take; an answer takes milliseconds, and a frozen Redis must not freeze a worker."""

_STARTED = "started "

_TAKE_OVER = """
local held = redis.call('GET', KEYS[1])
local free = not held
for index = 2, #ARGV do
    free = free or held == ARGV[index]
end
if not free then
    return held
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
return false
"""
"""KEYS: a claim.  ARGV: milliseconds that it lasts, what it says then, what it says where it is free to be taken."""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """What a claim says about a mail that must not be sent again."""

    status: Literal["sent", "unknown"]
    reason: str | None = None


LEFT_OPEN = Settled("unknown", "An earlier execution ended while it was sending; the relay may have the mail.")


class Execution:
    """One run of a task: the owner of the claims that it makes.

    Args:
        given_up: The executions before this one that ended in order, and with it gave up every claim that
            they still had on the mails of this one.  Their claims count as free, even if Redis was out
            of reach when they were to be released.
    """

    def __init__(self, given_up: Iterable[str] = ()) -> None:
        self.id = uuid4().hex
        self.given_up = tuple(given_up)

    @property
    def owners(self) -> tuple[str, ...]:
        """What the claims that are this execution's, or free to it, say; those that it makes say the first."""
        return tuple(_STARTED + owner for owner in (self.id, *self.given_up))


class Claims:
    """The claim store; connects when it is first asked, separately in each process.

    Args:
        url: Redis database of the fleet's shared state.
    """

    def __init__(self, url: SecretStr) -> None:
        self._url = url

    def find(self, key: str, execution: Execution | None = None) -> Settled | None:
        """Return what became of a mail, or ``None`` when no execution has settled it.

        Args:
            key: Identity of the mail.
            execution: Who may claim the mail next: what another execution started counts as ``unknown`` then.

        Raises:
            ClaimsUnavailable: Redis did not answer.
        """
        return self.find_all([key], execution).get(key)

    def find_all(self, keys: Sequence[str], execution: Execution | None = None) -> dict[str, Settled]:
        """Return what became of those of some mails that are settled, in one question; as :meth:`find`.

        Raises:
            ClaimsUnavailable: Redis did not answer.
        """
        if not keys:
            return {}
        held = self._ask("MGET", *map(_name, keys))
        known = {key: _known(value, execution) for key, value in zip(keys, held, strict=True) if value is not None}
        return {key: settled for key, settled in known.items() if settled is not None}

    def claim(self, key: str, execution: Execution) -> Settled | None:
        """Take the right to send a mail that must not arrive twice, in one atomic step and for good.

        Returns:
            ``None`` when the mail is this execution's to send; else what became of it, which is
            ``unknown`` when another execution started to send it and did not say how that ended.

        Raises:
            ClaimsUnavailable: Redis did not answer; the mail must not be sent.
        """
        held = self._take(key, execution, KEPT_FOR.total_seconds())
        return None if held is None else _settled(held)

    def claim_urgent(self, key: str, execution: Execution) -> Settled | None:
        """Take the right to send a mail that must arrive, in one atomic step and for ten seconds.

        Returns:
            ``None`` when the mail is this execution's to send; else that it was sent.

        Raises:
            BeingSent: Another execution has that right now; the mail must not be sent by this one.
            ClaimsUnavailable: Redis did not answer; the mail must not be sent.
        """
        held = self._take(key, execution, URGENT_FOR_SECONDS)
        if held is None:
            return None
        if held.startswith(_STARTED):
            raise BeingSent("Another execution is sending this mail.")
        settled = _settled(held)
        return settled if settled.status == "sent" else None

    def _take(self, key: str, execution: Execution, seconds: float) -> str | None:
        """Make a claim unless somebody else has one, which is returned then."""
        name, milliseconds, (own, *given_up) = _name(key), int(seconds * 1000), execution.owners
        held = self._ask("SET", name, own, "NX", "GET", "PX", milliseconds)
        if held in given_up:
            held = self._ask("EVAL", _TAKE_OVER, 1, name, milliseconds, own, *given_up)
        return None if held in (None, own) else str(held)

    def settle(self, key: str, settled: Settled, *, more: bool = False) -> None:
        """Remember what became of a mail.

        The mail is out already, so a Redis that does not answer is logged and not raised: a redelivery
        will then find the mail ``unknown`` (bulk) or send it once more (critical).

        Args:
            key: Identity of the mail.
            settled: What became of it.
            more: Send it and do not wait for the answer, which comes with that to the next question; who says
                so calls :meth:`confirm` in the end.
        """
        self._line.tell("SET", _name(key), _stored(settled), "EX", int(KEPT_FOR.total_seconds()))
        if not more:
            self.confirm()

    def confirm(self) -> None:
        """Wait until all that this thread settled is stored."""
        self._line.settle()

    def release(self, key: str, execution: Execution) -> None:
        """Give back a claim on a mail that the relay surely does not have.

        A Redis that does not answer is logged and not raised: the next execution knows the claims that
        this one gave up.
        """
        try:
            self._line.ask("EVAL", _RELEASE, 1, _name(key), execution.owners[0])
        except RedisError as error:
            _log.warning("The claim on mail %s was not released: %s", key, error)

    def close(self) -> None:
        """Close the connection of this thread."""
        self._line.close()

    def _ask(self, *command: Any) -> Any:
        try:
            return self._line.ask(*command)
        except RedisError as error:
            raise _unavailable(error) from error

    @cached_property
    def _line(self) -> RedisLine:
        pool = ConnectionPool.from_url(
            self._url.get_secret_value(),
            decode_responses=True,
            socket_connect_timeout=ANSWER_WITHIN_SECONDS,
            socket_timeout=ANSWER_WITHIN_SECONDS,
            # The line tries again itself; a claim made twice by the same execution is the same claim.
            retry=Retry(NoBackoff(), 0),
        )
        return RedisLine(pool, _not_stored)


def _not_stored(command: Command, error: Exception) -> None:
    _log.warning("The outcome of mail %s was not stored: %s", command[1], error)


def _name(key: str) -> str:
    return f"claim:mail:{key}"


@lru_cache(maxsize=64)
def _stored(settled: Settled) -> str:
    return json.dumps(asdict(settled))


def _known(held: str, execution: Execution | None) -> Settled | None:
    if held.startswith(_STARTED):
        return None if execution is None or held in execution.owners else LEFT_OPEN
    return _settled(held)


def _settled(held: str) -> Settled:
    if held.startswith(_STARTED):
        return LEFT_OPEN
    outcome = json.loads(held)
    return Settled(outcome["status"], outcome["reason"])


def _unavailable(error: RedisError) -> ClaimsUnavailable:
    return ClaimsUnavailable(f"The claim store (YARD_STATE_URL) does not answer: {error}")
