-- Keep an answer of a model, within a bound for each agent: the one that would end first makes room.
-- In a full Redis nothing is kept.
-- KEYS: tag, route, outcomes, the answer.
-- ARGV: digest of the request, how long it is kept (s), answer, tenant, user who asked first.
-- uses: agent
local digest, seconds = ARGV[1], tonumber(ARGV[2])
local ANSWER, ANSWERS = KEYS[4], T .. ":answers"

call("HSET", ANSWER, "answer", ARGV[3], "tenant", ARGV[4], "user", ARGV[5])
call("EXPIRE", ANSWER, seconds)
call("ZADD", ANSWERS, NOW + seconds * 1000, digest)
call("EXPIRE", ANSWERS, LONGEST_ANSWER_SECONDS)
for _, ended in ipairs(call("ZRANGEBYSCORE", ANSWERS, "-inf", NOW, "LIMIT", 0, 100)) do
  call("ZREM", ANSWERS, ended)
end
local over = math.min(call("ZCARD", ANSWERS) - ANSWERS_PER_AGENT, 100)
for _, first in ipairs(over > 0 and call("ZRANGE", ANSWERS, 0, over - 1) or {}) do
  call("ZREM", ANSWERS, first)
  call("DEL", T .. ":answer:" .. first)
end
return 1
