-- End a claimed task, once, with what happened in its last step. Answers {worker's number, Continue (also when this
-- very claim has ended it), or Lost; Cancel or GiveBack: the task goes on and has to be put down instead}. Bills are
-- settled whatever is answered: the vendor has been paid for.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: consumer, its last number, server life, id, claim id, status, reason, message, counting, output, usage, cost,
--       has history, history, heeds (1: it may have to be put down), money (JSON,
--       "" for none), then events: type, json.
-- uses: agent places ledger harm undoing tasks tail claims effects shadow
local consumer, id, claim = ARGV[1], ARGV[4], ARGV[5]
local task = task_at(id)
if task and task.claim == claim and has_ended(task) then return {0, "Continue"} end
local held = task and task.claim == claim and task.status == "Running"
local said = task and ARGV[15] == "1" and order(task, claim) or "Continue"
local copied = held and said == "Continue" and ARGV[9] ~= LEFT_OUT and shadow.has_memory()
if held and said == "Continue" then dequeue(task) end
write_even_when_full()
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
if ARGV[16] ~= "" then
  ledger.settle_all(id, cjson.decode(ARGV[16]))
  if task then task.calls = call("HGET", task_key(id), "calls") or "" end
end
if not held and not holds(task, claim, tail) then return {0, "Lost"} end
if said ~= "Continue" then return {0, said} end
if not held then dequeue(task) end
for i = 17, #ARGV, 2 do effects.told(id, ARGV[i], ARGV[i + 1]) end
if copied then shadow.draw(id, task, ARGV[6]) end
if ARGV[13] == "1" and task.sess ~= "" then
  local key = session_key(task.sess)
  -- After a break ends are said again, in no order: an earlier turn does not overwrite a later one.
  if task.createdAt >= (tonumber(call("HGET", key, "historyAt") or "") or 0) then
    call("HSET", key, "history", ARGV[14], "historyRevision", task.revision, "historyAt", task.createdAt)
  end
  call("HINCRBY", key, "turns", 1)
end
finish(id, task, {
  status = ARGV[6], reason = ARGV[7], message = ARGV[8], counting = ARGV[9],
  claim = claim, output = ARGV[10], usage = ARGV[11], cost = ARGV[12],
})
return {written(consumer), said}
