-- How far the calls of tools are undone, each by a task of its own.
-- T:effects:undone      hash    <task>.<step>.<position> of a call → "<state> <last part of the task that undoes it> <attempt>".
--                               Asked: that task is there; Ended: it is over without a call; else the state of its call
-- T:effects:of:<hash>   hash    undo:<state>: how many calls that a revision has wanted are so far
local undoing = {}

do
local UNDONE = T .. ":effects:undone"

local function tail_of(id) return string.match(id, "[^.]+$") end

-- <task>.<step>.<position> of the call that a task undoes; nil where it is none of this agent's.
local function call_of(undoes) return string.match(undoes, "^[^.]+%.(.+)$") end

-- Count a call with the revision that has wanted it.
local function count(revision, before, state)
  local key = effect_sums_key(revision)
  local was = string.match(before, "^%a+")
  if was then call("HINCRBY", key, "undo:" .. was, -1) end
  call("HINCRBY", key, "undo:" .. state, 1)
  call("EXPIRE", key, EFFECT_SECONDS)
end

local function write(name, text)
  call("HSET", UNDONE, name, text)
  call("EXPIRE", UNDONE, EFFECT_SECONDS)
end

-- What stands of a call; "" where nobody has asked.
function undoing.known(name) return call("HGET", UNDONE, name) or "" end

-- The task that undoes a call was made.
function undoing.asked(name, revision, before, text)
  write(name, text)
  count(revision, before, string.match(text, "^%a+"))
end

-- The task tells of its call. What was done stays done.
function undoing.told(id, said)
  local name = call_of(said.compensates)
  local before = name and undoing.known(name)
  if not name or string.match(before, "^Done ") then return end
  write(name, table.concat({said.state, tail_of(id), string.match(before, "(%d+)$") or 1}, " "))
  local revision = call("HGET", task_key(id), "undoneOf")
  if revision then count(revision, before, said.state) end
end

-- The task is over. Where it has told of no call there was none, or one of a tool that changes nothing, of which only the
-- task's success tells.
function undoing.ended(id, undoes, status)
  local name = call_of(undoes)
  local before = name and undoing.known(name) or ""
  local state, tail, attempt = string.match(before, "^(%a+) (%S+) (%d+)$")
  if state ~= "Asked" or tail ~= tail_of(id) then return end
  local now = status == "Succeeded" and "Done" or "Ended"
  write(name, table.concat({now, tail, attempt}, " "))
  local revision = call("HGET", task_key(id), "undoneOf")
  if revision then count(revision, before, now) end
end

end
