-- Give a claimed task back, to stable when its revision is gone. Answers {worker's number, 1, or 0 when it was lost}.
-- It is no suspect delivery: the worker lived.
-- KEYS: tag, route, outcomes, task. ARGV: consumer, its last number, server life, id, claim id,
--       money (JSON, "" for none), to stable (1: the canary it is with may not spend more; or 0).
-- uses: agent places ledger harm tasks tail claims
local consumer, id, claim = ARGV[1], ARGV[4], ARGV[5]
local task = task_at(id)
write_even_when_full()
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
if ARGV[6] ~= "" then
  ledger.settle_all(id, cjson.decode(ARGV[6]))
  if task then task.calls = call("HGET", task_key(id), "calls") or "" end
end
if not holds(task, claim, tail) then return {0, 0} end

dequeue(task)
ledger.abandon(task)
local ending = untimely(task)
if ending then
  finish(id, task, ending)
  return {written(consumer), 1}
end
call("HSET", KEYS[4], "status", SUSPENDED and "Halted" or "Queued", "claim", "", "suspects", 0,
  "deliveries", math.max(0, task.deliveries - 1))
call("HDEL", KEYS[4], "holder", "heldAt")
local to = serving(task.revision)
local is_over = call("HGET", KEYS[4], "overHarm") == task.revision
if (ARGV[7] == "1" or is_over) and route and to == route.candidate and not gone(route.stable) then to = route.stable end
if to ~= task.revision then reassign(id, task, to) end
enqueue(id, task)
return {written(consumer), 1}
