"""What processes leave behind in Redis that asked, listened or worked, and were killed.

A worker, a monitor and a client that waits for replies each have a queue that expires.  kombu keeps their bindings in
one set for each exchange, and removes a set as a whole when nobody refreshes any of it.  While one worker lives the
entries of all the dead stay, and so do replies that came too late, for whoever publishes a reply knows no time limit
for it.  Here each binding has a deadline of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.utils.objects import cached_property

DEADLINES = "fleet.bindings"
"""Sorted set: exchange and binding, joined as kombu joins a binding → until when it stays, in ms by the server."""

REFRESH = (
    kombu_redis.REFRESH_BINDING
    + """
redis.call('ZADD', KEYS[3], 'GT', ms + tonumber(ARGV[3]), ARGV[2] .. ARGV[4] .. ARGV[1])
"""
)
"""KEYS: kombu's two, deadlines.  ARGV: kombu's three (binding, exchange, ms), separator."""

SWEEP = """
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local overdue = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ms, 'LIMIT', 0, tonumber(ARGV[3]))
for _, entry in ipairs(overdue) do
  local parts, from = {}, 1
  for _ = 1, 3 do
    local first, last = string.find(entry, ARGV[2], from, true)
    parts[#parts + 1] = string.sub(entry, from, first - 1)
    from = last + 1
  end
  local exchange, queue = parts[1], string.sub(entry, from)
  redis.call('SREM', ARGV[1] .. exchange, string.sub(entry, #exchange + #ARGV[2] + 1))
  if string.sub(queue, -20) == '.reply.celery.pidbox' then
    for step = 4, #ARGV do redis.call('DEL', queue .. ARGV[step]) end
  end
  redis.call('ZREM', KEYS[1], entry)
end
return #overdue
"""
"""KEYS: deadlines.  ARGV: what the name of a set of bindings begins with, separator, the most at once, what the names
of a queue's lists end with.  Only queues of replies are emptied: broadcasts lie in no list."""


class ExpiringBindings(kombu_redis.Channel):
    """Forgets the binding of a queue that expires when its own consumer no longer refreshes it, and unread replies."""

    @cached_property
    def _refresh_binding(self) -> Callable[..., Any]:
        script = self._create_client().register_script(REFRESH)

        def refresh(keys: Sequence[str], args: Sequence[Any], client: Any) -> Any:
            return script(keys=[*keys, DEADLINES], args=[*args, self.sep], client=client)

        return refresh

    @cached_property
    def _sweep_members(self) -> Any:
        return self._create_client().register_script(SWEEP)

    def sweep_bindings(self, limit: int = 100) -> int:
        """Remove what is overdue; a worker calls it once a minute.

        Returns:
            How many sets of bindings kombu looked at.
        """
        endings = [self._q_for_pri("", step) for step in self.priority_steps]
        with self.conn_or_acquire() as client:
            self._sweep_members(
                keys=[DEADLINES], args=[self.keyprefix_queue % "", self.sep, limit, *endings], client=client
            )
        swept: int = super().sweep_bindings(limit)
        return swept
