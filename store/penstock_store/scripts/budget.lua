-- Declare an agent's budget, or that it has none. What was spent stays.
-- KEYS: tag, route, outcomes. ARGV: fields in pairs; none: there is no budget.
-- uses: agent
local BUDGET = T .. ":budget"
call("DEL", BUDGET)
if #ARGV > 0 then call("HSET", BUDGET, unpack(ARGV)) end
return #ARGV / 2
