-- Give a claimed task back, to stable when its revision is gone. Answers 1, or 0 when it was lost.
-- It is no suspect delivery: the worker lived.
-- KEYS: tag, route, outcomes, task. ARGV: id, claim id.
-- uses: agent tasks claims
local id = ARGV[1]
local task = task_at(id)
if not holds(task, ARGV[2]) then return 0 end

dequeue(task)
local ending = untimely(task)
if ending then
  finish(id, task, ending)
  return 1
end
call("HSET", KEYS[4], "status", SUSPENDED and "Halted" or "Queued", "claim", "",
  "deliveries", task.deliveries - 1)
local to = serving(task.revision)
if to ~= task.revision then reassign(id, task, to) end
enqueue(id, task)
return 1
