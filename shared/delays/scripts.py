"""Every step in the table of delayed messages is one script: a killed process leaves nothing half done.

| key                     | kind       | what is in it                                                              |
|-------------------------|------------|----------------------------------------------------------------------------|
| ``fleet.delayed.<alias>``| sorted set| of each broker: entry id → when it is due, or when the claim on it runs out |
| ``fleet.delayed``       | hash       | entry id → broker and queue, a line feed, the message as JSON              |
| ``fleet.delayed.claims``| hash       | entry id → who publishes it now, and when it was due                       |
| ``fleet.delayed.ids``   | sorted set | the entry ids in the order of their task ids                               |
| ``fleet.delayed.queues``| hash       | queue → how many wait for it                                               |

All times are in seconds by the clock of the server.  Scripts that must work on a server at ``maxmemory`` begin with a
command that frees memory: Redis lets a script that has begun to write go on.
"""

from __future__ import annotations

DUE = "fleet.delayed."
ENTRIES = "fleet.delayed"
CLAIMS = "fleet.delayed.claims"
IDS = "fleet.delayed.ids"
QUEUES = "fleet.delayed.queues"

NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

STORE = (
    NOW
    + """
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 1 end
local due = ARGV[4] == 'countdown' and now + ARGV[5] or tonumber(ARGV[5])
redis.call('ZADD', KEYS[1], due, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[3], 1)
return 1
"""
)
"""KEYS: due, entries, ids, queues.  ARGV: id, entry, queue, ``countdown`` or ``eta``, seconds, the most there may be.
Returns 0 when the table is full."""

TAKE = (
    NOW
    + """
local function take(due_key, id)
  local claim = redis.call('HGET', KEYS[2], id)
  local due = claim and string.match(claim, '%S+$') or redis.call('ZSCORE', due_key, id)
  redis.call('HSET', KEYS[2], id, ARGV[1] .. ' ' .. due)
  redis.call('ZADD', due_key, now + ARGV[2], id)
end
"""
)

CLAIM = (
    TAKE
    + """
redis.call('ZREM', KEYS[3], '')
local answer, size = {}, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local entry = redis.call('HGET', KEYS[1], id)
  if entry then
    take(KEYS[3], id)
    answer[#answer + 1] = id
    answer[#answer + 1] = entry
    size = size + #entry
    if size >= tonumber(ARGV[4]) then break end
  else
    redis.call('ZREM', KEYS[3], id)
  end
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {first[2] and tostring(first[2] - now) or '', answer}
"""
)
"""KEYS: entries, claims, due.  ARGV: token, lease, the most entries, about the most bytes.
Returns in how many seconds the next one is due, and what was claimed: ids and entries."""

CLAIM_THESE = (
    TAKE
    + """
local claimed, busy = {}, {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local entry = redis.call('HGET', KEYS[1], id)
  if entry then
    local due_key = ARGV[3] .. string.match(entry, '^%S+')
    if redis.call('HEXISTS', KEYS[2], id) == 1 and tonumber(redis.call('ZSCORE', due_key, id) or 0) > now then
      busy[#busy + 1] = id
    else
      redis.call('ZREM', due_key, '')
      take(due_key, id)
      claimed[#claimed + 1] = entry
    end
  end
end
return {claimed, busy}
"""
)
"""KEYS: entries, claims.  ARGV: token, lease, what keys of due times begin with, ids.
Returns the entries that were claimed, and the ids of those that somebody publishes at this moment."""

RELEASE = (
    NOW
    + """
for i = 4, #ARGV do
  local id = ARGV[i]
  local claim = redis.call('HGET', KEYS[2], id)
  local entry = redis.call('HGET', KEYS[1], id)
  if claim and entry and string.match(claim, '^%S+') == ARGV[1] then
    redis.call('HDEL', KEYS[2], id)
    local due = tonumber(ARGV[3]) > 0 and now + ARGV[3] or string.match(claim, '%S+$')
    redis.call('ZADD', ARGV[2] .. string.match(entry, '^%S+'), due, id)
  end
end
"""
)
"""KEYS: entries, claims.  ARGV: token, what keys of due times begin with, seconds to wait (0: due as before), ids."""

REMOVE = """
for i = 2, #ARGV do
  local id = ARGV[i]
  local entry = redis.call('HGET', KEYS[1], id)
  if entry then
    local alias, queue = string.match(entry, '^(%S+) ([^\\n]*)')
    redis.call('ZREM', ARGV[1] .. alias, id)
    redis.call('HDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
    if redis.call('HINCRBY', KEYS[4], queue, -1) <= 0 then redis.call('HDEL', KEYS[4], queue) end
  end
end
"""
"""KEYS: entries, claims, ids, queues.  ARGV: what keys of due times begin with, ids."""
