-- What a worker held whose process ended without a word: tried again apart from other tasks, in groups of
-- half the size each time, until the one task is alone that ends whoever runs it. A group that waits is
-- what the group's name holds in the list of pending entries, as if a consumer of that name had read it.
local WAITING_GROUP = "~"
local MOST_AT_ONCE = 1000

local function is_group(consumer) return string.sub(consumer, 1, 1) == WAITING_GROUP end

local function give_to(queue, consumer, entries, first, last)
  for from = first, last, MOST_AT_ONCE do
    local command = {"XCLAIM", queue, GROUP, consumer, 0}
    for i = from, math.min(last, from + MOST_AT_ONCE - 1) do command[#command + 1] = entries[i] end
    command[#command + 1] = "JUSTID"
    call(unpack(command))
  end
end

-- Count the death of a task that was alone. certain: its parent saw the process die; else it may live,
-- cut off from Redis, so that a second time must confirm it, and a heartbeat takes it back (see heartbeat).
local function count_death(id, certain)
  local task = task_at(id)
  if task == nil or has_ended(task) or task.suspects ~= "1" then return end
  call("HSET", task_key(id), "alone", certain and MAX_DEATHS_ALONE or task.alone + 1, "countedOf", task.claim)
end

-- Part a lane's pending entries of a consumer into groups of half the size, or less where a group would be too
-- much for one answer. Answers how many groups.
local function part(queue, consumer, idle, certain, name)
  local entries = {}
  for _, pending in ipairs(call("XPENDING", queue, GROUP, "IDLE", idle, "-", "+", MOST_PARTED, consumer)) do
    local found = call("XRANGE", queue, pending[1], pending[1])[1]
    if found then
      count_death(found[2][2], certain)
      entries[#entries + 1] = pending[1]
    else
      call("XACK", queue, GROUP, pending[1])
    end
  end
  local size = math.min(math.ceil(#entries / 2), MOST_SUSPECTS)
  local groups = 0
  for first = 1, #entries, math.max(size, 1) do
    groups = groups + 1
    give_to(queue, WAITING_GROUP .. name .. "-" .. groups, entries, first, math.min(#entries, first + size - 1))
  end
  return groups
end

local function consumers_of(queue)
  local found = {}
  if not group_of(queue) then return found end
  for _, flat in ipairs(redis.call("XINFO", "CONSUMERS", queue, GROUP)) do found[#found + 1] = paired(flat) end
  return found
end
