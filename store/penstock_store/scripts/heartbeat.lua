-- Keep claims of one agent alive. Answers {the last break of Redis, 0 when it was long ago, restrictions where they are
-- others than the worker knows, a directive for each claim in order}; Rewrite: Redis may have lost what the worker saved last, which it should save again.
-- KEYS: tag, route, outcomes. ARGV: consumer, its last number, server life, what the model
-- said last to this worker (revision, word or empty, ms ago), what the worker keeps (its revision or empty,
-- its protocol number), mark of the restrictions that it knows, the break of Redis after which the worker has named all
-- that it holds and saved it again (0: none), which models the worker asks (JSON, empty: as it said before), then per claim:
-- task, claim id.
-- The queue of a claimed task is known only from the task, so it is built from the tag.
-- uses: agent places ledger harm undoing tasks tail claims
local consumer, mark, life = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local claims = {}

-- Of a queue that another hand has overwritten nothing can be kept; its tasks still hear what to do.
local function renew(task)
  local queue = queue_key(task.revision, task.lane)
  local said = redis.pcall("XCLAIM", queue, GROUP, consumer, 0, task.entry, "JUSTID")
  local gone_with_it = said.err and (string.find(said.err, "NOGROUP", 1, true) or string.find(said.err, "WRONGTYPE", 1, true))
  if said.err and not gone_with_it then call("XCLAIM", queue, GROUP, consumer, 0, task.entry, "JUSTID") end
end

-- Workers of a revision have one word between them, the newest: when it was said, and the word.
local function hear(revision, word, age)
  if word == "" or standing(revision) == "Closed" then return end
  local at = math.max(0, NOW - (tonumber(age) or 0))
  local before = tonumber(string.match(call("HGET", revision_key(revision), "access") or "", "^(%d+) "))
  if before and before <= NOW and before > at then return end
  call("HSET", revision_key(revision), "access", string.format("%.0f %s", at, word))
end

-- The workers' number, newest word; without it they are of a release that knew none.
local function speak(revision, number)
  if revision == "" or standing(revision) == "Closed" then return end
  call("HSET", revision_key(revision), "protocol", string.format("%.0f %s", NOW, number))
end

-- Which models they ask, for people; read by models.lua alone.
local function ask(revision, asks)
  if asks == "" or standing(revision) == "Closed" then return end
  call("HSET", revision_key(revision), "asks", asks)
end

-- Claims that are known are kept first: that takes no memory, so a full Redis does it too.
for i = 12, #ARGV, 2 do
  local task = task_at(ARGV[i])
  if task and task.claim == ARGV[i + 1] and task.status == "Running" and task.entry ~= "" then renew(task) end
  claims[#claims + 1] = {id = ARGV[i], claim = ARGV[i + 1], task = task}
end

write_even_when_full()
local tail = join(consumer, mark, life, tonumber(ARGV[10]))
local broken = tonumber(tail.breakAt) or 0
hear(ARGV[4], ARGV[5], ARGV[6])
speak(ARGV[7], ARGV[8])
ask(ARGV[4], ARGV[11])

local directives = {break_is_open(tail) and broken or 0, restrictions_unless(ARGV[9])}
for _, held in ipairs(claims) do
  local said = directive(held.task, held.claim, tail)
  if said == "Continue" and (tonumber(held.task.savedAt) or 0) < broken and break_is_open(tail) then
    said = "Rewrite"
  end
  if said ~= "Lost" then
    adopt(held.id, held.task, held.claim, consumer)
    if held.task.holder ~= "" then call("HSET", task_key(held.id), "heldAt", NOW) end
  end
  local task = held.task
  if said == "Lost" and task and task.countedOf == held.claim and not has_ended(task) then -- cut off, not dead
    call("HSET", task_key(held.id), "alone", math.max(0, task.alone - 1), "countedOf", "")
  end
  directives[#directives + 1] = said
end
return directives
