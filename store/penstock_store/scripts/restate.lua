-- Say again what a worker has said of its calls of late: what of it Redis has lost is written down. Answers nothing.
-- KEYS: tag, route, outcomes.
-- ARGV: ms that the oldest is ago, then task, tenant, user, revision and JSON of each effect.
-- uses: agent places ledger harm undoing tasks effects
local oldest_ms = tonumber(ARGV[1])
effects.restate(NOW - oldest_ms, {unpack(ARGV, 2)})
