-- Tasks on their way: queued, moved, ended, followed by the next one of their session.

local FIELDS = {
  "uid", "revision", "status", "lane", "entry", "sess", "arm", "bucket", "routeVersion",
  "beginVersion", "createdAt", "startedAt", "deliveries", "claim", "cancel", "moved",
  "claimedAt", "savedAt", "savedBy", "holder", "heldAt", "intents", "doubt", "suspects", "alone", "countedOf", "idem", "calls",
  "asked", "parked", "parkedAt", "waitedMs", "decidedLife", "remadeAt", "preview",
  "undoes", "withdrawnAt",
}
local SPEND_SECONDS = 172800 -- how long a day's spend is kept
local COUNTERS = {"createdAt", "startedAt", "deliveries", "alone", "heldAt", "asked", "parkedAt", "waitedMs", "remadeAt", "withdrawnAt"}

-- What scripts need of a task (not its input or checkpoint), nil when it does not exist.
local function task_at(id)
  local values = call("HMGET", task_key(id), unpack(FIELDS))
  if not values[1] then return nil end
  local task = {}
  for i, name in ipairs(FIELDS) do task[name] = values[i] or "" end
  for _, name in ipairs(COUNTERS) do task[name] = tonumber(task[name]) or 0 end
  return task
end

local function has_ended(task)
  return task.status ~= "Queued" and task.status ~= "Running" and task.status ~= "Halted"
end

-- Whether the agent it was admitted to is no longer there.
local function foreign(task)
  return route == nil or route.uid ~= task.uid
end

-- Whether it is a preview whose revision goes on with nothing: no other one takes it over.
local function stranded(task)
  return task.preview ~= "" and gone(task.revision)
end

-- Whether it stood still while the agent was suspended: its time says nothing of its revision.
local function was_halted(task)
  return task.createdAt < RESUMED_AT
end

-- When a person last decided on what its session waited for: until then those behind waited for a person, not for a worker.
local function session_resumed_at(task)
  return task.sess ~= "" and tonumber(call("HGET", session_key(task.sess), "resumedAt") or "") or 0
end

-- Whether it waits for its first worker for longer than its revision allows; a suspension is no waiting.
local function overdue(task)
  if task.startedAt > 0 or SUSPENDED then return false end
  local limit = tonumber(call("HGET", revision_key(task.revision), "queueSeconds") or "")
  local function late(since) return NOW - since > limit * 1000 end
  return limit ~= nil and late(math.max(task.createdAt, RESUMED_AT)) and late(session_resumed_at(task))
end

-- Keep an idempotency key as long as its task may take, and so much longer as it, or one before it in its session,
-- waits for a person; from the task's end on it has a time of its own.
local function keep_idempotency(task, person_seconds)
  if task.idem == "" then return end
  local limits = call("HMGET", revision_key(task.revision), "queueSeconds", "wallSeconds")
  local longest = (tonumber(limits[1] or "") or 0) + (tonumber(limits[2] or "") or 0) + IDEMPOTENCY_SECONDS
    + (person_seconds or 0)
  call("EXPIRE", T .. ":idem:" .. task.idem, math.max(longest, IDEMPOTENCY_OPEN_SECONDS))
end

-- The names of irreversible tools that may have been called with a result nobody has kept, empty when
-- there are none. A worker of the version before says it in the conversation alone: so where the task was not
-- taken by one that says it (savedBy), the conversation is looked at.
local function open_intents(id, task)
  if task.intents ~= "" and task.intents ~= "-" then return task.intents end
  if task.intents == "-" and task.savedBy == task.claim then return "" end
  local saved = call("HGET", task_key(id), "checkpoint")
  if not saved or string.find(saved, '"begun":[]', 1, true) then return "" end
  return "an irreversible tool"
end

local function enqueue(id, task)
  task.entry = call("XADD", queue_key(task.revision, task.lane), "*", "t", id)
  call("HSET", task_key(id), "entry", task.entry)
  ring(task.revision)
end

local function dequeue(task)
  local queue = queue_key(task.revision, task.lane)
  if task.entry == "" or call("XLEN", queue) == 0 then return end
  call("XACK", queue, GROUP, task.entry)
  call("XDEL", queue, task.entry)
end

local function pin_until(session, revision, ends)
  local pins = pins_key(revision)
  call("ZADD", pins, ends, session)
  call("EXPIRE", pins, SESSION_MAX_SECONDS + SESSION_SECONDS)
end

-- A session whose revision is gone goes on elsewhere; begin version 0: it is no sample there.
local function repin(session, from, to)
  local key = session_key(session)
  if call("HGET", key, "revision") ~= from then return end
  call("HSET", key, "revision", to, "arm", "S", "beginVersion", 0)
  call("HDEL", key, "approvals")
  call("ZREM", pins_key(from), session)
  pin_until(session, to, NOW + SESSION_SECONDS * 1000)
end

-- Give a task that is in no queue to another revision; it is a sample of neither.
local function reassign(id, task, to)
  local from = task.revision
  row("m", id, task)
  task.revision, task.moved = to, "1"
  call("HSET", task_key(id), "revision", to, "moved", 1)
  event(id, "moved", cjson.encode({reason = "SessionMoved", from = from, to = to}))
  if task.sess ~= "" then repin(task.sess, from, to) end
end

local follow, finish

-- Queue a task where its session is pinned now, or with the revision that serves.
local function place(id, task)
  if stranded(task) then return finish(id, task, ENDINGS.preview) end
  local pinned = task.preview == "" and task.sess ~= "" and call("HGET", session_key(task.sess), "revision")
  local to = serving(pinned or task.revision)
  if to ~= task.revision then reassign(id, task, to) end
  enqueue(id, task)
end

local ended_here = 0 -- how many tasks this script has ended

-- How a task ends that no worker ends: whatever else is its end, a call with an unknown result comes first.
local function without_worker(id, task, ending)
  local intents = open_intents(id, task)
  if intents == "" then return ending end
  local unknown = {}
  for name, value in pairs(ENDINGS.unknown) do unknown[name] = value end
  unknown.message = string.format(unknown.message, intents, ending.message)
  return unknown
end

-- The end of a task that waited too long for its first worker.
local function expiry(task)
  local ending = {}
  for name, value in pairs(ENDINGS.expired) do ending[name] = value end
  ending.message = string.format(ending.message, call("HGET", revision_key(task.revision), "queueSeconds"))
  return ending
end

-- A task's events are a stream of 4 KiB at least. At the end they become one short text in its hash; the
-- stream stays for those who read it just now, and for gateways of the version before.
local function keep_events(id)
  local kept, bytes = {}, 0
  local entries = call("XRANGE", events_key(id), "-", "+")
  for i = #entries, 1, -1 do
    local said = {entries[i][1], entries[i][2][1], entries[i][2][2]}
    bytes = bytes + #said[3]
    if bytes > EVENT_BYTES_KEPT and #kept > 0 then break end
    table.insert(kept, 1, said)
  end
  call("HSET", task_key(id), "events", cjson.encode(kept))
  call("EXPIRE", events_key(id), EVENT_STREAM_SECONDS)
end

-- Remove what was saved of a conversation beside its first whole text.
local function drop_pieces(id)
  local key = task_key(id)
  local pieces = tonumber(call("HGET", key, "pieces") or "") or 0
  if pieces == 0 then return end
  local names = {"pieces"}
  for i = 1, pieces do names[#names + 1] = "piece" .. i end
  call("HDEL", key, unpack(names))
end

-- What nobody reads of a task that has ended. Each field of a hash that is not small costs some 70 bytes.
local ONLY_UNTIL_THE_END = {
  "checkpoint", "checkpointRevision", "whole", "intents", "holder", "heldAt", "claimedAt", "savedAt", "savedBy",
  "suspects", "alone", "countedOf", "doubt", "entry", "sess", "bucket", "beginVersion", "cancel", "moved", "idem", "deliveries", "v", "calls",
  "asked", "parked", "parkedAt", "putDownBy", "parkedBy", "waitedMs", "decision", "decidedLife", "takenOver", "takenFor", "reserved", "overHarm", "remadeAt", "withdrawnAt",
}

-- What a task has asked of people is kept as long as the task; nobody need answer any more.
local function close_escalations(id, task)
  for number = 1, task.asked do
    local key = escalation_key(id .. "." .. number)
    if call("HGET", key, "status") == "Open" then call("HSET", key, "status", "Void", "decidedAt", NOW) end
    call("EXPIRE", key, ENDED_TASK_SECONDS)
  end
  if task.parked ~= "" then call("ZREM", PARKED, string.match(task.parked, "^[^.]+%.(.+)$")) end
end

-- How long it has stood still for people.
local function waited_ms_of(task)
  return task.waitedMs + (task.parkedAt > 0 and NOW - task.parkedAt or 0)
end

-- Write a hash anew. One that held a large value once stays in the large encoding, three times as heavy, when the
-- value is gone (see hash-max-listpack-value of the bundled Redis).
local function rewrite(key)
  local flat = call("HGETALL", key)
  call("DEL", key)
  call("HSET", key, unpack(flat))
end

-- Add to what tasks have cost in a window by model, {label, micro-USD} each. Of more models than an agent has in its
-- life what they cost has no name.
local MOST_MODELS, COUNT, OTHERS = 200, "n", "others"
local function add_by_model(window, models)
  local begin, ends = places.bounds(window, NOW)
  local key = T .. ":spend:models:" .. window .. ":" .. whole(begin / 1000)
  for _, one in ipairs(models) do
    local name, cost = one[1], whole(one[2])
    if tally("HINCRBY", key, name, cost) == one[2] then -- it was not there
      local known = tally("HINCRBY", key, COUNT, 1)
      if known == 1 then call("EXPIRE", key, math.ceil((ends - NOW) / 1000) + places.kept_seconds) end
      if known > MOST_MODELS then
        call("HDEL", key, name)
        tally("HINCRBY", key, OTHERS, cost)
      end
    end
  end
end

-- Whether it is what a task has cost for one model, as a worker says it.
local function of_model(said)
  local name, cost = type(said) == "table" and said[1], type(said) == "table" and said[2]
  if type(name) ~= "string" or type(cost) ~= "number" then return false end
  return string.match(name, "^%x+ ") and #name <= 256 and cost >= 1 and cost < 1e15 and cost == math.floor(cost)
end

-- The same by model, of this day and this month (UTC). Workers of the version before do not say it.
local function count_models(usage)
  if not string.find(usage, '"models":[', 1, true) then return end
  local is_json, said = pcall(cjson.decode, usage)
  local models = {}
  for _, one in ipairs(is_json and type(said.models) == "table" and said.models or {}) do
    if of_model(one) then models[#models + 1] = one end
  end
  add_by_model("day", models)
  add_by_model("month", models)
end

-- Count what a task has cost, out of its usage as a worker of any version says it. What is no number of ours counts
-- nothing, and no end is refused for it.
local function count_spend(revision, usage)
  local cost = string.match(usage or "", '"cost_micro_usd":(%d+)')
  if not cost or #cost > 15 or tonumber(cost) == 0 then return end
  local key = spend_key()
  if tally("HINCRBY", key, revision, cost) == tonumber(cost) then call("EXPIRE", key, SPEND_SECONDS) end
  count_models(usage)
end

-- What an end user reads: as the task's revision has it for such an end, else what there is of an answer.
local function output_of(task, ending)
  local output = ending.output or ""
  if ending.status == "Succeeded" or ending.status == "Cancelled" then return output end
  local words = call("HMGET", revision_key(task.revision), "escalated", "unavailable", "blocked")
  local escalated, unavailable, blocked = words[1] or "", words[2] or "", words[3] or ""
  if ending.status ~= "Escalated" then return output == "" and unavailable or output end
  if ending.reason == "Refusal" and blocked ~= "" then return blocked end
  return escalated ~= "" and escalated or output
end

-- A number that a usage holds: ms, or millionths of a US dollar.
local function used(usage, name)
  local number = string.match(usage, '"' .. name .. '":(%d+)') or ""
  return #number <= 12 and tonumber(number) or 0
end

-- How long a revision took for a task, ms: what it waited for people or for its vendor's
-- rate limit is not the revision's; what the response cache spared it is.
local function latency_of(task, usage)
  if task.startedAt <= 0 then return 0 end
  local least = NOW > task.startedAt and 1 or 0
  local own = NOW - task.startedAt - waited_ms_of(task) - used(usage, "paced_ms")
  return math.max(least, own + used(usage, "stored_ms"))
end

-- The end of a task that is cancelled because a person takes it over.
local function taken_over(id, ending)
  local said = call("HMGET", task_key(id), "takenOver", "takenFor")
  if not said[1] then return ending end
  local taken = {}
  for name, value in pairs(ending) do taken[name] = value end
  for name, value in pairs(ENDINGS.taken) do taken[name] = value end
  taken.message = string.format(taken.message, said[1], said[2] ~= "" and ": " .. said[2] or "")
  return taken
end

-- End a task that is in no queue. ending: status, reason, message, counting, and of a claim: claim, output,
-- usage, cost.
finish = function(id, task, ending)
  ledger.abandon(task)
  if ending.status == ENDINGS.cancelled.status then ending = taken_over(id, ending) end
  if not ending.claim then ending = without_worker(id, task, ending) end
  local counting = (task.moved ~= "" or was_halted(task)) and LEFT_OUT or ending.counting
  local key = task_key(id)
  local latency = latency_of(task, ending.usage or call("HGET", key, "usage") or "")
  call("HSET", key, "status", ending.status, "finishedAt", NOW)
  local said = {reason = ending.reason, message = ending.message, output = output_of(task, ending), claim = ending.claim}
  call("HDEL", key, "claim")
  for name, value in pairs(said) do
    if value ~= "" then call("HSET", key, name, value) end
  end
  if ending.usage then call("HSET", key, "usage", ending.usage) end
  drop_pieces(id)
  call("HDEL", key, unpack(ONLY_UNTIL_THE_END))
  harm.count_end(task, counting)
  if task.undoes ~= "" then undoing.ended(id, task.undoes, ending.status) end
  count_spend(task.revision, ending.usage or call("HGET", key, "usage") or "")
  row("f", id, task, table.concat({"", counting, latency, ending.cost or 0}, "|"))
  event(id, "finished", cjson.encode({
    status = ending.status, reason = ending.reason, message = ending.message,
  }))
  keep_events(id)
  rewrite(key)
  call("EXPIRE", key, ENDED_TASK_SECONDS)
  if task.idem ~= "" then call("EXPIRE", T .. ":idem:" .. task.idem, IDEMPOTENCY_SECONDS) end
  task.status = ending.status
  ended_here = ended_here + 1
  if task.asked > 0 then close_escalations(id, task) end
  if task.sess ~= "" then
    if task.parked ~= "" then call("HSET", session_key(task.sess), "resumedAt", NOW) end
    follow(id, task)
  end
end

-- The session's next task takes the place of the one that ended.
follow = function(id, task)
  local key, waiting = session_key(task.sess), waiting_key(task.sess)
  if call("HGET", key, "active") ~= id then
    call("LREM", waiting, 1, id)
    return
  end
  local following = call("LPOP", waiting)
  while following do
    local candidate = task_at(following)
    if candidate and not has_ended(candidate) then
      local ending = foreign(candidate) and ENDINGS.deleted or overdue(candidate) and expiry(candidate)
      if not ending then
        call("HSET", key, "active", following)
        place(following, candidate)
        return
      end
      candidate.sess = "" -- it is out of the list already
      finish(following, candidate, ending)
    end
    following = call("LPOP", waiting)
  end
  local revision = call("HGET", key, "revision")
  call("HDEL", key, "active")
  call("EXPIRE", key, SESSION_SECONDS)
  pin_until(task.sess, revision, NOW + SESSION_SECONDS * 1000)
end

-- How a task must end before anyone works on it, nil when it may go on.
local function untimely(task)
  if foreign(task) then return ENDINGS.deleted end
  if task.cancel ~= "" then return ENDINGS.cancelled end
  if stranded(task) then return ENDINGS.preview end
end
