-- Keep claims of one agent alive. Answers {the last break of Redis, 0 when it was long ago, a directive for each
-- claim in order}; Rewrite: Redis may have lost what the worker saved last, which it should save again.
-- KEYS: tag, route, outcomes. ARGV: consumer, its last number, server life, then per claim: task, claim id.
-- The queue of a claimed task is known only from the task, so it is built from the tag.
-- uses: agent tasks tail claims
local consumer, mark, life = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local claims = {}

local function renew(task)
  call("XCLAIM", queue_key(task.revision, task.lane), GROUP, consumer, 0, task.entry, "JUSTID")
end

-- Claims that are known are kept first: that takes no memory, so a full Redis does it too.
for i = 4, #ARGV, 2 do
  local task = task_at(ARGV[i])
  if task and task.claim == ARGV[i + 1] and task.status == "Running" and task.entry ~= "" then renew(task) end
  claims[#claims + 1] = {id = ARGV[i], claim = ARGV[i + 1], task = task}
end

local tail = hash_at(TAIL) or {}
local heard, found = pcall(join, consumer, mark, life)
if heard then tail = found end
local broken = tonumber(tail.breakAt) or 0

local directives = {break_is_open(tail) and broken or 0}
for _, held in ipairs(claims) do
  local said = directive(held.task, held.claim, tail)
  if said == "Continue" and (tonumber(held.task.savedAt) or 0) < broken and break_is_open(tail) then
    said = "Rewrite"
  end
  if said ~= "Lost" then
    adopt(held.id, held.task, held.claim, consumer)
    if held.task.holder ~= "" then call("HSET", task_key(held.id), "heldAt", NOW) end
  end
  directives[#directives + 1] = said
end
return directives
