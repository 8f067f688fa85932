-- Places of the ledger: one scope in one window, by the calendar in UTC.
-- T:budget            hash   mode; floor: the shortest reply, where it is not the caller's; exceeded: Escalate or
--                            Degrade, where it is not Reject; <scope>:<window>:<unit> the most; lift:<…> "<begin of the window, ms> <more>"
-- T:led:<place>       hash   t, u settled tokens and micro-USD; ot, ou held by calls that run; w: calls wait there; of an
--                            agent and a canary xt, xu: the most for want of which a call of it was refused last
-- T:led:users:<…>     hash   n: how many users are counted in a window
-- A place is <scope>[:<digest or name>]:<window>:<begin, s>.
local places = {units = {"tokens", "micro_usd"}, kept_seconds = 172800}

-- A whole number as text, without an exponent and without a negative zero.
local function whole(number) return string.format("%.0f", number + 0) end

do
function places.key(place) return T .. ":led:" .. place end

local WINDOWS = {"hour", "day", "month", "total"}
local HOUR_MS, DAY_MS, TOTAL_SECONDS = 3600000, 86400000, 3024000

local RECENT_YEAR, RECENT_DAY = 2024, 19723 -- its first day since 1970: the years before take most of the time

local function days_of_year(year)
  return (year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)) and 366 or 365
end

-- The month in UTC of a day since 1970: its first day and that of the next one.
local function month_around(day)
  local year, first = 1970, 0
  if day >= RECENT_DAY then year, first = RECENT_YEAR, RECENT_DAY end
  while first + days_of_year(year) <= day do
    first = first + days_of_year(year)
    year = year + 1
  end
  for _, length in ipairs({31, days_of_year(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}) do
    if day < first + length then return first, first + length end
    first = first + length
  end
end

-- When the window around a moment begins and ends, ms; a total has neither.
local function bounds_of(window, at)
  if window == "total" then return 0, 0 end
  if window == "hour" then
    local begin = at - at % HOUR_MS
    return begin, begin + HOUR_MS
  end
  local day = math.floor(at / DAY_MS)
  if window == "day" then return day * DAY_MS, (day + 1) * DAY_MS end
  local first, following = month_around(day)
  return first * DAY_MS, following * DAY_MS
end

places.bounds = bounds_of

function places.tenant(tenant) return {"tenant", "tenant:" .. redis.sha1hex(tenant)} end

-- The tenant's name comes with its length, so that no two pairs meet.
function places.user(tenant, user)
  return {"user", "user:" .. redis.sha1hex(#tenant .. ":" .. tenant .. user)}
end

-- The revision of a copy's id; nil for a task's.
function places.of_copy(id) return string.match(id, "^copy%.([^.]+)%.[^.]+$") end

-- Whose spend a call of a task is, by scope. That of a copy is nobody's but the trial's.
function places.subjects(id)
  local canary = places.of_copy(id)
  if canary then return {{"shadow", "shadow:" .. canary}} end
  local facts = call("HMGET", task_key(id), "tenant", "user", "revision", "preview")
  local tenant, user, revision = facts[1] or "", facts[2] or "", facts[3] or ""
  local subjects = {
    {"agent", "agent"},
    places.tenant(tenant),
    places.user(tenant, user),
    {"task", "task:" .. string.match(id, "[^.]*$")},
  }
  -- A preview spends of everybody's budget and not of the canary's cap: no person's try stops a rollout.
  if route and revision ~= "" and revision == route.candidate and not facts[4] then
    subjects[#subjects + 1] = {"canary", "canary:" .. revision}
  end
  return subjects
end

-- The most that a scope may spend in a window, by unit; a lift counts in the window for which it was made.
function places.limits_of(budget, scope, window, begin)
  local most = {}
  for _, unit in ipairs(places.units) do
    local name = scope .. ":" .. window .. ":" .. unit
    most[unit] = tonumber(budget[name] or "")
    local from, more = string.match(budget["lift:" .. name] or "", "^(%d+) (%d+)$")
    if most[unit] and tonumber(from) == begin then most[unit] = most[unit] + tonumber(more) end
  end
  return most
end

-- Where a call counts: each scope that is limited, and the agent's own windows, so that a limit that is declared
-- in the middle of a window finds what was spent in it.
function places.around(budget, subjects, at)
  local found, bounds = {}, {}
  for _, window in ipairs(WINDOWS) do bounds[window] = {bounds_of(window, at)} end
  for _, subject in ipairs(subjects) do
    for _, window in ipairs(WINDOWS) do
      local begin, ends = bounds[window][1], bounds[window][2]
      local most = places.limits_of(budget, subject[1], window, begin)
      local own = subject[1] == "agent" and window ~= "total"
      if own or most.tokens or most.micro_usd then
        local name = subject[2] .. ":" .. window .. ":" .. whole(begin / 1000)
        found[#found + 1] = {name = name, scope = subject[1], window = window, begin = begin, ends = ends, most = most}
      end
    end
  end
  return found
end

function places.read(place)
  local found = call("HMGET", places.key(place.name), "t", "u", "ot", "ou", "w")
  place.is_new = not found[1] and not found[3]
  place.settled = {tokens = tonumber(found[1] or 0) or 0, micro_usd = tonumber(found[2] or 0) or 0}
  place.held = {tokens = tonumber(found[3] or 0) or 0, micro_usd = tonumber(found[4] or 0) or 0}
  place.has_line = found[5] == "1"
end

local MARKS = {tokens = "xt", micro_usd = "xu"}

local function kept_seconds(place)
  if place.ends == 0 then return TOTAL_SECONDS end
  return math.max(1, math.ceil((place.ends - NOW) / 1000)) + places.kept_seconds
end

-- Mark that a call of the agent, or of the canary, found no room for want of a unit.
function places.mark(place, unit)
  call("HSET", places.key(place.name), MARKS[unit], whole(place.most[unit]))
  call("EXPIRE", places.key(place.name), kept_seconds(place))
end

-- The marks of a place, {tokens, micro-USD}; false where no call was refused.
function places.marks(place) return call("HMGET", places.key(place.name), MARKS.tokens, MARKS.micro_usd) end

-- Where calls of a canary were refused in the windows around now: {limit as it was then, settled, ms of the reset}.
function places.marked(canary)
  local found = {}
  local budget = hash_at(T .. ":budget")
  if not budget or canary == "" then return found end
  for _, place in ipairs(places.around(budget, {{"canary", "canary:" .. canary}}, NOW)) do
    places.read(place)
    for _, unit in ipairs(places.units) do
      local most = call("HGET", places.key(place.name), MARKS[unit])
      if most then
        local limit = table.concat({"canary", place.window, unit, most}, ":")
        found[#found + 1] = {limit, place.settled[unit], place.ends}
      end
    end
  end
  return found
end

-- Add to a place that was read: what is settled, and what is held.
function places.add(place, tokens, micro_usd, held_tokens, held_micro_usd)
  local key = places.key(place.name)
  call("HSET", key, "t", whole(place.settled.tokens + tokens), "u", whole(place.settled.micro_usd + micro_usd),
    "ot", whole(place.held.tokens + held_tokens), "ou", whole(place.held.micro_usd + held_micro_usd))
  if place.is_new or place.ends == 0 then call("EXPIRE", key, kept_seconds(place)) end
  if place.is_new and place.scope == "user" then
    local counted = T .. ":led:users:" .. place.window .. ":" .. whole(place.begin / 1000)
    call("HINCRBY", counted, "n", 1)
    call("EXPIRE", counted, kept_seconds(place))
  end
end

end
