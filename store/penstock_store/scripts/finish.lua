-- End a claimed task, once. Answers 1 (also when this very claim has ended it), 0 when it was lost.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: id, claim id, status, reason, message, counting, output, usage, cost, has history, history.
-- uses: agent tasks claims
local id, claim = ARGV[1], ARGV[2]
local task = task_at(id)
if task and task.claim == claim and has_ended(task) then return 1 end
if not holds(task, claim) then return 0 end

dequeue(task)
if ARGV[10] == "1" and task.sess ~= "" then
  local key = session_key(task.sess)
  call("HSET", key, "history", ARGV[11], "historyRevision", task.revision)
  call("HINCRBY", key, "turns", 1)
end
finish(id, task, {
  status = ARGV[3], reason = ARGV[4], message = ARGV[5], counting = ARGV[6],
  claim = claim, output = ARGV[7], usage = ARGV[8], cost = ARGV[9],
})
return 1
