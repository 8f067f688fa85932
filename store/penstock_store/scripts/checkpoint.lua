-- Save a task's state after a step. Answers {worker's number, directive (Ask: the call is worth nobody knows what), what the ledger says of the next call,
-- restrictions where they are others than the worker knows};
-- but for what calls have used nothing is written when it is Lost, or Whole: the state was sent as what is new after an earlier one that is not there.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: consumer, its last number, server life, state, id, claim id, usage, intents, piece (its number among
--       those after the whole text, 0: the state is whole), digest of that whole text, money (JSON, "" for none), mark of the restrictions that the worker knows, then events: type, json.
-- uses: agent places ledger harm undoing tasks tail claims effects
local consumer, state, id, claim = ARGV[1], ARGV[4], ARGV[5], ARGV[6]
local piece, whole = tonumber(ARGV[9]), ARGV[10]
local TASK = KEYS[4]
local task = task_at(id)
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
local said = directive(task, claim, tail)
local money = ARGV[11] ~= "" and cjson.decode(ARGV[11]) or {}
ledger.settle_all(id, money)
if said == "Lost" then return {0, said} end

if piece > 0 then
  local kept = call("HMGET", TASK, "whole", "pieces")
  if kept[1] ~= whole or (tonumber(kept[2] or "") or 0) ~= piece - 1 then return {0, "Whole"} end
end
for i = 13, #ARGV, 2 do
  local instead = ARGV[i] == "effect" and said == "Continue" and harm.reserve(id, task, ARGV[i + 1])
  if instead then return {0, instead} end
end
adopt(id, task, claim, consumer)
if piece == 0 then
  drop_pieces(id)
  call("HSET", TASK, "checkpoint", state, "whole", whole)
else
  call("HSET", TASK, "piece" .. piece, state, "pieces", piece)
end
call("HSET", TASK, "checkpointRevision", task.revision, "usage", ARGV[7], "intents", ARGV[8], "savedAt", NOW,
  "savedBy", claim)
for i = 13, #ARGV, 2 do effects.told(id, ARGV[i], ARGV[i + 1]) end
local reserved = money.reserve and said == "Continue" and ledger.reserve(id, money.reserve) or false
return {written(consumer), said, reserved, restrictions_unless(ARGV[12])}
