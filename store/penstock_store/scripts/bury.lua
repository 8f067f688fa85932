-- Part at once what a process held that was seen to die. Answers how many groups that made. Its last sign stays: Redis
-- may have lost what it did before.
-- KEYS: tag, route, outcomes, queue of each lane. ARGV: revision, consumer, a name that is used once.
-- uses: agent places ledger harm undoing tasks tail suspects
local consumer, name = ARGV[2], ARGV[3]
local groups = 0
for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  if group_of(queue) then groups = groups + part(queue, consumer, 0, true, name .. lane) end
end
return groups
