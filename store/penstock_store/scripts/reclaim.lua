-- Claim tasks whose worker sent no heartbeat for a while. Answers claims.
-- KEYS: tag, route, outcomes, queue of each lane.
-- ARGV: revision, consumer, idle ms, claim ids (as many as may be claimed).
-- uses: agent tasks claims
local revision, consumer, idle, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3]), #ARGV - 3
local claims = {}

if route == nil or SUSPENDED or gone(revision) then return claims end

-- Workers come and go; those long gone with nothing pending are forgotten.
local function forget_consumers(queue)
  for _, flat in ipairs(call("XINFO", "CONSUMERS", queue, GROUP)) do
    local known = paired(flat)
    if known.pending == 0 and known.idle >= IDLE_CONSUMER_MS then
      call("XGROUP", "DELCONSUMER", queue, GROUP, known.name)
    end
  end
end

local function take_over(queue)
  local abandoned = call("XPENDING", queue, GROUP, "IDLE", idle, "-", "+", wanted - #claims)
  for _, pending in ipairs(abandoned) do
    local entry = pending[1]
    local found = call("XRANGE", queue, entry, entry)[1]
    call("XCLAIM", queue, GROUP, consumer, 0, entry, "JUSTID")
    if found then
      claims[#claims + 1] = take(queue, entry, found[2][2], ARGV[4 + #claims])
    else
      call("XACK", queue, GROUP, entry)
    end
  end
end

for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  if #claims < wanted and group_of(queue) then
    take_over(queue)
    forget_consumers(queue)
  end
end
return claims
