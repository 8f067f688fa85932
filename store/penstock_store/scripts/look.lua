-- One agent as it is now. Answers {now, route, first row, last row,
-- {revision, what the model said last to its workers, what these keep, queued, running, pinned, oldest queued ms, users, tasks, when a caller was last
-- refused for want of another revision} of each,
-- tasks that wait for an earlier one of their session, 1 when the log has lost its first rows, micro-USD of today in pairs by
-- revision, what `spent.lua` answers of the budget or nothing, 1 when the ledger has calls that are open past their time,
-- where calls of the canary were refused (see places.marked), what it has done (see harm.seen), what its calls have done ({users, its
-- sums in pairs}, or nothing), what copies have shown of it (see copied), calls that wait for a person, in how many ms time
-- decides the first of them, and for how long that one has waited}; route is its fields, or empty.
-- KEYS: tag, route, outcomes. ARGV: what each id begins with, then revisions; others are told of when they hold tasks.
-- unguarded: it takes out what is empty or over, and changes nothing else
-- uses: agent places spent harm trimmed
local LONGEST_WORD = 64 -- a namespace's own user can write any

local function id_of(entries) return entries[1] and entries[1][1] or "" end

local function lane_work(queue)
  local length = call("XLEN", queue)
  if length == 0 then return 0, 0, 0 end
  local group = group_of(queue)
  local running = group and group.pending or 0
  local oldest = 0
  if length > running then
    local next_entry = call("XRANGE", queue, "(" .. last_delivered(queue), "+", "COUNT", 1)
    local queued_at = string.match(id_of(next_entry), "^%d+")
    oldest = queued_at and math.max(1, NOW - queued_at) or 0
  end
  return length - running, running, oldest
end

local function work(revision)
  local queued, running, oldest = 0, 0, 0
  for _, lane in ipairs(LANES) do
    local waits, runs, age = lane_work(queue_key(revision, lane))
    queued, running, oldest = queued + waits, running + runs, math.max(oldest, age)
  end
  call("ZREMRANGEBYSCORE", pins_key(revision), "-inf", NOW)
  local kept = call("HMGET", revision_key(revision), "tasks", "access", "protocol", "turnedAwayAt")
  return {
    revision, string.sub(kept[2] or "", 1, LONGEST_WORD), string.sub(kept[3] or "", 1, LONGEST_WORD), queued, running, call("ZCARD", pins_key(revision)), oldest,
    call("PFCOUNT", users_key(revision)), tonumber(kept[1] or 0), tonumber(kept[4] or "") or 0,
  }
end

local function holds_tasks(revision)
  for _, lane in ipairs(LANES) do
    if call("XLEN", queue_key(revision, lane)) > 0 then return true end
  end
end

-- Lists that are empty by now are taken out: workers take tasks from a list and do not count them.
local function waiting_tasks()
  local waiting = 0
  local sessions = redis.pcall("ZRANGE", WAITS, 0, MOST_LISTS_COUNTED - 1)
  if sessions.err then return 0 end -- the operator's user is still that of the version before
  for _, session in ipairs(sessions) do
    local length = tally("LLEN", waiting_key(session))
    waiting = waiting + length
    if length == 0 then call("ZREM", WAITS, session) end
  end
  return waiting
end

local function spending()
  if not route or (route.budget or "") == "" then return {} end
  return spent_windows("", "", false, false, route.candidate or "")
end

-- Workers give such calls up when they wait for one; where none lives, nobody else does.
local function has_overdue_calls()
  local first = redis.pcall("ZRANGE", T .. ":open", "-inf", string.format("%.0f", NOW), "BYSCORE", "LIMIT", 0, 1)
  return #first > 0 and 1 or 0
end

local function parked()
  local first = redis.pcall("ZRANGE", PARKED, 0, 0, "WITHSCORES")
  if first.err or #first == 0 then return {0, 0, 0} end -- or the operator's user is still that of the version before
  local asked = tonumber(call("HGET", escalation_key(ARGV[1] .. first[1]), "askedAt") or "") or NOW
  return {tally("ZCARD", PARKED), math.max(0, tonumber(first[2]) - NOW), math.max(0, NOW - asked)}
end

local function marked()
  if not route or (route.budget or "") == "" then return {} end
  return places.marked(route.candidate or "")
end

-- What the canary's calls have done; see shared/effects.lua.
local function effected()
  if not route or (route.candidate or "") == "" then return {} end
  local users = redis.pcall("PFCOUNT", T .. ":effects:users:" .. route.candidate)
  if type(users) ~= "number" then return {} end
  return {users, call("HGETALL", effect_sums_key(route.candidate))}
end

-- What copies have shown of the canary for which they are made, and what they have spent; see shared/shadow.lua.
local function copied()
  if not route or (route.shadow or "") == "" then return {} end
  local is_json, said = pcall(cjson.decode, route.shadow)
  if not is_json or type(said) ~= "table" or type(said.canary) ~= "string" then return {} end
  local place = T .. ":led:shadow:" .. said.canary .. ":total:0"
  return {call("HGETALL", T .. ":shadow:seen:" .. said.canary), call("HGETALL", place)}
end

local works, named = {}, {}
for _, revision in ipairs({unpack(ARGV, 2)}) do
  works[#works + 1], named[revision] = work(revision), true
end
for _, revision in ipairs(call("SMEMBERS", REVISIONS)) do
  if not named[revision] and holds_tasks(revision) then works[#works + 1] = work(revision) end
end

-- The record in force. Without its members, which may be lost or overwritten, it has no rings: so it is written again.
local function record()
  local said = call("HMGET", ROUTE, "uid", "epoch", "version", "stable", "candidate", "percent", "salt", "unit", "suspended", "maxQueued", "rates", "budget", "restrictions", "harm", "shadow", "rings")
  if (said[#said] or "") == "" then return said end
  local overwritten = type(redis.pcall("HGET", RINGS, "")) == "table"
  if overwritten or call("EXISTS", RINGS) == 0 then said[#said] = "" end
  return said
end

return {
  NOW, record(),
  id_of(call("XRANGE", OUTCOMES, "-", "+", "COUNT", 1)),
  id_of(call("XREVRANGE", OUTCOMES, "+", "-", "COUNT", 1)), works, waiting_tasks(), is_trimmed(),
  call("HGETALL", spend_key()), spending(), has_overdue_calls(), marked(), harm.seen(), effected(), copied(), unpack(parked()),
}
