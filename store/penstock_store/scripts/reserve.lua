-- Reserve for a model call by itself: where no other call of the store comes before it, or while it waits.
-- Answers what the ledger says: {"none"}, {"over"}, {"waiting"}, {"reserved", tokens, micro-USD, tokens of the reply, at ms, limit
-- that cut it}, or {"refused", limit, spent, held, ms of the reset, too many users (1 or 0)}.
-- KEYS: tag, route, outcomes. ARGV: task, the wish (JSON).
-- uses: agent places ledger
local task, wish = ARGV[1], cjson.decode(ARGV[2])
return ledger.reserve(task, wish)
