-- Give a claimed task back, to stable when its revision is gone. Answers {worker's number, Continue, Lost, or
-- Rewrite: Redis may have lost its state, with which putdown.lua puts it down}.
-- KEYS: tag, route, outcomes, task. ARGV: consumer, its last number, server life, id, claim id,
--       money (JSON, "" for none), to stable (1: the canary it is with may not spend more; or 0).
-- uses: agent places ledger harm undoing tasks tail claims putdown
local consumer, id, claim = ARGV[1], ARGV[4], ARGV[5]
local task = task_at(id)
write_even_when_full()
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
if ARGV[6] ~= "" then
  ledger.settle_all(id, cjson.decode(ARGV[6]))
  if task then task.calls = call("HGET", task_key(id), "calls") or "" end
end
if not holds(task, claim, tail) then return {0, "Lost"} end
if putdown.may_lack_state(task, tail) then return {0, "Rewrite"} end
putdown.give_back(id, task, claim, ARGV[7] == "1")
return {written(consumer), "Continue"}
