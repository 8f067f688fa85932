-- What is kept of an agent's outcome log: {id of its oldest row, empty for none, 1 when it has lost its first rows}.
-- KEYS: tag, route, outcomes. ARGV: none
-- unguarded: it changes nothing
-- uses: agent trimmed
local first = call("XRANGE", OUTCOMES, "-", "+", "COUNT", 1)
return {first[1] and first[1][1] or "", is_trimmed()}
