-- Keep claims of one agent alive. Answers a directive for each, in order.
-- KEYS: tag, route, outcomes. ARGV: consumer, then per claim: task, claim id.
-- The queue of a claimed task is known only from the task, so it is built from the tag.
-- uses: agent tasks claims
local directives = {}
for i = 2, #ARGV, 2 do
  local task = task_at(ARGV[i])
  local said = directive(task, ARGV[i + 1])
  if said ~= "Lost" then
    call("XCLAIM", queue_key(task.revision, task.lane), GROUP, ARGV[1], 0, task.entry, "JUSTID")
  end
  directives[#directives + 1] = said
end
return directives
