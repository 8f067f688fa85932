-- Save a task's state after a step. Answers the directive; nothing is written when it is Lost.
-- KEYS: tag, route, outcomes, task, events. ARGV: state, id, claim id, usage, then events: type, json.
-- uses: agent tasks claims
local state, id, claim = ARGV[1], ARGV[2], ARGV[3]
local task = task_at(id)
local said = directive(task, claim)
if said == "Lost" then return said end

call("HSET", KEYS[4], "checkpoint", state, "checkpointRevision", task.revision, "usage", ARGV[4])
for i = 5, #ARGV, 2 do event(id, ARGV[i], ARGV[i + 1]) end
return said
