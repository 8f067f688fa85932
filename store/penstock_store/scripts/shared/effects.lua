-- What calls of tools have done to the world, or may have.
-- T:effects             stream  a call is about to be made, and what became of it; each whole in itself. One whose user was
--                               erased has no user, and at: when it was
-- T:effects:open        hash    <task>.<step>.<position> → id of the entry: whether it was made nobody knows yet
-- T:effects:of:<hash>   hash    a revision's sums: n effects, unknown, micro:<tool> in millionths; see `undoing.lua` for more
-- T:effects:users:<hash>  HLL   for whom they were
local effects = {}

do
local EFFECTS, OPEN = T .. ":effects", T .. ":effects:open"

-- known: an intent of it was counted before.
local function add(revision, said, user, known)
  local key = effect_sums_key(revision)
  if said.state == "Intended" then call("HINCRBY", key, "unknown", 1) end
  if said.state ~= "Intended" and known then call("HINCRBY", key, "unknown", -1) end
  if said.state == "Done" then
    call("HINCRBY", key, "n", 1)
    if said.amount ~= "" then call("HINCRBY", key, "micro:" .. said.tool, said.amount) end
    tally("PFADD", T .. ":effects:users:" .. revision, user)
    tally("EXPIRE", T .. ":effects:users:" .. revision, EFFECT_SECONDS)
  end
  call("EXPIRE", key, EFFECT_SECONDS)
end

-- Of calls that nobody will ever know of those are forgotten of which no entry is kept: a few with each new one.
local function forget_old()
  local some = redis.pcall("HRANDFIELD", OPEN, 3, "WITHVALUES") -- a Redis user of the version before may not say it
  for i = 1, some.err and 0 or #some, 2 do
    if #call("XRANGE", EFFECTS, some[i + 1], some[i + 1]) == 0 then call("HDEL", OPEN, some[i]) end
  end
end

-- The revision that has wanted the call of an entry; nil where that is not kept any more.
local function wanted_by(entry)
  local found = entry and call("XRANGE", EFFECTS, entry, entry)[1]
  return found and paired(found[2]).revision
end

-- owner: {tenant, user, revision} of the task. Answers whose call it is: of the revision that has wanted it, also where the
-- task was handed over since, and another one has made it.
local function write_down(id, owner, said, json)
  local tail = string.match(id, "[^.]+$")
  local name = table.concat({tail, said.step, said.position}, ".")
  local known = call("HGET", OPEN, name)
  local revision = wanted_by(known) or owner[3] or ""
  if said.state == "Intended" and known then return revision end -- the worker before has said it
  local entry = call("XADD", EFFECTS, "MAXLEN", "~", EFFECT_ROWS, "*", "task", tail, "tenant", owner[1] or "",
    "user", owner[2] or "", "revision", revision, "said", json)
  call("EXPIRE", EFFECTS, EFFECT_SECONDS)
  tally("XTRIM", EFFECTS, "MINID", whole(NOW - EFFECT_SECONDS * 1000))
  if said.state == "Intended" then
    forget_old()
    call("HSET", OPEN, name, entry)
    call("EXPIRE", OPEN, EFFECT_SECONDS)
  else
    call("HDEL", OPEN, name)
  end
  add(revision, said, (owner[1] or "") .. ":" .. (owner[2] or ""), known)
  if type(said.compensates) == "string" then undoing.told(id, said) end
  return revision
end

local function word_of(said) return table.concat({said.step, said.position, said.state}, ".") end

-- Write one down, once: who repeats a write says the same of the same call. Calls that change something are made one by
-- one, so the last word of a task is enough to know that.
local function note(id, json)
  local said = cjson.decode(json)
  local facts = call("HMGET", task_key(id), "tenant", "user", "revision", "effected")
  if facts[4] == word_of(said) then return end
  call("HSET", task_key(id), "effected", word_of(said))
  local revision = write_down(id, facts, said, json)
  if said.state == "NotMade" or said.state == "Refused" then harm.give_back(id, revision, said) end
end

-- Which of the newest effects are there: of a task's call in a state, and of a task's call in any state but intended.
local function newest(since)
  local there = {}
  for _, entry in ipairs(call("XRANGE", EFFECTS, since, "+")) do
    local fields = paired(entry[2])
    local is_json, said = pcall(cjson.decode, fields.said or "")
    if is_json and type(said) == "table" and fields.task then
      there[fields.task .. word_of(said)] = true
      if said.state ~= "Intended" then there[table.concat({fields.task, said.step, said.position}, ".")] = true end
    end
  end
  return there
end

-- Redis may have lost what a worker has said of its calls since then (ms): what is missing is written down.
-- told: task, tenant, user, revision, json of each, in their order.
function effects.restate(since, told)
  local there = newest(whole(since))
  for i = 1, #told, 5 do
    local id, json = told[i], told[i + 4]
    local tail, said = string.match(id, "[^.]+$"), cjson.decode(json)
    local has_ended = said.state == "Intended" and there[table.concat({tail, said.step, said.position}, ".")]
    if not there[tail .. word_of(said)] and not has_ended then
      write_down(id, {told[i + 1], told[i + 2], told[i + 3]}, said, json)
      if said.state == "Intended" then harm.count(told[i + 3], said) end
      if call("EXISTS", task_key(id)) == 1 then call("HSET", task_key(id), "effected", word_of(said)) end
    end
  end
end

-- What a worker tells of a task: something that happened to it, or an effect.
function effects.told(id, kind, json)
  if kind == "effect" then note(id, json) else event(id, kind, json) end
end

end
