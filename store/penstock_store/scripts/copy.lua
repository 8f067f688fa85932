-- Take a copy of one of stable's tasks whose name a worker has taken out of its list. Answers its fields in pairs, none where
-- nobody is to run it.
-- KEYS: tag, route, outcomes. ARGV: name, revision of the worker.
-- uses: agent places ledger harm undoing tasks shadow
local name, revision = ARGV[1], ARGV[2]
return shadow.take(name, revision)
