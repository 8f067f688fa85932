-- Put a claimed task down until a person has decided on a call of it. Answers {worker's number, Continue (also when this
-- very claim has parked it), Full (too many wait already), Rewrite (Redis may have lost its state, with which putdown.lua
-- puts it down), or what else the worker must do}. Bills are settled whatever is answered: the vendor has been paid for.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: consumer, its last number, server life, id, claim id, usage, money (JSON, "" for none), seconds until time
--       decides, the tool's schema (JSON), then fields of the escalation in pairs.
-- uses: agent places ledger harm undoing tasks tail claims lost parking putdown
local consumer, id, claim = ARGV[1], ARGV[4], ARGV[5]
local task = task_at(id)
if putdown.is_known(id, claim) then return {0, "Continue"} end
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
if ARGV[7] ~= "" then
  ledger.settle_all(id, cjson.decode(ARGV[7]))
  if task then task.calls = call("HGET", task_key(id), "calls") or "" end
end
local said = directive(task, claim, tail)
if said ~= "Continue" then return {0, said} end
if putdown.may_lack_state(task, tail) then return {0, "Rewrite"} end
if parking.count() >= PARKED_TASKS then return {0, "Full"} end

dequeue(task)
ledger.abandon(task)
parking.park(id, task, claim, ARGV[6], tonumber(ARGV[8]), ARGV[9], {unpack(ARGV, 10)})
return {written(consumer), "Continue"}
