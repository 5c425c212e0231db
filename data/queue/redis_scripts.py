"""The scripts of the Redis queue: each method is one, so it happens whole or not at all, whoever else writes.

Imported by ``data.queue.redis_queue`` alone. ``KEYS[1]`` is the queue's hash tag, which begins all of its
keys: a cluster keeps them together. ``ARGV[1]`` is the moment in seconds, or nothing for the server's clock.

Keys after the tag: ``task:SEQ`` a hash each, where ``SEQ`` is the task's number in 16 digits (so that equal
scores are ordered by age), beside it ``payload:SEQ`` and ``result:SEQ``, without which the hash is packed;
``ids:TENANT`` id to number. Sorted sets of numbers: ``ready:KIND:TENANT`` (score: priority below 0),
``age:KIND`` (since when ready), ``delayed`` (until when), ``leased`` (until when), ``ended:PLACE`` (since
when) and ``list:TENANT:PLACE`` (number). ``lanes:KIND`` holds the next task of each tenant by turn and
priority, ``lane:KIND`` where a tenant stands in it, ``turns:KIND`` the turns a tenant had, ``rounds`` where a
kind's lanes are; ``tally`` tasks by kind and place, ``open`` unfinished ones by tenant.
"""

from __future__ import annotations

from data.queue.ports import SWEEP
from data.queue.tasks import TOP_PRIORITY

#: Numbers go to Redis as text: its own conversion would write large ones with an exponent.
_COMMON = f"""
local Q, TOP, SWEEP = KEYS[1], {TOP_PRIORITY}, {SWEEP}
"""
_COMMON += """
local call = redis.call
local OPEN = {ready = true, delayed = true, leased = true}
local function whole(number) return string.format('%.0f', number) end
local function moment(seconds) return string.format('%.6f', seconds) end
local now
if ARGV[1] == '' then
  local time = call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
else now = tonumber(ARGV[1]) end

local function load(seq)
  local row = call('HMGET', Q .. 'task:' .. seq, 'tenant', 'kind', 'place', 'priority', 'attempts', 'token')
  return {seq = seq, tenant = row[1], kind = row[2], place = row[3], priority = tonumber(row[4]),
    attempts = tonumber(row[5]), token = row[6]}
end
local function find(tenant, id)
  local seq = call('HGET', Q .. 'ids:' .. tenant, id)
  return seq and load(seq)
end
local function held(tenant, id, token)
  local task = find(tenant, id)
  return task and task.place == 'leased' and task.token == token and task
end
local function count(task, place, by)
  call('HINCRBY', Q .. 'tally', task.kind .. ':' .. place, by)
end
local function opened(task, by)
  call('HINCRBY', Q .. 'open', task.tenant, by)
  call('HINCRBY', Q .. 'open', '', by)
end
local function leave(task)
  local place = task.place
  if place == 'ready' then
    call('ZREM', Q .. 'ready:' .. task.kind .. ':' .. task.tenant, task.seq)
    call('ZREM', Q .. 'age:' .. task.kind, task.seq)
  elseif OPEN[place] then call('ZREM', Q .. place, task.seq)
  else call('ZREM', Q .. 'ended:' .. place, task.seq) end
  call('ZREM', Q .. 'list:' .. task.tenant .. ':' .. place, task.seq)
  count(task, place, -1)
end
local function enter(task, place, score)
  count(task, place, 1)
  call('ZADD', Q .. 'list:' .. task.tenant .. ':' .. place, task.seq, task.seq)
  if place == 'ready' then
    call('ZADD', Q .. 'ready:' .. task.kind .. ':' .. task.tenant, whole(-task.priority), task.seq)
    call('ZADD', Q .. 'age:' .. task.kind, moment(now), task.seq)
  elseif OPEN[place] then call('ZADD', Q .. place, moment(score), task.seq)
  else call('ZADD', Q .. 'ended:' .. place, moment(score), task.seq) end
  task.place = place
end
local function move(task, place, score, ...)
  local was = OPEN[task.place]
  leave(task)
  enter(task, place, score)
  if was ~= OPEN[place] then opened(task, was and -1 or 1) end
  call('HSET', Q .. 'task:' .. task.seq, 'place', place, ...)
end

-- Let a tenant's lane name its first task; one that was empty joins where its kind's others are.
local function refresh(kind, tenant)
  local lanes, places, turns = Q .. 'lanes:' .. kind, Q .. 'lane:' .. kind, Q .. 'turns:' .. kind
  local old = call('HGET', places, tenant)
  local first = call('ZRANGE', Q .. 'ready:' .. kind .. ':' .. tenant, 0, 0, 'WITHSCORES')
  if old then call('ZREM', lanes, old) end
  if not first[1] then
    if old then call('HDEL', places, tenant) end
    return
  end
  local turn = tonumber(call('HGET', turns, tenant) or 0)
  if not old then
    local joined = tonumber(call('HGET', Q .. 'rounds', kind) or 0)
    if joined > turn then
      turn = joined
      call('HSET', turns, tenant, whole(turn))
    end
  end
  local member = first[1] .. tenant
  call('ZADD', lanes, whole(turn * (TOP + 1) + TOP + tonumber(first[2])), member)
  call('HSET', places, tenant, member)
end
local function remove(task)
  leave(task)
  if OPEN[task.place] then opened(task, -1) end
  call('HDEL', Q .. 'ids:' .. task.tenant, call('HGET', Q .. 'task:' .. task.seq, 'id'))
  call('DEL', Q .. 'task:' .. task.seq, Q .. 'payload:' .. task.seq, Q .. 'result:' .. task.seq)
end
local function row(seq)
  local found = call('HMGET', Q .. 'task:' .. seq, 'seq', 'token', 'until', 'tenant', 'id', 'kind',
    'priority', 'place', 'attempts', 'created', 'not_before', 'ended', 'error')
  found[14], found[15] = call('GET', Q .. 'payload:' .. seq), call('GET', Q .. 'result:' .. seq)
  return found
end
"""

#: ARGV from 2: most tasks, most of a tenant, whether it is all or none; then six a task.
PUT = (
    _COMMON
    + """
local most, tenant_most, answer, lanes, new = tonumber(ARGV[2]), tonumber(ARGV[3]), {}, {}, {}
for i = 5, ARGV[4] == '1' and #ARGV or 0, 6 do
  local known = call('HEXISTS', Q .. 'ids:' .. ARGV[i], ARGV[i + 1])
  for _, name in ipairs({ARGV[i], ''}) do new[name] = (new[name] or 0) + 1 - known end
end
for name, count in pairs(new) do
  local bound = name == '' and most or tenant_most
  if tonumber(call('HGET', Q .. 'open', name) or 0) + count > bound then most = 0 end
end
for i = 5, #ARGV, 6 do
  local tenant, id, kind, payload, priority, begin = unpack(ARGV, i, i + 5)
  local known = call('HEXISTS', Q .. 'ids:' .. tenant, id) == 1
  local fits = tonumber(call('HGET', Q .. 'open', '') or 0) < most
    and tonumber(call('HGET', Q .. 'open', tenant) or 0) < tenant_most
  answer[#answer + 1] = (known or fits) and 1 or 0
  if fits and not known then
    local seq = string.format('%016.0f', call('INCR', Q .. 'seq'))
    local task = {seq = seq, tenant = tenant, kind = kind, priority = tonumber(priority)}
    begin = tonumber(begin)
    call('HSET', Q .. 'ids:' .. tenant, id, seq)
    enter(task, begin > now and 'delayed' or 'ready', begin)
    opened(task, 1)
    call('SET', Q .. 'payload:' .. seq, payload)
    call('HSET', Q .. 'task:' .. seq, 'seq', seq, 'tenant', tenant, 'id', id, 'kind', kind,
      'priority', priority, 'place', task.place, 'attempts', '0', 'token', '0', 'created', moment(now),
      'not_before', moment(begin > now and begin or now), 'error', '')
    lanes[kind .. ':' .. tenant] = task
  end
end
for _, task in pairs(lanes) do refresh(task.kind, task.tenant) end
return answer
"""
)
#: ARGV from 2: worker, most tasks, seconds of the lease, most attempts; then the kinds.
CLAIM = (
    _COMMON
    + """
local worker, most, lease, attempts = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lanes = {}
for _, seq in ipairs(call('ZRANGEBYSCORE', Q .. 'delayed', '-inf', moment(now), 'LIMIT', 0, SWEEP)) do
  local task = load(seq)
  move(task, 'ready')
  lanes[task.kind .. ':' .. task.tenant] = task
end
for _, seq in ipairs(call('ZRANGEBYSCORE', Q .. 'leased', '-inf', moment(now), 'LIMIT', 0, SWEEP)) do
  local task = load(seq)
  local by = call('HGET', Q .. 'task:' .. seq, 'worker')
  local error = 'The worker ' .. by .. ' did not finish it before its lease ended.'
  if task.attempts >= attempts then
    move(task, 'dead', now, 'token', '0', 'error', error, 'ended', moment(now))
  else move(task, 'ready', nil, 'token', '0', 'error', error) end
  lanes[task.kind .. ':' .. task.tenant] = task
end
for _, task in pairs(lanes) do refresh(task.kind, task.tenant) end

local function ahead(kind)
  local head = call('ZRANGE', Q .. 'lanes:' .. kind, 0, 0, 'WITHSCORES')
  if not head[1] then return nil end
  local score = tonumber(head[2])
  local turn = math.floor(score / (TOP + 1))
  local round = tonumber(call('HGET', Q .. 'rounds', kind) or 0)
  return {kind = kind, turn = turn, turns = turn - round, less = score - turn * (TOP + 1), first = head[1]}
end
local function earlier(one, other)
  if one.turns ~= other.turns then return one.turns < other.turns end
  if one.less ~= other.less then return one.less < other.less end
  return one.first < other.first
end
local heads, answer, token = {}, {}, nil
for i = 6, #ARGV do heads[ARGV[i]] = ahead(ARGV[i]) end
while #answer < most do
  local next
  for _, head in pairs(heads) do if not next or earlier(head, next) then next = head end end
  if not next then break end
  if next.turns > 0 then
    -- All kinds asked for together, so that none of them is passed over for ever.
    for kind, head in pairs(heads) do
      call('HINCRBY', Q .. 'rounds', kind, whole(next.turns))
      if head ~= next then head.turns = head.turns - next.turns end
    end
  end
  token = token or call('INCR', Q .. 'token')
  local task = load(string.sub(next.first, 1, 16))
  move(task, 'leased', now + lease, 'token', whole(token), 'worker', worker, 'until', moment(now + lease),
    'attempts', whole(task.attempts + 1))
  call('HSET', Q .. 'turns:' .. task.kind, task.tenant, whole(next.turn + 1))
  refresh(task.kind, task.tenant)
  heads[task.kind] = ahead(task.kind)
  answer[#answer + 1] = row(task.seq)
end
return answer
"""
)
#: ARGV from 2: seconds of the lease; then three a lease.
HEARTBEAT = (
    _COMMON
    + """
local answer, later = {}, moment(now + tonumber(ARGV[2]))
for i = 3, #ARGV, 3 do
  local task = held(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  if task then
    call('ZADD', Q .. 'leased', later, task.seq)
    call('HSET', Q .. 'task:' .. task.seq, 'until', later)
  end
  answer[#answer + 1] = task and 1 or 0
end
return answer
"""
)
#: ARGV from 2: a lease's three and its result, for each.
FINISH = (
    _COMMON
    + """
local answer = {}
for i = 2, #ARGV, 4 do
  local task = find(ARGV[i], ARGV[i + 1])
  local mine = task and task.token == ARGV[i + 2]
  if mine and task.place == 'leased' then
    call('SET', Q .. 'result:' .. task.seq, ARGV[i + 3])
    move(task, 'done', now, 'error', '', 'ended', moment(now))
  end
  answer[#answer + 1] = mine and task.place == 'done' and 1 or 0
end
return answer
"""
)
#: ARGV from 2: most attempts, first and longest wait; then a lease's three, the error, whether it may be
#: tried again, and the jitter, for each. The wait is that of ``RetryRule.delay_s``.
FAIL = (
    _COMMON
    + """
local attempts, first, longest, answer = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), {}
for i = 5, #ARGV, 6 do
  local tenant, id, token, error, retryable, chance = unpack(ARGV, i, i + 5)
  local task = find(tenant, id)
  if not task or task.token ~= token then task = nil
  elseif task.place == 'leased' and (retryable == '0' or task.attempts >= attempts) then
    move(task, 'dead', now, 'error', error, 'ended', moment(now))
  elseif task.place == 'leased' then
    local wait = math.min(longest, first * 2 ^ math.min(math.max(task.attempts, 1) - 1, 60))
    local begin = now + wait * tonumber(chance)
    move(task, 'delayed', begin, 'error', error, 'not_before', moment(begin))
  end
  answer[#answer + 1] = task and task.place or ''
end
return answer
"""
)
#: ARGV from 2: three a lease.
RELEASE = (
    _COMMON
    + """
local answer = {}
for i = 2, #ARGV, 3 do
  local task = held(ARGV[i], ARGV[i + 1], ARGV[i + 2])
  if task then
    move(task, 'ready', nil, 'token', '0', 'attempts', whole(task.attempts - 1))
    refresh(task.kind, task.tenant)
  end
  answer[#answer + 1] = task and 1 or 0
end
return answer
"""
)
#: ARGV from 2: the tenant, then ids.
CANCEL = (
    _COMMON
    + """
local answer = {}
for i = 3, #ARGV do
  local task = find(ARGV[2], ARGV[i])
  if task and OPEN[task.place] then
    move(task, 'cancelled', now, 'token', '0', 'ended', moment(now))
    refresh(task.kind, task.tenant)
  end
  answer[#answer + 1] = task and task.place == 'cancelled' and 1 or 0
end
return answer
"""
)
#: ARGV from 2: the tenant, then ids.
RETRY_DEAD = (
    _COMMON
    + """
local answer = {}
for i = 3, #ARGV do
  local task = find(ARGV[2], ARGV[i])
  local dead = task and task.place == 'dead'
  if dead then
    move(task, 'ready', nil, 'token', '0', 'attempts', '0')
    call('HDEL', Q .. 'task:' .. task.seq, 'ended')
    refresh(task.kind, task.tenant)
  end
  answer[#answer + 1] = dead and 1 or 0
end
return answer
"""
)
#: ARGV from 2: the tenant and the id.
GET = (
    _COMMON
    + """
local seq = call('HGET', Q .. 'ids:' .. ARGV[2], ARGV[3])
return seq and {row(seq)} or {}
"""
)
#: ARGV from 2: the tenant, most tasks, the number before which the page begins, places.
PAGE = (
    _COMMON
    + """
local found, answer = {}, {}
for i = 5, #ARGV do
  local list = Q .. 'list:' .. ARGV[2] .. ':' .. ARGV[i]
  for _, seq in ipairs(call('ZREVRANGEBYSCORE', list, ARGV[4], '-inf', 'LIMIT', 0, ARGV[3])) do
    found[#found + 1] = seq
  end
end
table.sort(found, function(one, other) return one > other end)
for i = 1, math.min(#found, tonumber(ARGV[3])) do answer[i] = row(found[i]) end
return answer
"""
)
#: Answers kind and place, and number, for each; then kind and age.
COUNTS = (
    _COMMON
    + """
local tally, ages, seen = call('HGETALL', Q .. 'tally'), {}, {}
for i = 1, #tally, 2 do
  local kind = string.match(tally[i], '^[^:]+')
  local first = not seen[kind] and call('ZRANGE', Q .. 'age:' .. kind, 0, 0, 'WITHSCORES') or {}
  seen[kind] = true
  if first[2] then
    ages[#ages + 1] = kind
    ages[#ages + 1] = moment(now - tonumber(first[2]))
  end
end
return {tally, ages}
"""
)
#: ARGV from 2: the place, the moment before which it ended, most tasks.
PRUNE = (
    _COMMON
    + """
local ended = call('ZRANGEBYSCORE', Q .. 'ended:' .. ARGV[2], '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
for _, seq in ipairs(ended) do remove(load(seq)) end
return #ended
"""
)
#: ARGV from 2: the tenant, most tasks.
ERASE = (
    _COMMON
    + """
local tenant, most, gone, kinds = ARGV[2], tonumber(ARGV[3]), 0, {}
for _, place in ipairs({'ready', 'delayed', 'leased', 'done', 'dead', 'cancelled'}) do
  for _, seq in ipairs(call('ZRANGE', Q .. 'list:' .. tenant .. ':' .. place, 0, most - gone - 1)) do
    local task = load(seq)
    remove(task)
    kinds[task.kind] = true
    gone = gone + 1
  end
  if gone == most then break end
end
for kind, _ in pairs(kinds) do refresh(kind, tenant) end
if gone < most then
  call('HDEL', Q .. 'open', tenant)
  for _, name in ipairs(call('HKEYS', Q .. 'tally')) do
    call('HDEL', Q .. 'turns:' .. string.match(name, '^[^:]+'), tenant)
  end
end
return gone
"""
)
