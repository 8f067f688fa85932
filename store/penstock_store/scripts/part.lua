-- Part what silent workers hold into groups of suspects. Answers how many groups wait.
-- Of a worker that is silent nobody knows whether it died: only the second loss of a task alone counts.
-- KEYS: tag, route, outcomes, queue of each lane. ARGV: revision, idle ms, a name that is used once.
-- uses: agent places ledger harm undoing tasks tail suspects
local revision, idle, name = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local tail = hash_at(TAIL) or {}

if route == nil or SUSPENDED or gone(revision) or break_is_open(tail) then return 0 end

-- Workers come and go; those long gone with nothing pending are forgotten.
local function forget(queue, consumer)
  if consumer.pending > 0 or consumer.idle < IDLE_CONSUMER_MS then return end
  redis.call("XGROUP", "DELCONSUMER", queue, GROUP, consumer.name)
end

-- How long a claim of this worker has been silent at least, if it is a suspect; nil where none has been for long
-- enough. A worker renews all that it holds at once: one claim is idle for the whole time and none is younger than
-- half of it, then the worker is gone, and all that it held is parted together. Otherwise it lives, and has lost
-- hold of the old ones alone.
local function silence(queue, consumer)
  local function older_than(least, most)
    return #call("XPENDING", queue, GROUP, "IDLE", least, "-", "+", most, consumer.name)
  end
  if older_than(idle, 1) == 0 then return nil end
  local half, most = math.ceil(idle / 2), math.min(consumer.pending, MOST_PARTED)
  return older_than(half, most) < most and idle or half
end

for worker, at in pairs(seen_times(tail)) do
  if NOW - at >= IDLE_CONSUMER_MS then forget_worker(worker) end
end

local waiting = 0
for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  for i, consumer in ipairs(consumers_of(queue)) do
    if is_group(consumer.name) then
      waiting = waiting + (consumer.pending > 0 and 1 or 0)
      if consumer.pending == 0 then redis.call("XGROUP", "DELCONSUMER", queue, GROUP, consumer.name) end
    elseif consumer.pending > 0 then
      local silent_for = silence(queue, consumer)
      if silent_for then waiting = waiting + part(queue, consumer.name, silent_for, false, name .. lane .. "." .. i) end
    else
      forget(queue, consumer)
    end
  end
end
return waiting
