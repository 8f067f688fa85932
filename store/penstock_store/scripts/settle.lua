-- Settle calls by themselves: where the claim was lost, or no other call of the store comes after them.
-- Answers for each whether it counted (1 or 0).
-- KEYS: tag, route, outcomes. ARGV: task, then per call: id, tokens, micro-USD, when it was reserved (ms).
-- uses: agent places ledger
local counted = {}
for i = 2, #ARGV, 4 do
  counted[#counted + 1] = ledger.settle(ARGV[1], ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]))
end
return counted
