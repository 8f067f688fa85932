-- Claim tasks for a worker: lanes in order, Batch at least one turn in ten.
-- Answers {worker's number, restrictions where they are others than the worker knows, claims…}, or {0} without any.
-- KEYS: tag, route, outcomes, revision, bell, queue of each lane.
-- ARGV: revision, consumer, its last number, server life, what the first call of each task reserves (JSON, "" for
--       nothing), mark of the restrictions that it knows, claim ids (as many as may be claimed).
-- uses: agent places ledger harm undoing tasks tail claims
local REVISION, BELL = KEYS[4], KEYS[5]
local QUEUES = {Critical = KEYS[6], Normal = KEYS[7], Batch = KEYS[8]}
local revision, consumer, wanted = ARGV[1], ARGV[2], #ARGV - 6
local opening = ARGV[5] ~= "" and cjson.decode(ARGV[5])
local claims, delivered = {}, 0

if route == nil or SUSPENDED or gone(revision) then return {0} end

local function read(lane, count)
  local queue = QUEUES[lane]
  if count <= 0 or call("XLEN", queue) == 0 then return end
  local command = {"XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", queue, ">"}
  local answer = redis.pcall(unpack(command))
  if answer and answer.err then -- the first worker ever: the group does not exist yet
    redis.call("XGROUP", "CREATE", queue, GROUP, "0")
    answer = redis.call(unpack(command))
  end
  for _, entry in ipairs(answer and answer[1][2] or {}) do
    delivered = delivered + 1
    claims[#claims + 1] = take(queue, entry[1], entry[2][2], ARGV[7 + #claims], 0, opening)
  end
end

write_even_when_full() -- what waits is handed out there too: only what ends frees memory
local tail = join(consumer, tonumber(ARGV[3]), ARGV[4])
if not may_hand_out(tail) then return {0} end

local turns = tonumber(call("HGET", REVISION, "turns") or 0)
read("Batch", math.floor((turns + wanted) / 10) - math.floor(turns / 10))
for _, lane in ipairs(LANES) do read(lane, wanted - #claims) end

if delivered < wanted then call("DEL", BELL) end -- nothing is left that it could ring for
if #claims == 0 then return {0} end
call("HINCRBY", REVISION, "turns", #claims)
return {written(consumer), restrictions_unless(ARGV[6]), unpack(claims)}
