-- Cancel a task: one that nobody works on ends at once, a running one at its next step.
-- KEYS: tag, route, outcomes, task. ARGV: id, tenant, who takes it over ("": it is taken back), why. Answers 1, 0 when
-- there is no such task. A task that somebody takes over ends Escalated in the place of Cancelled.
-- uses: agent places ledger harm undoing tasks
local id = ARGV[1]
local task = task_at(id)
if task == nil or call("HGET", KEYS[4], "tenant") ~= ARGV[2] then return 0 end
call("HDEL", KEYS[4], "") -- changes nothing, but lets the script write on in a full Redis: a cancelled task frees memory
if ARGV[3] ~= "" and not has_ended(task) then call("HSET", KEYS[4], "takenOver", ARGV[3], "takenFor", ARGV[4]) end
if task.status == "Running" then
  call("HSET", KEYS[4], "cancel", 1)
elseif not has_ended(task) then
  dequeue(task)
  finish(id, task, ENDINGS.cancelled)
end
return 1
