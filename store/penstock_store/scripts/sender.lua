-- Which gateway sends to webhooks: the one that says so again before its time is over. Answers 1 to that one, else 0.
-- KEYS: the sender of the installation. ARGV: who asks, for how many ms (0: not any more).
if redis.replicate_commands then redis.replicate_commands() end
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call("HMGET", KEYS[1], "who", "until")
if known[1] and known[1] ~= ARGV[1] and now < (tonumber(known[2] or "") or 0) then return 0 end
redis.call("HSET", KEYS[1], "who", ARGV[1], "until", now + tonumber(ARGV[2]))
return 1
