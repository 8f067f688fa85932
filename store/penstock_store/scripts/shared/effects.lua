-- What calls of tools have done to the world, or may have.
-- T:effects             stream  a call is about to be made, and what became of it; each whole in itself. One whose user was
--                               erased has no user, and at: when it was
-- T:effects:open        hash    <task>.<step>.<position> → id of the entry: whether it was made nobody knows yet
-- T:effects:of:<hash>   hash    a revision's sums: n effects, unknown, micro:<tool> in millionths
-- T:effects:users:<hash>  HLL   for whom they were
local effects = {}

do
local EFFECTS, OPEN = T .. ":effects", T .. ":effects:open"
local function sums_key(revision) return T .. ":effects:of:" .. revision end

local function add(revision, said, user)
  local key = sums_key(revision)
  if said.state == "Intended" then call("HINCRBY", key, "unknown", 1) end
  if said.state ~= "Intended" then call("HINCRBY", key, "unknown", -1) end
  if said.state == "Done" then
    call("HINCRBY", key, "n", 1)
    if said.amount ~= "" then call("HINCRBY", key, "micro:" .. said.tool, said.amount) end
    tally("PFADD", T .. ":effects:users:" .. revision, user)
    tally("EXPIRE", T .. ":effects:users:" .. revision, EFFECT_SECONDS)
  end
  call("EXPIRE", key, EFFECT_SECONDS)
end

-- Write one down, once: who repeats a write says the same of the same call. Calls that change something are made one by
-- one, so the last word of a task is enough to know that.
local function note(id, json)
  local said = cjson.decode(json)
  local word = table.concat({said.step, said.position, said.state}, ".")
  local facts = call("HMGET", task_key(id), "tenant", "user", "revision", "effected")
  if facts[4] == word then return end
  call("HSET", task_key(id), "effected", word)
  local tail = string.match(id, "[^.]+$")
  local name = table.concat({tail, said.step, said.position}, ".")
  local known = call("HGET", OPEN, name)
  if said.state == "Intended" and known then return end -- the worker before has said it
  local entry = call("XADD", EFFECTS, "MAXLEN", "~", EFFECT_ROWS, "*", "task", tail, "tenant", facts[1] or "",
    "user", facts[2] or "", "revision", facts[3] or "", "said", json)
  call("EXPIRE", EFFECTS, EFFECT_SECONDS)
  tally("XTRIM", EFFECTS, "MINID", whole(NOW - EFFECT_SECONDS * 1000))
  if said.state == "Intended" then
    call("HSET", OPEN, name, entry)
    call("EXPIRE", OPEN, EFFECT_SECONDS)
  else
    call("HDEL", OPEN, name)
  end
  if known or said.state == "Intended" then add(facts[3] or "", said, (facts[1] or "") .. ":" .. (facts[2] or "")) end
end

-- What a worker tells of a task: something that happened to it, or an effect.
function effects.told(id, kind, json)
  if kind == "effect" then note(id, json) else event(id, kind, json) end
end

end
