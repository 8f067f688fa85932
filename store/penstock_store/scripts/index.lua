-- Replace the operator's index of agents and stamp it complete. Answers how many it has.
-- KEYS: index, time of completion. ARGV: namespace/name, uid in turn.
if redis.replicate_commands then redis.replicate_commands() end
local clock = redis.call("TIME")
redis.call("DEL", KEYS[1])
for i = 1, #ARGV, 2 do redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call("SET", KEYS[2], clock[1] * 1000 + math.floor(clock[2] / 1000))
return #ARGV / 2
