-- Tasks that a living worker puts down: back to their revision, to stable, or for a person. putDownBy names the claim, so
-- that the same word again changes nothing.
local putdown = {}

-- Whether this very claim has put it down already.
function putdown.is_known(id, claim) return call("HGET", task_key(id), "putDownBy") == claim end

-- Whether Redis may have lost what the claim has saved: then it is put down with its state, or it would be done again.
function putdown.may_lack_state(task, tail)
  return break_is_open(tail) and (tonumber(task.savedAt) or 0) < tonumber(tail.breakAt)
end

-- Give back a task that is held. It is no suspect delivery: the worker lived. to_stable: the canary it is with may not
-- go on with it.
function putdown.give_back(id, task, claim, to_stable)
  local key = task_key(id)
  dequeue(task)
  ledger.abandon(task)
  local ending = untimely(task)
  if ending then return finish(id, task, ending) end
  call("HSET", key, "status", SUSPENDED and "Halted" or "Queued", "claim", "", "suspects", 0,
    "deliveries", math.max(0, task.deliveries - 1), "putDownBy", claim)
  call("HDEL", key, "holder", "heldAt")
  local to = serving(task.revision)
  local is_over = call("HGET", key, "overHarm") == task.revision
  if (to_stable or is_over) and route and to == route.candidate and not gone(route.stable) then to = route.stable end
  if task.preview ~= "" and to ~= task.revision then return finish(id, task, ENDINGS.preview) end
  if ALONE and (gone(to) or to_stable or is_over) then -- whoever claimed it again would give it back again
    return finish(id, task, gone(to) and ENDINGS.nobody or ENDINGS.bounded)
  end
  if to ~= task.revision then reassign(id, task, to) end
  enqueue(id, task)
end
