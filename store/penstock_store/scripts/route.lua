-- Put a route in force. Answers {"stale", the "epoch version" in force} or {"ok", how many revisions hold a former agent's tasks}.
-- KEYS: tag, route, outcomes.
-- ARGV: uid, epoch, version, stable, candidate, percent, salt, unit, suspended, most queued (0: as the installation
--       has it), rates, mark of the budget, restrictions, what the canary may do, copies of tasks for it, what tells its rings from others ("": none), their
--       members ring by ring (see penstock.rings.written), "epoch version" of a record that gives way though it is higher, then per revision: hash, standing, inputChars, queueSeconds, wallSeconds,
--       declared version, what its end users read where a task is escalated, where there is no answer, and where the model refuses,
--       how it may come back (see penstock.traffic.WayBack).
-- uses: agent
local function counter(text) -- 0 for what is none: whoever has a worker's credentials can write here
  return text and #text <= 15 and tonumber(string.match(text, "^%d+$")) or 0
end

local uid, epoch, version = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local same = route ~= nil and route.uid == uid

if same then
  local e, v = counter(route.epoch), counter(route.version)
  local older = epoch < e or (epoch == e and version < v)
  local in_force = string.format("%.0f %.0f", e, v)
  if older and ARGV[18] ~= in_force then return {"stale", in_force} end
end

local was_tried = same and tried()
local was_ringed = same and route.rings or ""

if not same then
  for _, key in ipairs({OUTCOMES, RECENT, WAITS, TAIL, VERSIONS}) do call("PERSIST", key) end
  for _, hash in ipairs(call("SMEMBERS", REVISIONS)) do call("SADD", STALE, hash) end
end
call("HSET", ROUTE, "uid", uid, "epoch", ARGV[2], "version", ARGV[3], "stable", ARGV[4],
  "candidate", ARGV[5], "percent", ARGV[6], "salt", ARGV[7], "unit", ARGV[8], "suspended", ARGV[9], "maxQueued", ARGV[10],
  "rates", ARGV[11], "budget", ARGV[12], "restrictions", ARGV[13], "harm", ARGV[14], "shadow", ARGV[15],
  "rings", ARGV[16], "ringsOf", ARGV[3])
if not same then call("HDEL", ROUTE, "resumedAt", "evidenceUntil") end
if same and SUSPENDED and ARGV[9] == "0" then call("HSET", ROUTE, "resumedAt", NOW) end

-- Members by their digest, each with the number of its ring; one in two rings is in the first.
local function give_rings(text)
  local number, known, pairs_here = FIRST_RING - 1, {}, {}
  call("DEL", RINGS)
  for ring in string.gmatch(text, "[^,]+") do
    number = number + 1
    for at = 1, #ring, RING_DIGITS do
      local member = string.sub(ring, at, at + RING_DIGITS - 1)
      if not known[member] then
        known[member] = true
        pairs_here[#pairs_here + 1], pairs_here[#pairs_here + 2] = member, number
      end
      if #pairs_here == 2000 then -- as many arguments as a call may have
        call("HSET", RINGS, unpack(pairs_here))
        pairs_here = {}
      end
    end
  end
  if #pairs_here > 0 then call("HSET", RINGS, unpack(pairs_here)) end
end
call("HGET", RINGS, "") -- what another hand has put in its place goes
if ARGV[16] ~= was_ringed or call("EXISTS", RINGS) == (ARGV[16] == "" and 1 or 0) then give_rings(ARGV[17]) end

call("DEL", VERSIONS)
local listed, going_on = {}, false
for i = 19, #ARGV, 10 do
  local hash = ARGV[i]
  listed[hash] = true
  if hash == ARGV[5] and ARGV[i + 1] ~= "Rejected" and ARGV[i + 1] ~= "Closed" then going_on = true end
  call("SADD", REVISIONS, hash)
  call("HSET", revision_key(hash), "standing", ARGV[i + 1],
    "inputChars", ARGV[i + 2], "queueSeconds", ARGV[i + 3], "wallSeconds", ARGV[i + 4],
    "escalated", ARGV[i + 6], "unavailable", ARGV[i + 7], "blocked", ARGV[i + 8], "wayBack", ARGV[i + 9])
  call("HSET", VERSIONS, hash, ARGV[i + 5])
  if SUSPENDED and ARGV[9] == "0" then ring(hash) end
end

if was_tried and not (going_on and ARGV[5] == route.candidate) then
  call("HSET", ROUTE, "evidenceUntil", string.format("%.0f", NOW + EVIDENCE_SECONDS * 1000))
end

-- A revision that is no longer listed goes when it holds nothing. Until then it is Closed: its
-- workers give back what they hold, and look tells of it, for rehome to move the rest to stable.
for _, hash in ipairs(call("SMEMBERS", REVISIONS)) do
  if not listed[hash] then
    local held = 0
    for _, lane in ipairs(LANES) do held = held + call("XLEN", queue_key(hash, lane)) end
    if held == 0 and call("SISMEMBER", STALE, hash) == 0 then
      forget(hash)
    else
      call("HSET", revision_key(hash), "standing", "Closed", "wayBack", "")
    end
  end
end
return {"ok", call("SCARD", STALE)}
