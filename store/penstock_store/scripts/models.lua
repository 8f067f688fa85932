-- Which models an agent's revisions ask, and what ended tasks have cost by model. It changes nothing. Answers {now ms,
-- {revision, role (stable, canary or empty: it ends what it has), what its workers have told (JSON, empty: nothing)} of each, what
-- today's tasks have cost by revision, by model, this month's by model, in pairs}.
-- KEYS: tag, route, outcomes. ARGV: ms for which a revision's workers are thought to be there after a word of them.
-- unguarded: it reads
-- uses: agent places
local LIVES = tonumber(ARGV[1])
local found, known = {}, {}

local function tell(revision, role)
  if revision == "" or known[revision] then return end
  known[revision] = true
  found[#found + 1] = {revision, role, call("HGET", revision_key(revision), "asks") or ""}
end

local function is_there(revision)
  local at = tonumber(string.match(call("HGET", revision_key(revision), "protocol") or "", "^(%d+) "))
  return at ~= nil and NOW - at < LIVES
end

local function cost_by_model(window)
  return call("HGETALL", T .. ":spend:models:" .. window .. ":" .. whole(places.bounds(window, NOW) / 1000))
end

if route then
  tell(route.stable or "", "stable")
  tell(route.candidate or "", "canary")
end
for revision in pairs(hash_at(VERSIONS) or {}) do
  if is_there(revision) then tell(revision, "") end
end
return {NOW, found, call("HGETALL", spend_key()), cost_by_model("day"), cost_by_model("month")}
