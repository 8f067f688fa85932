-- Say what a copy has shown, and what its calls were billed. Answers 1, or 0 where nobody wants to know any more: the bills
-- count all the same.
-- KEYS: tag, route, outcomes. ARGV: name, revision, verdict ("" for none: it was put down), what it found (JSON, "" for
--       nothing), money (JSON, "" for none).
-- uses: agent places ledger harm undoing tasks shadow
local name, revision, verdict = ARGV[1], ARGV[2], ARGV[3]
call("HDEL", TAIL, "") -- bills are settled in a full Redis too
if ARGV[5] ~= "" then ledger.settle_all(shadow.ledger_id(revision, name), cjson.decode(ARGV[5])) end
return shadow.tell(name, revision, verdict == "" and "putDown" or verdict, ARGV[4])
