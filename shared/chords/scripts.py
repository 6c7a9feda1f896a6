"""Every step of a chord is one script in shared state: a killed process leaves nothing half done.

| key                       | kind       | what is in it                                                         |
|---------------------------|------------|-----------------------------------------------------------------------|
| ``fleet.chords``          | sorted set | chord (the id of its group) → when it is looked after next            |
| ``fleet.chord:<id>``      | hash       | the record: body, members, size, deadline, and how far it has come    |
| ``fleet.chord.parts:<id>``| hash       | task id of a member that ended → its place in the header, its outcome |
| ``fleet.chord.begun:<id>``| hash       | each message of a body or an errback → the dispatch of which it began |

Fields of a record:

- ``body``, ``members``: JSON, as they were published; ``size`` and ``more``: how many members have to report;
- ``deadline``, by the clock of the server; ``seconds``: how long after its header that is; ``asked``: ``1`` when the
  caller chose it;
- ``state``: ``open``, ``done`` (the body was published) or ``failed`` (its errbacks were);
- ``token``, ``until``: who is ending it, and when that claim runs out; ``verdict``: ``complete`` or ``late``, which
  every later claim has to carry out as well, so that no body follows an errback;
- ``life``: how often it was reopened; ``looked``, ``pause``: what the watch found last.

Scripts that end something begin with a command that frees memory: Redis lets a script that has begun to write go on
when it is full.
"""

from __future__ import annotations

CHORDS = "fleet.chords"
RECORD = "fleet.chord:"
PARTS = "fleet.chord.parts:"
BEGUN = "fleet.chord.begun:"

COMMON = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function is_complete(record, parts)
  local sizes = redis.call('HMGET', record, 'size', 'more')
  return sizes[1] and redis.call('HLEN', parts) >= tonumber(sizes[1]) + tonumber(sizes[2] or 0)
end
local function is_claimed(record)
  return tonumber(redis.call('HGET', record, 'until') or 0) > now
end
local function claim(record, id, token, lease)
  redis.call('HSET', record, 'token', token, 'until', now + lease)
  redis.call('ZADD', 'fleet.chords', now + lease, id)
end
"""

OPEN = (
    COMMON
    + """
if ARGV[8] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'state', 'open', 'body', ARGV[2], 'members', ARGV[3], 'deadline', now + ARGV[4],
  'seconds', ARGV[4], 'asked', ARGV[5], 'opened', now, 'life', 0)
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[4] + ARGV[7]))
redis.call('ZADD', 'fleet.chords', now + math.min(ARGV[6], ARGV[4]), ARGV[1])
return 1
"""
)
"""KEYS: record, parts, begun.  ARGV: id, body, members, seconds, asked, the first pause, seconds that it outlives its
deadline, ``1`` to leave one alone that is there."""

RESIZE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'size', ARGV[1])
return 1
"""
"""KEYS: record.  ARGV: size.  Returns 0 when there is no record."""

GROW = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'more', 1)
return 1
"""
"""KEYS: record.  Returns 0 when there is no record."""

REPORT = (
    COMMON
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'unknown' end
if state ~= 'open' or redis.call('HGET', KEYS[1], 'verdict') == 'late' then return 'over' end
for i = 4, #ARGV, 3 do
  local id, place = ARGV[i], ARGV[i + 1]
  local known = redis.call('HGET', KEYS[2], id)
  local known_place = known and string.match(known, '^%S+')
  if not known then
    redis.call('HSET', KEYS[2], id, place .. ' ' .. ARGV[i + 2])
  elseif place ~= known_place and place ~= '-1' and known_place ~= '-1' then
    redis.call('HSETNX', KEYS[2], id .. ' ' .. place, place .. ' ' .. ARGV[i + 2])
  end
end
redis.call('EXPIRE', KEYS[2], math.max(1, redis.call('TTL', KEYS[1])))
if not is_complete(KEYS[1], KEYS[2]) or is_claimed(KEYS[1]) then return 'noted' end
redis.call('HSET', KEYS[1], 'verdict', 'complete')
claim(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 'claimed'
"""
)
"""KEYS: record, parts.  ARGV: id, token, lease; of each member its task id, its place (-1: unknown), its outcome.
Of one member the first outcome holds; two of one task id are told apart by their places, as Celery tells them apart.
Returns ``claimed`` when all have reported, and the caller has to end the chord."""

LOOK = (
    COMMON
    + """
redis.call('ZREM', KEYS[1], '')
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  local record, parts = ARGV[6] .. id, ARGV[7] .. id
  local known = redis.call('HMGET', record, 'state', 'deadline', 'verdict', 'looked', 'pause')
  local deadline = tonumber(known[2] or 0)
  if known[1] ~= 'open' then
    redis.call('ZREM', KEYS[1], id)
  elseif known[3] or is_complete(record, parts) then
    redis.call('HSETNX', record, 'verdict', 'complete')
    claim(record, id, ARGV[1], ARGV[2])
    found[#found + 1] = {id, 'left'}
  elseif deadline <= now then
    claim(record, id, ARGV[1], ARGV[2])
    found[#found + 1] = {id, 'overdue'}
  else
    local ended, pause = redis.call('HLEN', parts), tonumber(ARGV[4])
    if known[4] and tonumber(known[4]) == ended then
      pause = math.min(2 * tonumber(known[5]), tonumber(ARGV[5]))
      found[#found + 1] = {id, 'still'}
    end
    redis.call('HSET', record, 'looked', ended, 'pause', pause)
    redis.call('ZADD', KEYS[1], math.min(now + pause, deadline), id)
  end
end
return found
"""
)
"""KEYS: chords.  ARGV: token, lease, the most chords, the first pause, the longest, what keys of records and of parts
begin with.
Returns ids, each with ``left`` (whoever was to end it is gone), ``overdue`` or ``still``; the first two are claimed."""

DECIDE = (
    COMMON
    + """
redis.call('ZREM', 'fleet.chords', '')
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 'lost' end
redis.call('HSETNX', KEYS[1], 'verdict', is_complete(KEYS[1], KEYS[2]) and 'complete' or 'late')
return redis.call('HGET', KEYS[1], 'verdict')
"""
)
"""KEYS: record, parts.  ARGV: token.  Returns the verdict, or ``lost`` when the claim is another's."""

PUT_OFF = (
    COMMON
    + """
redis.call('ZREM', 'fleet.chords', '')
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'token', 'until')
redis.call('HINCRBYFLOAT', KEYS[1], 'deadline', ARGV[3])
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[3] + ARGV[4]))
redis.call('EXPIRE', KEYS[2], math.ceil(ARGV[3] + ARGV[4]))
redis.call('ZADD', 'fleet.chords', now, ARGV[1])
return 1
"""
)
"""KEYS: record, parts.  ARGV: id, token, seconds, seconds that it outlives its deadline."""

END = """
redis.call('ZREM', 'fleet.chords', '')
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'token', 'until', 'verdict', 'looked', 'pause')
redis.call('HSET', KEYS[1], 'state', ARGV[3])
if ARGV[3] == 'done' then
  redis.call('DEL', KEYS[2])
  redis.call('HDEL', KEYS[1], 'body', 'members')
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('ZREM', 'fleet.chords', ARGV[1])
return 1
"""
"""KEYS: record, parts.  ARGV: id, token, ``done`` or ``failed``, seconds that it is kept."""

REOPEN = (
    COMMON
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'failed' and state ~= 'open' then return 0 end
if redis.call('HGET', KEYS[1], 'verdict') then return 0 end
for _, member in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.match(member, '^%S+') == ARGV[2] then redis.call('HDEL', KEYS[2], member) end
end
if state == 'open' then return 1 end
local seconds = redis.call('HGET', KEYS[1], 'seconds')
redis.call('HSET', KEYS[1], 'state', 'open', 'deadline', now + seconds)
redis.call('HINCRBY', KEYS[1], 'life', 1)
redis.call('EXPIRE', KEYS[1], math.ceil(seconds + ARGV[4]))
redis.call('EXPIRE', KEYS[2], math.ceil(seconds + ARGV[4]))
redis.call('ZADD', 'fleet.chords', now + math.min(ARGV[3], seconds), ARGV[1])
return 1
"""
)
"""KEYS: record, parts.  ARGV: id, task id of the member, the first pause, seconds that it outlives its deadline.
Returns 0 when the chord is not known any more, has had its body, or is being ended now."""

BEGIN = """
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and 1 or 0
"""
"""KEYS: begun.  ARGV: message, dispatch, seconds that it is known.
Returns 0 when the same message of another dispatch began before."""
