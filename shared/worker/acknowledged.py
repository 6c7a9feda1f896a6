"""What was acknowledged before it was done, as shared state knows it: a lost one is found here, and nowhere else.

A record is written before the broker is told, and removed when the execution ends.  Its lease is renewed while the
worker lives.  From the record on, the message counts as acknowledged, whatever becomes of the acknowledgement on its
way: should the broker hand it out again, the record (or the mark that it was lost) says that it must not run again.

| key                         | kind       | what is in it                                             |
|-----------------------------|------------|-----------------------------------------------------------|
| ``fleet.acknowledged``      | hash       | message → the execution that holds it                     |
| ``fleet.acknowledged.kept`` | hash       | message → what its failure needs, as JSON                 |
| ``fleet.acknowledged.leases``| sorted set | message → when its lease runs out, by the clock of Redis |
| ``fleet.acknowledged.lost`` | sorted set | message → when it was recorded as lost                    |
| ``fleet.acknowledged.watch``| hash       | since when losses are looked for without a gap, and when they last were |

A message is named by its task id and the time of its publishing, so that a retry is another message.  Those of
foreign publishers have no such time: they are not refused for a loss, for their task may have been sent anew.  As in
``shared.transports.claims`` every script begins with a command that needs no memory where it must succeed on a full
Redis; to begin may fail there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from redis.commands.core import Script

from shared.publishing import PUBLISHED_AT_HEADER
from shared.state import State

LEASE_SECONDS = 10.0
"""Work of a dead worker is recorded as lost this long after its last renewal."""
WATCHED_SECONDS = 8.0
"""How long shared state must have been watched, by whichever workers, before a lease that ran out means a death.

After an outage all leases have run out.  A living worker needs six seconds at most to renew its own: four for a
question that is not answered, one of rest, one until it looks (``shared.worker.keeper``)."""
GAP_SECONDS = 3.0
"""Two looks with more time between them leave open whether there was an outage."""
LOST_KNOWN_SECONDS = 86400.0
"""How long a message that was recorded as lost is refused, should it come back."""
AT_ONCE = 500

OWNERS, KEPT, LEASES, LOST, WATCH = (
    "fleet.acknowledged",
    "fleet.acknowledged.kept",
    "fleet.acknowledged.leases",
    "fleet.acknowledged.lost",
    "fleet.acknowledged.watch",
)
KEYS = [OWNERS, KEPT, LEASES, LOST, WATCH]

NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

BEGIN = (
    NOW
    + """
local answer = {}
for i = 2, #ARGV, 3 do
  local message, execution, kept = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local owner = redis.call('HGET', KEYS[1], message)
  local known = (owner and owner ~= execution) or redis.call('ZSCORE', KEYS[4], message)
  if not known and kept ~= '' then
    redis.call('HSET', KEYS[1], message, execution)
    redis.call('HSET', KEYS[2], message, kept)
    redis.call('ZADD', KEYS[3], now + ARGV[1], message)
  end
  answer[#answer + 1] = known and 0 or 1
end
return answer
"""
)
RENEW = (
    NOW
    + """
redis.call('ZREM', KEYS[3], '')
local lost = {}
for i = 2, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('ZADD', KEYS[3], now + ARGV[1], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
"""
)
RELEASE = """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], ARGV[i])
  end
end
"""
TAKE_EXPIRED = (
    NOW
    + """
redis.call('ZREM', KEYS[3], '')
local watch = redis.call('HMGET', KEYS[5], 'since', 'last')
local since = tonumber(watch[1])
if not since or now - tonumber(watch[2]) > tonumber(ARGV[5]) then since = now end
redis.call('HSET', KEYS[5], 'since', since, 'last', now)
local answer = {}
if now - since < tonumber(ARGV[4]) then return answer end
for _, message in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local kept = redis.call('HGET', KEYS[2], message)
  if kept then
    redis.call('HSET', KEYS[1], message, ARGV[2])
    redis.call('ZADD', KEYS[3], now + ARGV[3], message)
    answer[#answer + 1] = message
    answer[#answer + 1] = kept
  else
    redis.call('ZREM', KEYS[3], message)
    redis.call('HDEL', KEYS[1], message)
  end
end
return answer
"""
)
FINISH = (
    NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[3])
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
  if string.sub(ARGV[1], -1) ~= ':' then redis.call('ZADD', KEYS[4], now, ARGV[1]) end
end
"""
)

Item = TypeVar("Item")


class Holding(NamedTuple):
    """A message, and the execution that holds it."""

    message: str
    execution: str


class Beginning(NamedTuple):
    """An execution that is about to begin, or to acknowledge its message."""

    holding: Holding
    kept: str
    """What its failure needs; empty for one that only asks whether it may run."""


class Acknowledged:
    """The records of acknowledged work.

    Every method may raise ``redis.RedisError``; each of its scripts was then taken whole or not at all.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._scripts: dict[str, Script] = {}

    def ask(self) -> None:
        """Ask whether shared state answers, and nothing else."""
        self._state.client.ping()

    def begin(self, beginnings: Sequence[Beginning]) -> list[bool]:
        """Write records; returns for each whether the execution may go on.

        It may not where another execution has acknowledged the message: the broker handed it out again all the same.
        """
        return [
            bool(may)
            for part in parts(beginnings)
            for may in self._run(
                BEGIN,
                LEASE_SECONDS,
                *(field for beginning in part for field in (*beginning.holding, beginning.kept)),
            )
        ]

    def renew(self, holdings: Iterable[Holding]) -> set[str]:
        """Extend leases; returns the messages that the executions no longer hold."""
        return {lost.decode() for part in parts(holdings) for lost in self._run(RENEW, LEASE_SECONDS, *flat(part))}

    def release(self, holdings: Iterable[Holding]) -> None:
        """Remove the records of executions that ended, as far as they still hold them."""
        for part in parts(holdings):
            self._run(RELEASE, *flat(part))

    def take_expired(self, execution: str, limit: int) -> list[tuple[Holding, str]]:
        """Look for records whose lease ran out and take them over, for ``execution``; returns them with what was kept.

        The looks are noted, and nothing is taken over before shared state has been watched for some seconds.
        """
        answer = self._run(TAKE_EXPIRED, limit, execution, LEASE_SECONDS, WATCHED_SECONDS, GAP_SECONDS)
        return [
            (Holding(message.decode(), execution), kept.decode())
            for message, kept in zip(answer[::2], answer[1::2], strict=True)
        ]

    def finish(self, holding: Holding) -> None:
        """Remove a record whose loss is recorded; its message is refused from now on."""
        self._run(FINISH, *holding, LOST_KNOWN_SECONDS)

    def _run(self, source: str, *arguments: Any) -> Any:
        client = self._state.client
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = client.register_script(source)
        return script(keys=KEYS, args=arguments, client=client)


def message_name(headers: Mapping[str, Any]) -> str:
    """Return the name of a message, from its headers or from a task's request."""
    return f"{headers['id']}:{headers.get(PUBLISHED_AT_HEADER) or ''}"


def flat(holdings: Iterable[Holding]) -> Iterator[str]:
    """Return messages and executions, one after the other."""
    return (field for holding in holdings for field in holding)


def parts(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut what goes to a script into parts that Redis runs through quickly."""
    rest = iter(items)
    while part := list(islice(rest, AT_ONCE)):
        yield part
