-- End all tasks of a deleted or replaced agent. Answers {how many ended, how many revisions are left}.
-- KEYS: tag, route, outcomes. ARGV: uid to close ("": sweep only what is stale), limit, what each id begins with.
-- The queues of former revisions are known only from the set of them.
-- uses: agent places ledger harm undoing tasks
local uid, limit, prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local PAGE = 200

if uid ~= "" and route and route.uid == uid then
  call("DEL", ROUTE)
  route = nil
end
if route == nil then
  for _, hash in ipairs(call("SMEMBERS", REVISIONS)) do call("SADD", STALE, hash) end
end

-- A running task ends too: its worker hears Lost at its next step and drops it.
local function settle(queue, entry, id)
  local task = task_at(id)
  if task == nil or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
  elseif foreign(task) then
    dequeue(task)
    finish(id, task, ENDINGS.deleted)
  end
end

-- Whether the end of the queue was reached.
local function sweep(queue)
  local after = "0-0"
  repeat
    local entries = call("XRANGE", queue, "(" .. after, "+", "COUNT", PAGE)
    for _, entry in ipairs(entries) do
      if ended_here >= limit then return false end
      after = entry[1]
      settle(queue, after, entry[2][2])
    end
  until #entries == 0
  return true
end

for _, hash in ipairs(call("SMEMBERS", STALE)) do
  local clean = true
  for _, lane in ipairs(LANES) do clean = sweep(queue_key(hash, lane)) and clean end
  if clean then
    call("SREM", STALE, hash)
    if route == nil then forget(hash) end
  end
end

-- Those that wait for a person are in no queue.
local parked = redis.pcall("ZRANGE", PARKED, 0, -1)
for _, tail in ipairs(parked.err and {} or parked) do
  if ended_here >= limit then break end
  local id = prefix .. string.match(tail, "^(.+)%.%d+$")
  local task = task_at(id)
  if task == nil or has_ended(task) then
    call("ZREM", PARKED, tail)
  elseif foreign(task) then
    finish(id, task, ENDINGS.deleted)
  end
end

local left = call("SCARD", STALE)
if route == nil and left == 0 then
  for _, key in ipairs({OUTCOMES, RECENT, WAITS, TAIL, VERSIONS, RINGS, T .. ":budget", T .. ":shadow:copies"}) do call("EXPIRE", key, ENDED_TASK_SECONDS) end
end
return {ended_here, left}
