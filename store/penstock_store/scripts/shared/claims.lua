-- Claims: who may write to a task, and what a worker hears about it.

-- When a claim was given out, ms; it ends with that.
local function given_at(claim) return tonumber(string.match(claim, "@(%d+)$") or "") or 0 end

-- After a break Redis may know an older state than the one a living worker has acknowledged: a claim that it
-- does not know any more is taken as it was. What Redis has is a prefix of what it had, so a claim that it
-- knows and that is later than this one was given to another worker before. A claim is of the task that was there
-- when it was given: of one that has ended, and was made again under its id (remadeAt), no claim of before is taken.
local function adopts(task, claim, tail)
  local given = given_at(claim)
  return break_is_open(tail) and not has_ended(task) and task.remadeAt <= given
    and given <= tonumber(tail.breakAt) and (tonumber(task.claimedAt) or 0) <= given
end

-- What restricts the agent's tasks, "<mark> <JSON>"; false where it is what the caller knows by its mark, and where the
-- route is lost, which lifts nothing.
local function restrictions_unless(mark)
  if not route then return false end
  local said = route.restrictions or ""
  return string.match(said, "^%S*") ~= mark and said
end

-- Whether a claim id still is the right to work on a task.
local function holds(task, claim, tail)
  if task == nil then return false end
  if task.claim == claim and task.status == "Running" then return true end
  return adopts(task, claim, tail)
end

-- Redis has lost that a person decided, and its place in a queue: nobody need decide again, and who takes over from
-- its worker finds it there.
local function unpark(id, task, until_ms)
  call("ZREM", PARKED, string.match(task.parked, "^[^.]+%.(.+)$"))
  call("HSET", escalation_key(task.parked), "status", "Void", "decidedAt", NOW)
  call("HINCRBY", task_key(id), "waitedMs", math.max(0, until_ms - task.parkedAt))
  call("HDEL", task_key(id), "parked", "parkedAt")
  task.parked, task.parkedAt = "", 0
  enqueue(id, task)
end

-- Put a claim that Redis has lost in force again. Its entry may wait to be read: whoever reads it
-- hands it back (see take).
local function adopt(id, task, claim, consumer)
  if task.claim == claim and task.status == "Running" then return end
  call("HSET", task_key(id), "status", "Running", "claim", claim, "claimedAt", given_at(claim),
    "holder", consumer, "heldAt", NOW)
  if task.parked ~= "" then unpark(id, task, given_at(claim)) end
  task.status, task.claim, task.holder = "Running", claim, consumer
end

-- Whether a claim was given out with approvals for the session that were taken back since: another claim has those that hold.
local function withdrawn(task, claim) return task.withdrawnAt > 0 and task.withdrawnAt >= given_at(claim) end

-- What whoever holds a task by a claim must do with it.
local function order(task, claim)
  if task.cancel ~= "" or foreign(task) then return "Cancel" end
  if SUSPENDED or gone(task.revision) or withdrawn(task, claim) then return "GiveBack" end
  return "Continue"
end

local function directive(task, claim, tail)
  if not holds(task, claim, tail) then return "Lost" end
  return order(task, claim)
end

-- Start the task's clock, unless it waited too long before (a suspension is no waiting): then true.
local function begin(id, task)
  local key = task_key(id)
  if tonumber(task.startedAt) > 0 then return false end
  if overdue(task) then return true end
  call("HSET", key, "startedAt", NOW)
  row("s", id, task)
  return false
end

-- Whether an entry is of a task that another worker works on, whose claim Redis had lost: it is put
-- where that worker's heartbeat finds it.
local function handed_back(queue, entry, id, task)
  if task.status ~= "Running" or task.holder == "" then return false end
  if NOW - tonumber(task.heldAt) >= QUIET_MS then return false end
  call("XCLAIM", queue, GROUP, task.holder, 0, entry, "JUSTID")
  call("HSET", task_key(id), "entry", entry)
  call("HDEL", task_key(id), "holder", "heldAt")
  return true
end

-- Where it was found says for certain which revision and lane a task is in; its hash is open to other hands.
local function found_in(queue, entry, id, task)
  local revision, lane = string.match(queue, ":q:([^:]+):(%a+)$")
  if task.revision == revision and task.lane == lane and task.entry == entry then return end
  call("HSET", task_key(id), "revision", revision, "lane", lane, "entry", entry)
  task.revision, task.lane, task.entry = revision, lane, entry
end

-- At least as many messages as a saved text has; JSON escapes the quotes of what people say.
local function messages_in(text)
  local count, at = 0, 1
  while true do
    local _, found = string.find(text, '"role"', at, true)
    if not found then return count end
    count, at = count + 1, found + 1
  end
end

-- Reserve for the first call of a task before anybody has looked at it: at most a token for each byte that it brings
-- along, as JSON, and what is billed besides for the messages of a conversation.
-- opening: {tokens, micro_usd, input rate, reply, floor, rate, lasts ms, patience ms, consumer, tokens where there was
-- a call before, tokens of a message}.
local function first_reservation(id, claim, stored, history, opening)
  local task = paired(stored)
  local earlier = {history or "", task.checkpoint or ""}
  for i = 1, task.checkpoint and tonumber(task.pieces or "") or 0 do earlier[#earlier + 1] = task["piece" .. i] or "" end
  local bytes, before = #cjson.encode(task.input or ""), 0
  for _, text in ipairs(earlier) do before = before + #text + opening[11] * messages_in(text) end
  if before > 0 then bytes = bytes + before + opening[10] end
  local cost = math.ceil(bytes * opening[3] / 1000000)
  return ledger.reserve(id, {
    claim .. ".0", opening[1] + bytes, opening[2] + cost, opening[4], opening[5], opening[6], opening[7], opening[8], opening[9],
  })
end

-- The claim of a delivered entry, as the codec reads it; nil when there is nothing to work on.
-- suspects: how many are tried together since their worker died; 0 for an ordinary delivery. Only
-- ordinary deliveries and those of a task alone are counted.
local function take(queue, entry, id, claim, suspects, opening)
  local task = task_at(id)
  if task and not has_ended(task) then found_in(queue, entry, id, task) end
  local ending = task and not has_ended(task) and untimely(task)
  if task and not ending and tonumber(task.alone) >= MAX_DEATHS_ALONE then ending = ENDINGS.dead end
  if not task or ending or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
    if ending then finish(id, task, ending) end
    return nil
  end
  if handed_back(queue, entry, id, task) then return nil end
  ledger.abandon(task)
  claim = string.format("%s@%.0f", claim, NOW)
  local deliveries = suspects > 1 and math.max(1, task.deliveries) or task.deliveries + 1
  local doubt = doubt_of(task)
  call("HSET", task_key(id), "status", "Running", "claim", claim, "savedBy", claim, "claimedAt", NOW,
    "deliveries", deliveries, "suspects", suspects, "doubt", doubt)
  keep_idempotency(task)
  local expired = begin(id, task)
  if not expired then
    event(id, "started", cjson.encode({revision = task.revision, delivery = deliveries}))
  end
  local history = {false, false, false}
  if task.sess ~= "" then
    history = call("HMGET", session_key(task.sess), "history", "historyRevision", "approvals")
  end
  local stored = call("HGETALL", task_key(id))
  local reserved = opening and not expired and first_reservation(id, claim, stored, history[1], opening) or false
  return {claim, id, entry, expired and 1 or 0, history[1], history[2], stored, reserved, history[3]}
end
