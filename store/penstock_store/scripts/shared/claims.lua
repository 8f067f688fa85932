-- Claims: who may write to a task, and what a worker hears about it.

-- Whether a claim id still is the right to work on a task.
local function holds(task, claim)
  return task ~= nil and task.claim == claim and task.status == "Running"
end

local function directive(task, claim)
  if not holds(task, claim) then return "Lost" end
  if task.cancel ~= "" or foreign(task) then return "Cancel" end
  if SUSPENDED or gone(task.revision) then return "GiveBack" end
  return "Continue"
end

-- Start the task's clock, unless it waited too long before (a suspension is no waiting): then true.
local function begin(id, task, queue_seconds)
  local key = task_key(id)
  local started = tonumber(task.startedAt) > 0
  local waited = NOW - math.max(tonumber(task.createdAt), RESUMED_AT)
  local expired = not started and queue_seconds and waited > queue_seconds * 1000
  if expired then return true end
  if not started then
    call("HSET", key, "startedAt", NOW)
    row("s", id, task)
  end
  event(id, "started", cjson.encode({revision = task.revision, delivery = task.deliveries + 1}))
end

-- The claim of a delivered entry, as the codec reads it; nil when there is nothing to work on.
local function take(queue, entry, id, claim)
  local task = task_at(id)
  local ending = task and not has_ended(task) and untimely(task)
  if task and not ending and tonumber(task.deliveries) >= MAX_DELIVERIES then ending = ENDINGS.dead end
  if not task or ending or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
    if ending then finish(id, task, ending) end
    return nil
  end
  local limit = call("HGET", revision_key(task.revision), "queueSeconds")
  call("HSET", task_key(id), "status", "Running", "claim", claim, "deliveries", task.deliveries + 1)
  local expired = begin(id, task, limit)
  local history = {false, false}
  if task.sess ~= "" then
    history = call("HMGET", session_key(task.sess), "history", "historyRevision")
  end
  return {claim, id, entry, expired and 1 or 0, history[1], history[2], call("HGETALL", task_key(id))}
end
