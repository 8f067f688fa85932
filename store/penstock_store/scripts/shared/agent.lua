-- The agent's slot: its clock, keys, route, rows and events.
-- KEYS[1] is the agent's tag, KEYS[2] its route, KEYS[3] its outcome log. Keys that depend on
-- what a script reads (a task's session, the queue of its revision) are built from the tag and
-- so are in the same slot; all others are declared.

-- Before Redis 7 a script that reads the clock may write only when its effects are replicated.
if redis.replicate_commands then redis.replicate_commands() end

-- A command, on keys of ours. A key that holds another type than the one Penstock writes there was
-- overwritten by another hand: what it held is lost already, and it would stop whoever meets it, half
-- way through a script. So it is removed, and the command said again.
local function call(command, key, ...)
  local said = redis.pcall(command, key, ...)
  if type(said) ~= "table" or not said.err then return said end
  local strange = string.find(said.err, "WRONGTYPE", 1, true)
  if strange and string.sub(key, 1, #KEYS[1]) == KEYS[1] then redis.call("DEL", key) end
  return redis.call(command, key, ...)
end

local T, ROUTE, OUTCOMES = KEYS[1], KEYS[2], KEYS[3]
local LANES = {"Critical", "Normal", "Batch"}
local GROUP = "w"

local clock = redis.call("TIME")
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function paired(flat)
  local map = {}
  for i = 1, #flat, 2 do map[flat[i]] = flat[i + 1] end
  return map
end

-- A hash as a table, nil when it does not exist.
local function hash_at(key)
  local flat = call("HGETALL", key)
  if #flat > 0 then return paired(flat) end
end

local function task_key(id) return T .. ":task:" .. id end
local function events_key(id) return T .. ":ev:" .. id end
local function revision_key(revision) return T .. ":rev:" .. revision end
local function queue_key(revision, lane) return T .. ":q:" .. revision .. ":" .. lane end
local function pins_key(revision) return T .. ":pins:" .. revision end
local function users_key(revision) return T .. ":users:" .. revision end
local function bell_key(revision) return T .. ":bell:" .. revision end
local function session_key(session) return T .. ":sess:" .. session end
local function waiting_key(session) return T .. ":wait:" .. session end
local function effect_sums_key(revision) return T .. ":effects:of:" .. revision end
local function escalation_key(name) return T .. ":esc:" .. name end
-- What tasks that ended on this day (UTC) have cost: micro-USD by the revision that ended them.
local function spend_key() return T .. ":spend:" .. math.floor(NOW / 86400000) end
local REVISIONS, STALE, RECENT = T .. ":revisions", T .. ":stale", T .. ":recent"
local WAITS, TAIL, VERSIONS = T .. ":waits", T .. ":tail", T .. ":versions"
local PARKED = T .. ":parked"
local RINGS, FIRST_RING, MOST_RINGS, RING_DIGITS = T .. ":rings", 100, 16, 12 -- as penstock.rings has them

local route = hash_at(ROUTE)
local SUSPENDED = route ~= nil and route.suspended == "1"
local RESUMED_AT = tonumber(route and route.resumedAt or 0) -- when a suspension last ended

local standings = {}
local function standing(revision)
  if standings[revision] == nil then
    standings[revision] = call("HGET", revision_key(revision), "standing") or "Closed"
  end
  return standings[revision]
end

-- A revision that may not go on with anything it holds.
local function gone(revision)
  local now = standing(revision)
  return now == "Rejected" or now == "Closed"
end

-- Who serves instead of a revision that is gone: stable, where there is one; else itself.
local function serving(revision)
  if route and gone(revision) and route.stable ~= "" and not gone(route.stable) then
    return route.stable
  end
  return revision
end

-- Whether the first revision climbs: there is a canary, and nobody who could take anything over from it.
local ALONE = route ~= nil and route.stable == "" and (route.candidate or "") ~= ""

-- Whether a canary is tried. One that was rejected stays in the route.
local function tried()
  return route ~= nil and (route.candidate or "") ~= "" and not gone(route.candidate)
end

-- Whether users of rings are given the canary. An operator of the version before does not say "ringsOf", so that its
-- routes have no ring.
local function has_rings()
  return (route.rings or "") ~= "" and route.ringsOf == route.version and (route.candidate or "") ~= ""
end

-- Whether a revision is given anybody: everybody who is left, a share, or users of rings.
local function is_given(revision)
  if revision == route.stable then return true end
  if revision ~= route.candidate or gone(revision) then return false end
  return (tonumber(route.percent or "") or 0) > 0 or has_rings()
end

-- How many rows are kept: more while a canary is tried, and for a while after, for whoever makes a decision again.
local function rows_kept()
  local more = tried() or (route and NOW < (tonumber(route.evidenceUntil or "") or 0))
  return more and EVIDENCE_ROWS or OUTCOME_ROWS
end

-- A preview (see admit.lua) leaves no row: it is a sample of nobody, whoever reads them.
local function row(kind, id, task, ending)
  if task.preview == "1" then return end
  local said = table.concat({
    string.match(id, "[^.]+$"), task.arm, task.revision, task.routeVersion, task.beginVersion, task.bucket,
  }, "|")
  call("XADD", OUTCOMES, "MAXLEN", "~", rows_kept(), "*", kind, said .. (ending or ""))
end

local function event(id, kind, json)
  call("XADD", events_key(id), "MAXLEN", "~", EVENT_ROWS, "*", kind, json)
  -- Who waits for the end, or for what is asked of a person, is woken by the id alone; a version before knows nothing else.
  local wakes = kind == "finished" or kind == "waiting"
  call("PUBLISH", T .. ":news", wakes and id or id .. " " .. kind)
end

local function ring(revision)
  local bell = bell_key(revision)
  local rings = call("LPUSH", bell, "1")
  if rings == 1 then call("EXPIRE", bell, 3600) end
  if rings > 64 then call("LTRIM", bell, 0, 63) end
end

-- A count by a command that a Redis user of the version before may not say: 0 when it is refused.
local function tally(...)
  local said = redis.pcall(...)
  return type(said) == "number" and said or 0
end

-- The group of a queue {pending, last-delivered-id, …}, nil as long as nobody ever read from it.
local function group_of(queue)
  if call("XLEN", queue) == 0 and call("EXISTS", queue) == 0 then return nil end
  for _, flat in ipairs(call("XINFO", "GROUPS", queue)) do
    local group = paired(flat)
    if group.name == GROUP then return group end
  end
end

-- Entries nobody has claimed are those after this id.
local function last_delivered(queue)
  local group = group_of(queue)
  return group and group["last-delivered-id"] or "0-0"
end

-- Remove all that is kept of a revision.
local function forget(revision)
  call("DEL", revision_key(revision), pins_key(revision), users_key(revision), bell_key(revision))
  for _, lane in ipairs(LANES) do call("DEL", queue_key(revision, lane)) end
  call("SREM", REVISIONS, revision)
end
