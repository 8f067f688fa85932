-- How tasks ended. It changes nothing. Answers {status, reason} of each; of a task that is kept no longer, or that
-- another hand has overwritten, neither is there.
-- KEYS: tag, route, outcomes. ARGV: ids.
-- unguarded: it reads
-- uses: agent
local ends = {}
for i, id in ipairs(ARGV) do
  local said = redis.pcall("HMGET", task_key(id), "status", "reason")
  ends[i] = said.err and {false, false} or said
end
return ends
