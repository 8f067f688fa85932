-- Take deliveries to a target that are due; for a while nobody else takes them. Answers {now in ms, deliveries…}, as
-- outbox.lua names them.
-- KEYS: tag, route, outcomes. ARGV: target, most, for how many ms they are held.
-- uses: agent
local outbox = T .. ":outbox:" .. ARGV[1]
local said = {string.format("%.0f", NOW)}
for _, one in ipairs(call("ZRANGEBYSCORE", outbox, "-inf", NOW, "LIMIT", 0, tonumber(ARGV[2]))) do
  call("ZADD", outbox, NOW + tonumber(ARGV[3]), one)
  said[#said + 1] = one
end
return said
