-- A person's word on a call that waits. It is decided once: the same word of the same person again changes nothing.
-- Answers {"missing"}, {"ok" | "again", how many have approved}, or {"decided" | "differs"}: by somebody else, by time
-- or otherwise; or the approval before was for other arguments. {"other"}: the person means another call.
-- {"doubt"}: Redis may have lost what became of it, and which call is meant was not said. {"forgets"}: no approval of this
-- call holds for further ones.
-- KEYS: tag, route, outcomes, escalation. ARGV: id of the escalation, tenant ("": of whichever), person, verdict, note,
--       answer, changed arguments (JSON, "" for the model's own), server life, what all spellings of the person's name
--       have in common, digest of the call that he means ("": not said), whether his approval holds for
--       the session (Session or "").
-- uses: agent places ledger harm undoing tasks lost parking
local name, tenant, person, verdict, note, answer, changed = unpack(ARGV, 1, 7)
local life, meant = ARGV[8], ARGV[10]
local task, known = parking.open(name)
if not known or (tenant ~= "" and known.tenant ~= tenant) then return {"missing"} end

local remember = ARGV[11] == "Session"
local word = redis.sha1hex(table.concat({verdict, answer, changed, remember and "Session" or nil}, "\n"))
local said = known["said:" .. ARGV[9]]
local approvals = tonumber(known.approvals or "") or 0
if said == word then return {"again", approvals} end
if not task then
  if known.status == "Open" then parking.forget(name) end -- a version before has ended its task
  return {"decided"}
end
if NOW >= tonumber(known.deadline) then
  parking.lapse(name, life)
  return {"decided"}
end
if foreign(task) then
  parking.lapse(name, life)
  return {"decided"}
end
local digest = known.digest
if (known.proposed or "") ~= "" then digest = redis.sha1hex(digest .. known.proposed) end -- as it is shown
if meant ~= "" and meant ~= digest then return {"other"} end
if meant == "" and lost.span(tonumber(known.askedAt), life) ~= "" then return {"doubt"} end
if said and verdict == "Approve" then return {"decided"} end -- he has approved; he may still deny
if remember and ((known.memory or "") == "" or task.sess == "" or changed ~= "") then return {"forgets"} end

local by = {}
for each in string.gmatch(known.approvedBy or "", "[^\n]+") do by[#by + 1] = each end
if verdict == "Approve" and approvals > 0 and known.approving ~= changed then return {"differs"} end
call("HSET", KEYS[4], "said:" .. ARGV[9], word)
parking.note(name, person, verdict, note)
if verdict == "Approve" then
  by[#by + 1], approvals = person, approvals + 1
  call("HSET", KEYS[4], "approvals", approvals, "approving", changed, "approvedBy", table.concat(by, "\n"), "note", note)
  if remember then remember = call("HINCRBY", KEYS[4], "remembering", 1) == approvals end -- each of them has said so
  if approvals < (tonumber(known.minApprovals) or 1) then return {"ok", approvals} end
else
  by = {person}
end
local said = {verdict = verdict, by = by, note = note, answer = answer, changed = changed, life = life, remember = remember}
parking.decide(name, task, known, said)
return {"ok", approvals}
