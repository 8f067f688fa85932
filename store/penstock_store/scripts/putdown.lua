-- Put a task down with its state, as a living worker has done, or does, after Redis may have lost the state: back to its
-- revision, to stable, or for a person. Answers {worker's number, Continue (also where nothing was lost) or
-- Lost}. Bills are settled whatever is answered: the vendor has been paid for.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: consumer, its last number, server life, id, claim id, for how many ms it is down, state ("": the claim has saved
--       none), digest of it, usage, intents, money (JSON, "" for none), to stable (1 or 0), then, where it waits for a
--       person: usage, seconds until time decides, the tool's schema (JSON), fields of the escalation in pairs.
-- uses: agent places ledger harm undoing tasks tail claims parking putdown
local consumer, id, claim, since = ARGV[1], ARGV[4], ARGV[5], NOW - tonumber(ARGV[6])
local task = task_at(id)
write_even_when_full()
local tail = join(consumer, tonumber(ARGV[2]), ARGV[3])
if ARGV[11] ~= "" then
  ledger.settle_all(id, cjson.decode(ARGV[11]))
  if task then task.calls = call("HGET", task_key(id), "calls") or "" end
end
if putdown.is_known(id, claim) then return {0, "Continue"} end
if not holds(task, claim, tail) then return {0, "Lost"} end
if ARGV[7] == "" and task.claim ~= claim then return {0, "Continue"} end -- it has done nothing, and is as it was before

if task.claim ~= claim then task.deliveries = task.deliveries + 1 end -- this one is lost
adopt(id, task, claim, consumer)
-- When it was saved stays as it is: what a later claim has saved may be lost too, and is asked for by that.
if ARGV[7] ~= "" then
  drop_pieces(id)
  call("HSET", KEYS[4], "checkpoint", ARGV[7], "whole", ARGV[8], "checkpointRevision", task.revision, "usage", ARGV[9],
    "intents", ARGV[10], "savedBy", claim)
  task.intents, task.savedBy = ARGV[10], claim
end
if #ARGV < 13 or order(task, claim) == "Cancel" then
  putdown.give_back(id, task, claim, ARGV[12] == "1")
else
  dequeue(task)
  ledger.abandon(task)
  parking.park(id, task, claim, ARGV[13], tonumber(ARGV[14]), ARGV[15], {unpack(ARGV, 16)}, since)
end
return {written(consumer), "Continue"}
