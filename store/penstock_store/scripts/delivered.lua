-- What became of a delivery: it is done with, or tried again later. Answers 1, or 0 where it was done with before.
-- KEYS: tag, route, outcomes. ARGV: target, delivery as outbox.lua names it, ms until the next attempt (0: it is done with).
-- uses: agent
local outbox, since = T .. ":outbox:" .. ARGV[1], T .. ":undelivered:" .. ARGV[1]
local pause = tonumber(ARGV[3])
if pause > 0 then
  call("ZADD", outbox, "XX", NOW + pause, ARGV[2])
  return 1
end
call("ZREM", since, ARGV[2])
return call("ZREM", outbox, ARGV[2])
