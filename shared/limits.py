"""Rate limits of tasks that hold for the whole fleet: a bucket of tokens in shared state for all workers.

A task that finds no token is given an appointment.  Appointments lie as far apart as tokens come, so that nobody has to
ask again and again, and whoever came first has the first one.  The token itself is taken when the task starts: a worker
that stood still, or had other work to do, causes no burst afterwards.

Who comes back stands behind all that is in the queue by then.  As long as those in the line are late for that reason,
or were revoked, tokens would lapse: a task without an appointment may take them.

| key                        | kind | what is in it                                                                |
|----------------------------|------|------------------------------------------------------------------------------|
| ``fleet.limit:<task>``     | hash | ``next``: when the tokens that were taken will have come, all of them;       |
| ``fleet.limit:<task>:<…>`` |      | ``line``: when the last appointment is; ``kept``: of which time the latest   |
|                            |      | appointment is that was kept.  The second form of the key is one value's.    |

Times are in seconds by the clock of the server.  A limit that nobody has used for a while is forgotten, which changes
nothing.  Source: the generic cell rate algorithm, ITU-T I.371, annex A, with a line of appointments before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from inspect import signature
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from celery.utils.time import rate
from kombu.utils.json import dumps

from shared.errors import ConfigurationError
from shared.state import State

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

KEY = "fleet.limit:"
EARLY_SECONDS = 0.5
"""How much too early a task with an appointment may start: those before it arrive a little late, now and then."""

LATE_SECONDS = 1.0
"""How late those in the line must be for others to take the tokens: more than movers and workers need as a rule."""

PUT_OFF_HEADER = "put_off"
"""Message header of a task that has had an appointment: how often it was put off, and until when, also in seconds by
the clock of the server."""

TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local interval, burst, early, late = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local appointment = tonumber(ARGV[5])
local found = redis.call('HMGET', KEYS[1], 'next', 'line', 'kept')
local next, line, kept = tonumber(found[1] or 0), tonumber(found[2] or 0), tonumber(found[3] or now)
local token = next - (burst - 1) * interval
local start = math.max(token, line + interval)
local free
if appointment then
  kept = math.max(kept, math.min(appointment, now))
  free = token <= now + early
else
  free = start <= now or (token <= now and kept + late <= now)
end
if free then
  next = math.max(next, now) + interval
  start = now
else
  if line <= now then kept = now end
  line = start
end
redis.call('HSET', KEYS[1], 'next', next, 'line', line, 'kept', kept)
redis.call('PEXPIRE', KEYS[1], math.ceil((math.max(next, line) + interval - now) * 1000))
return {tostring(start - now), tostring(start)}
"""
"""KEYS: the limit.  ARGV: seconds between two tokens, how many the bucket holds, how many seconds too early one with an
appointment may fetch a token, how many seconds late those in the line must be for others to take one, and when the
appointment was, nothing without one.
Returns how many seconds from now the appointment is, 0 for one who may start now, and when that is."""

TAKE_NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local next = math.max(tonumber(redis.call('HGET', KEYS[1], 'next') or 0), now)
local wait = next - (burst - 1) * interval - now
if wait > 0 then return tostring(wait) end
redis.call('HSET', KEYS[1], 'next', next + interval)
redis.call('PEXPIRE', KEYS[1], math.ceil((next + interval - now) * 1000))
return '0'
"""
"""KEYS: the limit.  ARGV: seconds between two tokens, how many the bucket holds.
Takes a token if there is one, and returns how many seconds from now there will be one: 0 when it was taken."""


class Limit(NamedTuple):
    """How often a task may start in the whole fleet."""

    interval: float
    """Seconds from one token to the next."""
    burst: int
    """How many tokens may come together while nobody takes one."""

    @classmethod
    def of(cls, task: Any) -> Self | None:
        """Return the limit of a task, ``None`` for one without."""
        # A base class may be Celery's own, and know of no such limit.
        limit = getattr(task, "fleet_rate_limit", None)
        if limit is None:
            return None
        per_second = rate(limit)
        return cls(1 / per_second, task.fleet_rate_limit_burst) if per_second else None


class Turn(NamedTuple):
    """When a task may start."""

    wait: float
    """Seconds from now; 0 when it has its token."""
    at: float
    """The same by the clock of the server."""


class Limits:
    """The limits of a fleet.  Every method may raise ``redis.RedisError``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def take(self, key: str, limit: Limit, *, appointment: float | None) -> Turn:
        """Take a token, or have an appointment for one.

        Args:
            key: Of ``key_of``.
            limit: The limit.
            appointment: When this one had an appointment, as ``Turn.at`` said; ``None`` for one that had none.
        """
        came_back = "" if appointment is None else appointment
        values = [limit.interval, limit.burst, EARLY_SECONDS, LATE_SECONDS, came_back]
        wait, at = self._state.client.register_script(TAKE)(keys=[key], args=values)
        return Turn(float(wait), float(at))

    def take_now(self, key: str, limit: Limit) -> float:
        """Take a token if there is one, without an appointment otherwise: for those who come back when they like.

        Args:
            key: Where the limit is kept; nothing else may be kept there.
            limit: The limit.

        Returns:
            0, or in how many seconds there will be a token.
        """
        wait: Any = self._state.client.register_script(TAKE_NOW)(keys=[key], args=[limit.interval, limit.burst])
        return float(wait)


def key_of(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return where the limit of a call is kept: one place for the task, or one for each value of its key argument.

    The value itself does not show in it.

    Raises:
        TypeError: The task does not take these arguments.
    """
    if task.fleet_rate_limit_key is None:
        return f"{KEY}{task.name}"
    call = signature(task.run).bind(*args, **kwargs)
    call.apply_defaults()
    value = dumps(call.arguments[task.fleet_rate_limit_key])
    return f"{KEY}{task.name}:{blake2b(value.encode(), digest_size=16).hexdigest()}"


def times_put_off(headers: Mapping[str, Any]) -> int:
    """Return how often a task has had an appointment, by the headers of its message."""
    times = _put_off(headers).get("times")
    return times if isinstance(times, int) else 0


def appointment_of(headers: Mapping[str, Any]) -> float | None:
    """Return when the appointment of a task was, by the headers of its message; ``None`` for one that had none.

    It is long past for one that a worker of an earlier release put off.
    """
    at = _put_off(headers).get("at")
    if isinstance(at, int | float) and isfinite(at):
        return float(at)
    return 0.0 if times_put_off(headers) else None


def put_off_until(headers: Mapping[str, Any]) -> str | None:
    """Return when the appointment of a task is, in ISO 8601, by the headers of its message."""
    until = _put_off(headers).get("until")
    return until if isinstance(until, str) else None


def _put_off(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a header says that anybody may have written."""
    found = headers.get(PUT_OFF_HEADER)
    return found if isinstance(found, Mapping) else {}


def check(task: Any, app: FleetCelery) -> None:
    """Refuse a task whose limit can't be held.

    Raises:
        ConfigurationError: It is no rate, its key is no argument of the task, or the fleet has no shared state.
    """
    try:
        per_second = rate(task.fleet_rate_limit)
    except (KeyError, TypeError, ValueError):
        per_second = -1.0
    if per_second < 0:
        raise ConfigurationError(
            f"Task {task.name} has fleet_rate_limit={task.fleet_rate_limit!r}; write a rate as Celery does: '100/m'."
        )
    burst = task.fleet_rate_limit_burst
    if not isinstance(burst, int) or burst < 1:
        raise ConfigurationError(f"Task {task.name} has fleet_rate_limit_burst={burst!r}; it is a number from 1 up.")
    key = task.fleet_rate_limit_key
    known = signature(task.run).parameters if key else {}
    if key and key not in known:
        raise ConfigurationError(f"Task {task.name} has no argument {key!r} for fleet_rate_limit_key.")
    if per_second and not app.state.configured:
        raise ConfigurationError(
            f"Task {task.name} has a fleet_rate_limit, which needs shared state: give FleetCelery state=, the URL of "
            "a Redis database."
        )
