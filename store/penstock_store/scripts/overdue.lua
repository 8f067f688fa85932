-- Give up calls that are open past their deadline, where no worker does. Answers how many.
-- KEYS: tag, route, outcomes. ARGV: limit.
-- uses: agent places ledger
local limit = tonumber(ARGV[1])
return ledger.sweep(limit)
