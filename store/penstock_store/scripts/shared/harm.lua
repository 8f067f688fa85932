-- What a canary may do to the world at most, and what it has done.
-- T:route harm        JSON   what it may do: failed tasks, calls of the tools in once, micro (millionths) of one tool; "" for
--                            no bound. Each is absent where it is not bounded
-- T:harm:<hash>       hash   failed, calls, micro: what was done since it is bounded; xcalls, xmicro: the most for want of
--                            which a call was refused last
local harm = {}

do
local KEPT_SECONDS = 3024000
local is_bounded = route and (route.harm or "") ~= "" and route.candidate ~= ""
local is_json, bound = pcall(cjson.decode, is_bounded and route.harm or "")
if not is_json or type(bound) ~= "table" then bound = nil end -- or another hand has written there

local function key(revision) return T .. ":harm:" .. revision end

local function add(revision, name, number)
  local sum = call("HINCRBY", key(revision), name, string.format("%.0f", number))
  if sum < 0 then call("HSET", key(revision), name, 0) end
  call("EXPIRE", key(revision), KEPT_SECONDS)
end

local function of_canary(revision) return bound ~= nil and revision == route.candidate end

-- What a call counts: how many calls, and millionths; nil where it is not bounded.
local function counts_of(said)
  local calls = bound.calls and type(bound.once) == "table" and bound.once[said.tool] and 1 or 0
  local sums = bound.micro and said.tool == bound.tool
  if calls == 0 and not sums then return nil end
  return {calls = calls, micro = sums and tonumber(said.amount) or 0, has_sum = sums}
end

local function name_of(said) return said.step .. "." .. said.position end

local function has_room(revision, name, more)
  if more == 0 then return true end
  local kept = tonumber(call("HGET", key(revision), name) or "") or 0
  if kept + more <= bound[name] then return true end
  call("HSET", key(revision), "x" .. name, string.format("%.0f", bound[name]))
  call("EXPIRE", key(revision), KEPT_SECONDS)
  return false
end

local function refuse(id, task)
  call("HSET", task_key(id), "overHarm", task.revision)
  return "GiveBack"
end

-- Reserve for a call that is about to be made, once. Answers nil where it may be made, else what the worker must do:
-- GiveBack (stable goes on with the task) or Ask (its worth is not known: a person decides).
function harm.reserve(id, task, json)
  if not of_canary(task.revision) then return nil end
  local said = cjson.decode(json)
  if said.state ~= "Intended" then return nil end
  local counts = counts_of(said)
  if not counts or call("HGET", task_key(id), "reserved") == name_of(said) then return nil end
  if counts.has_sum and said.amount == "" and said.approved ~= true then
    return said.asks == true and "Ask" or refuse(id, task) -- a worker of the version before asks nobody
  end
  if not has_room(task.revision, "calls", counts.calls) or not has_room(task.revision, "micro", counts.micro) then
    return refuse(id, task)
  end
  harm.count(task.revision, said)
  call("HSET", task_key(id), "reserved", name_of(said))
  return nil
end

function harm.count(revision, said)
  local counts = of_canary(revision) and counts_of(said)
  if not counts then return end
  add(revision, "calls", counts.calls)
  add(revision, "micro", counts.micro)
end

-- A call was not made: it counts no more.
function harm.give_back(id, revision, said)
  if not of_canary(revision) or call("HGET", task_key(id), "reserved") ~= name_of(said) then return end
  call("HDEL", task_key(id), "reserved")
  local counts = counts_of(said)
  if not counts then return end
  add(revision, "calls", -counts.calls)
  add(revision, "micro", -counts.micro)
end

function harm.count_end(task, counting)
  if counting == "Error" and task.arm == "C" and of_canary(task.revision) then add(task.revision, "failed", 1) end
end

-- Whether so many tasks of a revision have failed that it is given no more.
function harm.is_over(revision)
  if not of_canary(revision) or not bound.failed then return false end
  return (tonumber(call("HGET", key(revision), "failed") or "") or 0) >= bound.failed
end

-- {failed, calls, micro, the most for want of which a call was refused, in calls and in millionths, or ""}; {} for no bound.
function harm.seen()
  if not bound then return {} end
  local kept = call("HMGET", key(route.candidate), "failed", "calls", "micro", "xcalls", "xmicro")
  for i = 1, 5 do kept[i] = kept[i] or "" end
  return kept
end

end
