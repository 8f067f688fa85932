-- Move work from a revision to stable, as its standing says; where none could take it over, what must go ends.
-- Answers how many were moved or have ended.
-- KEYS: tag, route, outcomes, queue of each lane. ARGV: revision, limit, claimed too (1 or 0).
-- uses: agent places ledger harm undoing tasks
local revision, limit, claimed_too = ARGV[1], tonumber(ARGV[2]), ARGV[3] == "1"
local PAGE, MOST_SEEN = 200, 5000
local now = standing(revision)
local everything = gone(revision)
local moved = 0
-- When a task that may stay moves after all: nobody there works, or nobody gets to it.
local PATIENCE_MS = everything and ORPHAN_IDLE_MS or 4 * ORPHAN_IDLE_MS

if route == nil or route.stable == revision then return 0 end
if gone(route.stable) and not (ALONE and everything) then return 0 end
if now == "Open" then return 0 end

-- Unless all must go: what has begun stays, and so does what follows an earlier turn.
local function movable(task)
  if everything then return true end
  if task.startedAt > 0 or task.preview ~= "" then return false end
  return task.sess == "" or tonumber(call("HGET", session_key(task.sess), "turns") or 0) == 0
end

local function move(id, task)
  dequeue(task)
  call("HSET", task_key(id), "status", SUSPENDED and "Halted" or "Queued", "claim", "", "suspects", 0)
  reassign(id, task, route.stable)
  enqueue(id, task)
end

local function consider(queue, entry, id, abandoned)
  local task = task_at(id)
  if task == nil or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
    return
  end
  local leaves = abandoned or movable(task)
  local ending = untimely(task) or (ALONE and ENDINGS.nobody) or (leaves and task.preview ~= "" and ENDINGS.preview)
  if ending then
    dequeue(task)
    finish(id, task, ending)
  elseif leaves then
    move(id, task)
  else
    return
  end
  moved = moved + 1
end

-- Claimed, and the worker is gone. A revision that may finish its work gets time to reclaim it.
local function move_abandoned(queue)
  local pending = call("XPENDING", queue, GROUP, "IDLE", PATIENCE_MS, "-", "+", math.max(1, limit - moved))
  for _, abandoned in ipairs(pending) do
    local found = call("XRANGE", queue, abandoned[1], abandoned[1])[1]
    if found then consider(queue, found[1], found[2][2], true) end
  end
end

-- How long nobody has claimed an entry while workers could have.
local function waited_ms(entry)
  if SUSPENDED then return 0 end
  return NOW - math.max(tonumber(string.match(entry, "^%d+")), RESUMED_AT)
end

local function move_queued(queue)
  local after, seen = last_delivered(queue), 0
  while moved < limit and seen < MOST_SEEN do
    local entries = call("XRANGE", queue, "(" .. after, "+", "COUNT", math.min(PAGE, limit - moved))
    for _, entry in ipairs(entries) do
      local waited = waited_ms(entry[1])
      if now == "Draining" and waited <= PATIENCE_MS then return end -- the next came later
      consider(queue, entry[1], entry[2][2], waited > PATIENCE_MS)
      after, seen = entry[1], seen + 1
    end
    if #entries == 0 then return end
  end
end

for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  if claimed_too and moved < limit and group_of(queue) then move_abandoned(queue) end
  if moved < limit then move_queued(queue) end
end
return moved
