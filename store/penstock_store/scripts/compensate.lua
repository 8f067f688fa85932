-- Make the task that undoes a call, on the stable revision, once.
-- Answers {"asked"}; {"changed"} where somebody else was first; else what is in the way: {"no-route"}, {"agent-suspended"},
-- {"serves"} (the call is stable's own, or that of a canary that serves), {"older-workers"}, {"queue-full", most}.
-- KEYS: tag, route, outcomes, task, events.
-- ARGV: id of the task, the call (see shared/effects.lua), what stands of its compensation now ("": nothing) and then, the call's revision,
--       the protocol that workers must keep, 1 to change nothing, the version of the task, then its fields in pairs.
-- uses: agent places ledger harm undoing tasks
local id, undone, before, after, revision = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

if undoing.known(undone) ~= before then return {"changed"} end
local there = task_at(id)
if there and not has_ended(there) then return {"changed"} end
if route == nil or route.stable == "" or gone(route.stable) then return {"no-route"} end
if SUSPENDED then return {"agent-suspended"} end
if is_given(revision) then return {"serves"} end
local spoken = string.match(call("HGET", revision_key(route.stable), "protocol") or "", "^%d+ (%d+)$")
if tonumber(spoken or 0) < tonumber(ARGV[6]) then return {"older-workers"} end
local most_queued = tonumber(route.maxQueued or "") or 0
if most_queued <= 0 then most_queued = QUEUED_TASKS end
if call("XLEN", queue_key(route.stable, "Batch")) >= most_queued then return {"queue-full", most_queued} end

if ARGV[7] == "1" then return {"asked"} end

-- From here on nothing is refused. It is a sample of no revision: its row begins with none, and it has moved.
local task = {
  uid = route.uid, revision = route.stable, lane = "Batch", arm = "S", bucket = 0, sess = "", routeVersion = route.version,
  beginVersion = 0,
}
call("DEL", KEYS[4], KEYS[5]) -- one that has ended, with what it asked of people
local question = 1
while call("DEL", escalation_key(id .. "." .. question)) > 0 do question = question + 1 end
call("HSET", KEYS[4], "uid", task.uid, "revision", task.revision, "status", "Queued", "lane", task.lane,
  "arm", task.arm, "bucket", task.bucket, "sess", "", "routeVersion", task.routeVersion, "beginVersion", 0, "createdAt", NOW,
  "startedAt", 0, "deliveries", 0, "entry", "", "moved", 1, "idem", "", "v", ARGV[8], "undoneOf", revision, unpack(ARGV, 9))
-- Redis knows of one before it under this id, so that is over. Without a trace of one, it may have lost it together with
-- its claim: the worker that has that goes on with this one.
if there or string.match(before, "^%S+ (%S+)") == string.match(id, "[^.]+$") then call("HSET", KEYS[4], "remadeAt", NOW) end
undoing.asked(undone, revision, before, after)
call("LPUSH", RECENT, string.match(id, "[^.]+$"))
call("LTRIM", RECENT, 0, RECENT_TASKS - 1)
event(id, "queued", cjson.encode({revision = task.revision}))
row("r", id, task)
enqueue(id, task)
return {"asked"}
