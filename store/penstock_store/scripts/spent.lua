-- What is spent and held now. It changes nothing. Answers {now ms, refusals in pairs, passed marks in pairs, then of each window: scope, window,
-- settled tokens and micro-USD, held tokens and micro-USD, ms of its end, most tokens or -1, most micro-USD or -1, and of which of
-- both a call has found too little left: what it was then, or -1}.
-- KEYS: tag, route, outcomes. ARGV: tenant, user, with a tenant (1 or 0), with a user (1 or 0), canary.
-- unguarded: it reads
-- uses: agent places spent
local tenant, user, with_tenant, with_user, canary = ARGV[1], ARGV[2], ARGV[3] == "1", ARGV[4] == "1", ARGV[5]
return spent_windows(tenant, user, with_tenant, with_user, canary)
