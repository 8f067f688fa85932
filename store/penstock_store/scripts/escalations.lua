-- One page of the calls of an agent that wait for a person, in the order in which time decides. It changes nothing, and
-- reads a bounded number of keys. Answers {score and tail to go on from ("" at the end), how many wait in all, {id, the
-- fields' values…, the span of which Redis may have lost what became of it} of each that was found}.
-- KEYS: tag, route, outcomes.
-- ARGV: score and tail after which the page begins ("" at the beginning), most read, most found, what each id begins
--       with, server life, tenant, user, tool, revision (each "": whichever), then names of fields, the first askedAt.
-- unguarded: it reads
-- uses: agent lost
local after_score, after_tail = ARGV[1], ARGV[2]
local most_read, most_found, prefix = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local life = ARGV[6]
local wanted = {tenant = ARGV[7], user = ARGV[8], tool = ARGV[9], revision = ARGV[10]}
local FIELDS = {unpack(ARGV, 11)}

local function is_wanted(values)
  local known = paired(values)
  for name, text in pairs(wanted) do
    if text ~= "" and known[name] ~= text then return false end
  end
  return true
end

local from = after_score == "" and "-inf" or after_score
local entries = call("ZRANGEBYSCORE", PARKED, from, "+inf", "WITHSCORES", "LIMIT", 0, most_read)
local found, at = {}, 1
local last_score, last_tail = after_score, after_tail
while at <= #entries and #found < most_found do
  local tail, score = entries[at], entries[at + 1]
  local seen = score == after_score and tail <= after_tail
  if not seen then
    local values = redis.pcall("HMGET", escalation_key(prefix .. tail), "status", "tenant", "user", "tool", "revision")
    if not values.err and values[1] == "Open"
      and is_wanted({"tenant", values[2], "user", values[3], "tool", values[4], "revision", values[5]}) then
      local one = call("HMGET", escalation_key(prefix .. tail), unpack(FIELDS))
      one[#FIELDS + 1] = lost.span(tonumber(one[1]) or 0, life)
      found[#found + 1] = {prefix .. tail, unpack(one, 1, #FIELDS + 1)}
    end
    last_score, last_tail = score, tail
  end
  at = at + 2
end
local is_end = at > #entries and #entries < 2 * most_read
return {is_end and "" or last_score, is_end and "" or last_tail, tally("ZCARD", PARKED), found}
