-- Let time decide calls on which nobody has decided, also where no worker lives. Answers how many.
-- KEYS: tag, route, outcomes. ARGV: limit, what each id begins with, server life.
-- uses: agent places ledger harm undoing tasks lost parking
local lapsed = 0
if route == nil then return 0 end
for _, tail in ipairs(parking.overdue(tonumber(ARGV[1]))) do
  parking.lapse(ARGV[2] .. tail, ARGV[3])
  lapsed = lapsed + 1
end
return lapsed
