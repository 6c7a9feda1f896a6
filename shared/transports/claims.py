"""Claims on messages in Redis: every step is one script, so that a killed process leaves nothing half done.

A claim takes a message from its list and records it, with a lease, under an id that is new for each delivery.  The
holder settles it (acknowledges), gives it back, or renews its lease while it lives.  Whoever finds a lease that ran
out puts the message back; from then on the old id means nothing, so a late acknowledgement of the old holder does not
touch the new one's.

| key            | kind        | what is in it                                                       |
|----------------|-------------|---------------------------------------------------------------------|
| ``fleet.held`` | hash        | claim id → name of the list, a line feed, the message as published  |
| ``fleet.leases``| sorted set | claim id → when its lease runs out, by the clock of the server      |
| ``fleet.watch`` | hash       | since when the server is watched without a gap, and when it was last |
| ``fleet.dead`` | list        | what was taken out of circulation, see ``shared.dead_letters``      |

Every script begins with a command that needs no memory: Redis lets a script that has begun to write go on when it is
at ``maxmemory``, and refuses one that has not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import redis

logger = logging.getLogger(__name__)

HELD = "fleet.held"
LEASES = "fleet.leases"
WATCH = "fleet.watch"
DEAD = "fleet.dead"

NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

CLAIM = (
    NOW
    + """
if #ARGV > 4 then
  redis.call('ZREM', KEYS[2], unpack(ARGV, 5))
  redis.call('HDEL', KEYS[1], unpack(ARGV, 5))
end
local count, limit, due = 0, tonumber(ARGV[1]), now + ARGV[4]
local answer, held, leases, refused = {}, {}, {}, nil
for i = 3, #KEYS do
  local found = redis.pcall('RPOP', KEYS[i], limit - count)
  if type(found) == 'table' and found.err then
    refused = KEYS[i] .. ': ' .. found.err
  elseif type(found) == 'table' then
    for _, message in ipairs(found) do
      local id = ARGV[2] .. (ARGV[3] + count)
      count = count + 1
      held[#held + 1] = id
      held[#held + 1] = KEYS[i] .. '\\n' .. message
      leases[#leases + 1] = due
      leases[#leases + 1] = id
      answer[#answer + 1] = id
      answer[#answer + 1] = KEYS[i]
      answer[#answer + 1] = message
    end
    if count >= limit then break end
  end
end
if count > 0 then
  redis.call('HSET', KEYS[1], unpack(held))
  redis.call('ZADD', KEYS[2], unpack(leases))
else
  redis.call('EXISTS', unpack(KEYS, 3))
  answer[1] = refused
end
return answer
"""
)
"""Settles ARGV[5] and what follows, then takes up to ARGV[1] messages, from the first list that has some.

Where there are none and a list can't be read (it is none, the account may not), the answer is that alone.  The
``EXISTS`` of a vain one makes the server tell this connection, once, when any of the lists changes (``CLIENT
TRACKING``): whoever publishes, it wakes us."""

SETTLE = """
redis.call('ZREM', KEYS[2], unpack(ARGV))
return redis.call('HDEL', KEYS[1], unpack(ARGV))
"""

GIVE_BACK = (
    NOW
    + """
redis.call('ZREM', KEYS[2], '')
local given, refused = 0, nil
for i = 2, #ARGV, 2 do
  local id, changed = ARGV[i], ARGV[i + 1]
  local expired = true
  if ARGV[1] == 'expired' then
    local due = redis.call('ZSCORE', KEYS[2], id)
    expired = not due or tonumber(due) <= now
  end
  local entry = expired and redis.call('HGET', KEYS[1], id)
  local pushed = nil
  if entry then
    local cut = string.find(entry, '\\n', 1, true)
    local push = ARGV[1] == 'back' and 'LPUSH' or 'RPUSH'
    local message = changed ~= '' and changed or string.sub(entry, cut + 1)
    pushed = redis.pcall(push, string.sub(entry, 1, cut - 1), message)
  end
  if type(pushed) == 'table' and pushed.err then
    refused = pushed
  elseif expired then
    redis.call('ZREM', KEYS[2], id)
    given = given + redis.call('HDEL', KEYS[1], id)
  end
end
return refused or given
"""
)
"""ARGV[1]: ``front`` (next to be taken), ``back``, or ``expired`` (front, and only if the lease has run out).

What can't be put into its list (it is none, the account may not) stays held, and the error is the answer.
"""

RENEW = (
    NOW
    + """
redis.call('ZREM', KEYS[1], '')
local lost = {}
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
"""
)

EXPIRED = (
    NOW
    + """
redis.call('ZREM', KEYS[2], '')
local watch = redis.call('HMGET', KEYS[3], 'since', 'last')
local since, last = tonumber(watch[1]), tonumber(watch[2])
if last and now < last then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], now + ARGV[2], '+inf')) do
    redis.call('ZADD', KEYS[2], 'XX', now + ARGV[2], id)
  end
end
if not since or now < last or now - last > tonumber(ARGV[3]) then since = now end
redis.call('HSET', KEYS[3], 'since', since, 'last', now)
local answer = {}
if now - since < tonumber(ARGV[2]) then return answer end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', KEYS[1], id) or ''
end
return answer
"""
)
"""The server must have been watched for the length of a lease (ARGV[2], seconds) without a gap of ARGV[3] seconds,
by whichever processes: after an outage all leases have run out, and holders must have the time to renew them.  When
its clock was set back, leases that would run far into the future are cut to their length."""

BURY = """
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[3], ARGV[2])
return 1
"""

ARGUMENTS_AT_ONCE = 1000
"""Ids in one call of a script; Lua unpacks some thousands at most."""


class Claim(NamedTuple):
    """A message that this process holds."""

    id: str
    source: str
    """The list that it came from: a queue at one priority."""
    payload: bytes


class Claims:
    """The claims in one Redis database.

    Every method may raise ``redis.RedisError``; the step was then taken whole or not at all.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._settle = client.register_script(SETTLE)
        self._give_back = client.register_script(GIVE_BACK)
        self._renew = client.register_script(RENEW)
        self._expired = client.register_script(EXPIRED)
        self._bury = client.register_script(BURY)
        self._claim = client.register_script(CLAIM)

    def claim(self, sources: Sequence[str], limit: int, owner: str, number: int, seconds: float) -> list[Claim]:
        """Take up to ``limit`` messages from the first of some lists that has any; see ``claim_arguments``."""
        keys, values = claim_arguments(sources, limit, owner, number, seconds)
        return read_claims(self._claim(keys=keys, args=values))

    def settle(self, *ids: str) -> int:
        """Remove messages for good; returns how many of them were still held under these ids."""
        return sum(int(self._settle(keys=[HELD, LEASES], args=part)) for part in parts(ids))

    def give_back(self, changed: Iterable[tuple[str, bytes]], *, where: str) -> int:
        """Put messages back into their lists; returns how many were still held under these ids.

        Args:
            changed: Ids, each with the message to put there instead; empty for the one that was taken.
            where: ``front``, ``back``, or ``expired``: in front, and only those whose lease has run out.
        """
        flat = [field for id_and_message in changed for field in id_and_message]
        return sum(int(self._give_back(keys=[HELD, LEASES], args=[where, *part])) for part in parts(flat))

    def renew(self, ids: Sequence[str], seconds: float) -> set[str]:
        """Extend leases; returns the ids that are no longer held."""
        return {lost.decode() for part in parts(ids) for lost in self._renew(keys=[LEASES], args=[seconds, *part])}

    def expired(self, limit: int, lease: float, gap: float) -> list[Claim]:
        """Watch the server, and return claims whose lease has run out while it was watched, oldest first.

        Args:
            limit: How many at most.
            lease: Seconds for which the server must have been watched; before that there are none.
            gap: Seconds between two looks, of any processes, from which on it was not watched in between.

        Returns:
            Claims; one whose message is gone has no source.
        """
        answer = self._expired(keys=[HELD, LEASES, WATCH], args=[limit, lease, gap])
        claims = []
        for identity, entry in zip(answer[::2], answer[1::2], strict=True):
            source, _, payload = entry.partition(b"\n")
            claims.append(Claim(identity.decode(), source.decode(), payload))
        return claims

    def bury(self, identity: str, letter: bytes) -> bool:
        """Put a dead letter in the place of a message, in one step; returns whether it was still held."""
        return bool(self._bury(keys=[HELD, LEASES, DEAD], args=[identity, letter]))

    def end(self, identity: str, letter: bytes | None) -> bool:
        """Remove a message for good, with a dead letter in its place if there is one; returns whether it was held."""
        return bool(self.settle(identity)) if letter is None else self.bury(identity, letter)


def claim_arguments(
    sources: Sequence[str], limit: int, owner: str, number: int, seconds: float, ended: Sequence[str] = ()
) -> tuple[list[str], list[Any]]:
    """Return keys and arguments of the script ``CLAIM``.

    Args:
        sources: Lists, the most urgent first.
        limit: Messages to take at most, at least 1.
        owner: What no other process's ids begin with.
        number: The number of the first id; the next ones count on from it.
        seconds: The length of the lease.
        ended: Ids to settle in the same step, ``ARGUMENTS_AT_ONCE`` at most.
    """
    return [HELD, LEASES, *sources], [limit, owner, number, seconds, *ended]


def read_claims(answer: Sequence[bytes]) -> list[Claim]:
    """Return what the script ``CLAIM`` answered, having logged what it could not read."""
    if len(answer) == 1:
        complain(answer[0].decode(errors="replace"))
        return []
    return [
        Claim(identity.decode(), source.decode(), payload)
        for identity, source, payload in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
    ]


@cache
def complain(refused: str) -> None:
    """Log, once in a process, that a list can't be read; its messages wait for as long as that lasts."""
    logger.error("Nothing can be taken out of %s", refused)


def parts(fields: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut a long list of arguments into parts of an even length."""
    return (fields[start : start + ARGUMENTS_AT_ONCE] for start in range(0, len(fields), ARGUMENTS_AT_ONCE))
