-- Put what is news of an agent's escalations into the outbox of each target, and say what is in there. An escalation is
-- told as Asked once, and as Decided once if it was told as Asked. It looks at a bounded number: those at both ends, and so
-- many from a place that goes round. Answers {place to go on from, then for each target: how many are due (at most 1), how
-- many wait, for how many ms the oldest does (0: none)}.
-- T:told              zset   the tails of escalations told as Asked, by the ms at which time decides
-- T:outbox:<target>   zset   deliveries <kind>|<ms>|<tail>, by the ms at which each is due
-- T:undelivered:<target>  zset  the same, by the ms since which each waits
-- KEYS: tag, route, outcomes. ARGV: most looked at, place, what each id begins with, then for each target its name and
--       its kinds.
-- uses: agent
local most, place, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
-- As many wait as were told: one that came and one that went may hide each other, so a few are looked at all the same.
if call("ZCARD", PARKED) == call("ZCARD", T .. ":told") then most = math.ceil(most / 10) end
local TOLD, KEPT_SECONDS = T .. ":told", LONGEST_WAIT_SECONDS + 86400

local function outbox_key(target) return T .. ":outbox:" .. target end
local function since_key(target) return T .. ":undelivered:" .. target end

local function tell(kind, tail)
  for i = 4, #ARGV, 2 do
    if string.find(ARGV[i + 1], kind, 1, true) then
      local one = table.concat({kind, string.format("%.0f", NOW), tail}, "|")
      call("ZADD", outbox_key(ARGV[i]), NOW, one)
      call("ZADD", since_key(ARGV[i]), NOW, one)
      call("EXPIRE", outbox_key(ARGV[i]), KEPT_SECONDS)
      call("EXPIRE", since_key(ARGV[i]), KEPT_SECONDS)
    end
  end
end

-- Both ends of a set, and so many from the place on.
local function looked_at(key)
  local found, seen = {}, {}
  local function add(from, to)
    for _, tail in ipairs(call("ZRANGE", key, from, to)) do
      if not seen[tail] then found[#found + 1], seen[tail] = tail, true end
    end
  end
  add(0, most - 1)
  add(-most, -1)
  add(place, place + most - 1)
  return found
end

for _, tail in ipairs(looked_at(PARKED)) do
  local known = redis.pcall("HMGET", escalation_key(prefix .. tail), "status", "told", "deadline")
  if not known.err and known[1] == "Open" and not known[2] then
    tell("Asked", tail)
    local deadline = tonumber(known[3])
    if deadline == nil or deadline ~= deadline then deadline = NOW end -- a namespace's own user can write any
    call("ZADD", TOLD, deadline, tail)
    call("EXPIRE", TOLD, KEPT_SECONDS)
    call("HSET", escalation_key(prefix .. tail), "told", "1")
  end
end
for _, tail in ipairs(looked_at(TOLD)) do
  local known = redis.pcall("HMGET", escalation_key(prefix .. tail), "status")
  if known.err or known[1] ~= "Open" then
    if not known.err and known[1] then tell("Decided", tail) end
    call("ZREM", TOLD, tail)
  end
end

local longest = math.max(call("ZCARD", PARKED), call("ZCARD", TOLD))
local said = {place + most < longest and place + most or 0}
for i = 4, #ARGV, 2 do
  local first = call("ZRANGE", since_key(ARGV[i]), 0, 0, "WITHSCORES")
  said[#said + 1] = #call("ZRANGEBYSCORE", outbox_key(ARGV[i]), "-inf", NOW, "LIMIT", 0, 1)
  said[#said + 1] = call("ZCARD", outbox_key(ARGV[i]))
  said[#said + 1] = first[2] and math.max(1, NOW - tonumber(first[2])) or 0
end
return said
