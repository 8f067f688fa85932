-- What workers know that they have written, and what Redis may have lost of it.
--
-- A replica that takes over, or a log that was cut, is a prefix of what was acknowledged: a worker
-- that finds its last write has lost nothing. T:tail holds, of each worker, the number of its last
-- write (n:…) and when it was last heard of (s:…); which server life was seen last (life); and the last
-- break: when another server, or one that misses a write, was met (breakAt), the last sign of any worker
-- that was found then (before), and whether all workers of that time have said since what they hold, or were given
-- up (settled). A worker that was given up may have acted without a trace in the span of
-- doubtFrom to doubtTo.

-- A script whose first command frees memory may write on in a full Redis; a break must be noticed there too.
local function write_even_when_full() call("HDEL", TAIL, "") end

-- Nobody need wait for a worker any more after a break.
local function forget_worker(consumer) call("HDEL", TAIL, "s:" .. consumer, "n:" .. consumer) end

local function seen_times(tail)
  local times = {}
  for field, at in pairs(tail) do
    if string.sub(field, 1, 2) == "s:" then times[string.sub(field, 3)] = tonumber(at) or 0 end
  end
  return times
end

-- Whether a break is so recent that workers may still have to say what they did before it.
local function break_is_open(tail)
  return NOW - (tonumber(tail.breakAt) or 0) < QUIET_MS
end

local function is_unsettled(tail) return (tonumber(tail.breakAt) or 0) > (tonumber(tail.settled) or 0) end

-- Whether a worker of before the last break may hold, or have ended, a task of which Redis has lost that: it has not
-- named all of them since (said: the break after which it has). One that has written nothing yet (mark 0) holds none.
local function owes_word(tail, consumer, mark, said)
  local broken = tonumber(tail.breakAt) or 0
  local seen = tonumber(tail["s:" .. consumer]) or (mark > 0 and 0 or NOW)
  return is_unsettled(tail) and mark ~= 0 and seen < broken and (said or 0) < broken
end

-- A worker says the number of its last acknowledged write (0: none) and of which server's life it is.
-- said: the break after which it has named all that it holds, with a heartbeat alone; until then it is as silent.
-- Answers the tail as it is then. An empty life is not known: the user of a version before may not ask.
local function join(consumer, mark, life, said)
  local tail = hash_at(TAIL) or {}
  if consumer == "" or route == nil then return tail end
  local another = life ~= "" and tail.life and tail.life ~= life
  local misses = mark > (tonumber(tail["n:" .. consumer]) or 0)
  if another or (misses and not break_is_open(tail)) then
    local before = 0
    for _, at in pairs(seen_times(tail)) do before = math.max(before, at) end
    if is_unsettled(tail) then before = math.min(before, tonumber(tail.before) or before) end
    tail.breakAt, tail.before = NOW, before
    call("HSET", TAIL, "breakAt", NOW, "before", before)
  end
  -- What a worker misses is lost for certain; and where none lived shortly before, nobody can tell.
  if misses or (another and tail.before == 0) then
    call("HSET", TAIL, "lostFrom", tail.before or 0, "lostTo", NOW)
  end
  if life ~= "" and tail.life ~= life then call("HSET", TAIL, "life", life) end
  if misses then call("HSET", TAIL, "n:" .. consumer, mark) end
  local heard_at = owes_word(tail, consumer, mark, said) and tonumber(tail.breakAt) - 1 or NOW
  tail.life, tail["s:" .. consumer] = life, heard_at
  call("HSET", TAIL, "s:" .. consumer, heard_at)
  return tail
end

-- The number of a write, which its worker remembers once it is acknowledged.
local function written(consumer)
  if consumer == "" then return 0 end
  return call("HINCRBY", TAIL, "n:" .. consumer, 1)
end

-- Whether a worker that lived shortly before the break has not said all that it holds since.
local function somebody_is_silent(tail)
  local broken, before = tonumber(tail.breakAt), tonumber(tail.before)
  for _, at in pairs(seen_times(tail)) do
    if at < broken and at >= before - QUIET_MS then return true end
  end
  return false
end

-- Whether tasks may be handed out: after a break not before each worker that lives has had the time to
-- write again what Redis lost of it. Who is silent for longer is given up.
local function may_hand_out(tail)
  local broken = tonumber(tail.breakAt) or 0
  if not is_unsettled(tail) then return true end
  local silent = somebody_is_silent(tail)
  if silent and break_is_open(tail) then return false end
  if silent then call("HSET", TAIL, "doubtFrom", tail.before, "doubtTo", broken) end
  call("HSET", TAIL, "settled", broken)
  return true
end

-- The span in which a worker that was given up may have worked on a task, as "from to" in ms; empty when
-- there is none. What a living worker has saved since is certain, and so is what a person has decided in this
-- life of the server; once in doubt, a task stays so.
local function doubt_of(task)
  if task.doubt ~= "" then return task.doubt end
  local span = call("HMGET", TAIL, "doubtFrom", "doubtTo", "life")
  if task.decidedLife ~= "" and task.decidedLife == span[3] then return "" end
  local to = tonumber(span[2] or "") or 0
  if to == 0 or tonumber(task.createdAt) > to or (tonumber(task.savedAt) or 0) >= to then return "" end
  return span[1] .. " " .. span[2]
end
