-- One call that waits for a person, or for which one was asked. Answers the fields' values, then the span of which Redis may
-- have lost what became of it ("": none, or it is decided); nothing where there is none.
-- KEYS: tag, route, outcomes, escalation. ARGV: server life, then names of fields, the first askedAt, the second status.
-- unguarded: it reads
-- uses: agent lost
local FIELDS = {unpack(ARGV, 2)}
local values = call("HMGET", KEYS[4], unpack(FIELDS))
if not values[1] then return {} end
values[#FIELDS + 1] = values[2] == "Open" and lost.span(tonumber(values[1]) or 0, ARGV[1]) or ""
return values
