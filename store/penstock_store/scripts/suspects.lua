-- Claim one waiting group of suspects, whole. Answers {worker's number, restrictions where they are others than the
-- worker knows, claims…}, or {0} without any.
-- KEYS: tag, route, outcomes, queue of each lane.
-- ARGV: revision, consumer, its last number, server life, what its claim ids begin with, mark of
--       the restrictions that it knows.
-- uses: agent places ledger harm undoing tasks tail claims suspects
local revision, consumer, claim = ARGV[1], ARGV[2], ARGV[5]

if route == nil or SUSPENDED or gone(revision) then return {0} end
write_even_when_full()
local tail = join(consumer, tonumber(ARGV[3]), ARGV[4])
if not may_hand_out(tail) then return {0} end

local function claimed(queue, group)
  local claims = {}
  local pending = call("XPENDING", queue, GROUP, "-", "+", MOST_PARTED, group)
  for i, one in ipairs(pending) do
    local found = call("XRANGE", queue, one[1], one[1])[1]
    give_to(queue, consumer, {one[1]}, 1, 1)
    if found then
      claims[#claims + 1] = take(queue, one[1], found[2][2], claim .. "." .. i, #pending)
    else
      call("XACK", queue, GROUP, one[1])
    end
  end
  return claims
end

for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  for _, waiting in ipairs(consumers_of(queue)) do
    if is_group(waiting.name) and waiting.pending > 0 then
      local claims = claimed(queue, waiting.name)
      if #claims > 0 then return {written(consumer), restrictions_unless(ARGV[6]), unpack(claims)} end
    end
  end
end
return {0}
