"""Every step in the table of delayed messages is one script: a killed process leaves nothing half done.

| key                     | kind       | what is in it                                                              |
|-------------------------|------------|----------------------------------------------------------------------------|
| ``fleet.delayed.<alias>``| sorted set| of each broker: entry id → when it is due, or when the claim on it runs out |
| ``fleet.delayed``       | hash       | entry id → broker and queue, a line feed, the message as JSON              |
| ``fleet.delayed.claims``| hash       | entry id → who publishes it now, and when it was due                       |
| ``fleet.delayed.ids``   | sorted set | the entry ids in the order of their task ids                               |
| ``fleet.delayed.queues``| hash       | queue → how many wait for it                                               |
| ``fleet.delayed.stamps``| hash       | entry id → broker, a line feed, its stamps as JSON; of those that have some |
| ``fleet.delayed.lookouts``| hash     | broker → the mover that looks most often, a blank, until when               |
| ``fleet.delayed.refused``| hash      | entry id → how often it was refused, a blank, why it last was              |

All times are in seconds by the clock of the server.  Scripts that must work on a server at ``maxmemory`` begin with a
command that frees memory: Redis lets a script that has begun to write go on.
"""

from __future__ import annotations

DUE = "fleet.delayed."
ENTRIES = "fleet.delayed"
CLAIMS = "fleet.delayed.claims"
IDS = "fleet.delayed.ids"
QUEUES = "fleet.delayed.queues"
STAMPS = "fleet.delayed.stamps"
REFUSED = "fleet.delayed.refused"
LOOKOUTS = "fleet.delayed.lookouts"

NOW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
"""

STORE = (
    NOW
    + """
if KEYS[6] then
  local runs = redis.call('HGET', KEYS[6], ARGV[8])
  if runs and string.match(runs, '^%d+') ~= ARGV[9] then return runs end
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then return 0 end
if KEYS[6] then redis.call('HSET', KEYS[6], ARGV[8], ARGV[10]) end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 1 end
local due = ARGV[4] == 'countdown' and now + ARGV[5] or tonumber(ARGV[5])
redis.call('ZADD', KEYS[1], due, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('HINCRBY', KEYS[4], ARGV[3], 1)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[5], ARGV[1], ARGV[7]) end
return 1
"""
)
"""KEYS: due, entries, ids, queues, stamps; for a firing of beat its runs, too.
ARGV: id, entry, queue, ``countdown`` or ``eta``, seconds, the most there may be, stamps or nothing; for a firing its
entry, how often that was fired, and what to keep then.
Returns 0 when the table is full, and the runs that are kept when these are others."""

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
  local claim = redis.call('HGET', KEYS[2], id)
  local due = claim and tonumber(string.match(claim, '%S+$')) or now
  if due > now then
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZADD', KEYS[3], due, id)
  elseif entry then
    take(KEYS[3], id)
    answer[#answer + 1] = id
    answer[#answer + 1] = entry
    size = size + #entry
    if size >= tonumber(ARGV[4]) then break end
  else
    redis.call('ZREM', KEYS[3], id)
  end
end
local known = redis.call('HGET', KEYS[4], ARGV[5])
local lookout, ends = string.match(known or '', '^(%S+) (%S+)$')
local is_ours = lookout == ARGV[1]
if not is_ours and (not lookout or tonumber(ends) <= now) then is_ours, ends = true, now end
if is_ours and ends - now < ARGV[6] / 2 then
  redis.call('HSET', KEYS[4], ARGV[5], ARGV[1] .. ' ' .. (now + ARGV[6]))
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
return {first[2] and tostring(first[2] - now) or '', answer, is_ours and 1 or 0}
"""
)
"""KEYS: entries, claims, due, lookouts.  ARGV: token, lease, the most entries, about the most bytes, the broker, how
long one is its lookout.
Returns in how many seconds the next one is due, what was claimed, ids and entries, and whether who asks is the lookout.
A claim may also have run out before its entry is due: whoever was to revoke that died.  It waits on."""

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
    redis.call('HDEL', KEYS[5], id)
    redis.call('HDEL', KEYS[6], id)
  end
end
"""
"""KEYS: entries, claims, ids, queues, stamps, refused.  ARGV: what keys of due times begin with, ids."""

NOTE_REFUSAL = """
redis.call('HDEL', KEYS[1], '')
local before = redis.call('HGET', KEYS[1], ARGV[1])
local times = (before and tonumber(string.match(before, '^%d+')) or 0) + 1
redis.call('HSET', KEYS[1], ARGV[1], times .. ' ' .. ARGV[2])
return times
"""
"""KEYS: refused.  ARGV: id, why.  Returns how often it was refused."""
