-- Tasks that wait for a person: nobody's, in no queue, with an escalation that says for what.
-- T:esc:<id>          hash   an escalation; expires with its task
-- T:parked            zset   the tails of open escalations' ids, by the ms at which time decides
-- T:schema:<digest>   hash   json: a tool's schema, by which changed arguments are checked
-- T:approving         zset   sessions for which a call was approved, by the ms at which each is forgotten
-- In a session's hash approvals (JSON) says what was approved for further calls of it, newest last: it ends with the session, and
-- with its pin to a revision.
-- In a task's hash the status is Halted, which versions before know, and parked names the escalation.
local parking = {}

do
local DAY_SECONDS = 86400
local MOST_APPROVALS = 16 -- of a session, the newest
local APPROVING, MOST_APPROVING = T .. ":approving", 20000
local APPROVING_SECONDS = SESSION_MAX_SECONDS + SESSION_SECONDS + LONGEST_WAIT_SECONDS -- longer than any pin

local function tail_of(name) return string.match(name, "^[^.]+%.(.+)$") end

function parking.count() return tally("ZCARD", PARKED) end

-- A task's idempotency key lives as long as it waits, and so do those of the turns behind it in its session.
local function keep_keys(task, seconds)
  keep_idempotency(task, seconds)
  if task.sess == "" then return end
  for _, behind in ipairs(call("LRANGE", waiting_key(task.sess), 0, -1)) do
    local later = task_at(behind)
    if later then keep_idempotency(later, seconds) end
  end
end

-- While it waits as declared it is no sample. Where the model asks by itself, or by what it put into the call, its
-- revision has escalated: that is counted now, and the task's end is not a second sample of it.
local function count_wait(id, task, usage, asked)
  if paired(asked).planned ~= "0" or task.moved ~= "" or was_halted(task) then return row("m", id, task) end
  local cost = used(usage, "cost_micro_usd") + used(usage, "cache_saving_micro_usd")
  row("f", id, task, table.concat({"", ESCALATION, latency_of(task, usage), string.format("%.0f", cost)}, "|"))
end

-- Park a task that is in no queue. asked: fields of the escalation in pairs; since: when a person was asked first, where
-- Redis has lost that, ms. Answers the escalation's id.
function parking.park(id, task, claim, usage, seconds, schema, asked, since)
  local at = since or NOW
  local name = id .. "." .. call("HINCRBY", task_key(id), "asked", 1)
  local key, ends = escalation_key(name), at + seconds * 1000
  local of_task = call("HMGET", task_key(id), "tenant", "user", "session", "submitter")
  call("HSET", task_key(id), "status", "Halted", "claim", "", "parked", name, "putDownBy", claim, "parkedAt", at,
    "usage", usage, "suspects", 0, "deliveries", math.max(0, task.deliveries - 1))
  call("HDEL", task_key(id), "holder", "heldAt", "decision")
  call("DEL", key)
  call("HSET", key, "task", id, "status", "Open", "askedAt", at, "deadline", ends, "revision", task.revision,
    "tenant", of_task[1] or "", "user", of_task[2] or "", "session", of_task[3] or "", "submitter", of_task[4] or "",
    "preview", task.preview, "usage", usage, "schema", redis.sha1hex(schema), unpack(asked))
  local schema_key = T .. ":schema:" .. redis.sha1hex(schema)
  call("HSET", schema_key, "json", schema)
  call("EXPIRE", schema_key, LONGEST_WAIT_SECONDS + DAY_SECONDS)
  call("ZADD", PARKED, ends, tail_of(name))
  keep_keys(task, seconds)
  count_wait(id, task, usage, asked)
  event(id, "waiting", cjson.encode({escalation = name, tool = call("HGET", key, "tool"), deadlineMs = ends}))
  return name
end

-- The escalation and its task, where it still waits.
function parking.open(name)
  local known = hash_at(escalation_key(name))
  if not known or known.status ~= "Open" then return nil, known end
  local task = task_at(known.task)
  if task == nil or has_ended(task) or task.parked ~= name then return nil, known end
  return task, known
end

-- Take what no task waits for out of the index: a version before has ended it.
function parking.forget(name)
  call("ZREM", PARKED, tail_of(name))
  local known = call("HGET", escalation_key(name), "status")
  if known == "Open" then
    call("HSET", escalation_key(name), "status", "Void", "decidedAt", NOW)
    call("EXPIRE", escalation_key(name), ENDED_TASK_SECONDS)
  end
end

-- What each person has said, in order: who approves first is not forgotten when somebody else decides.
function parking.note(name, person, verdict, note)
  local key = escalation_key(name)
  local said = call("HGET", key, "notes")
  local one = cjson.encode({by = person, decision = verdict, note = note})
  call("HSET", key, "notes", said and string.sub(said, 1, -2) .. "," .. one .. "]" or "[" .. one .. "]")
end

-- Know that a session has approvals: who is erased is looked for in them. Of too many the oldest has none any more.
local function index_approvals(session)
  for _, gone_by in ipairs(call("ZRANGEBYSCORE", APPROVING, "-inf", whole(NOW), "LIMIT", 0, 100)) do
    call("ZREM", APPROVING, gone_by)
  end
  call("ZADD", APPROVING, whole(NOW + APPROVING_SECONDS * 1000), session)
  call("EXPIRE", APPROVING, APPROVING_SECONDS)
  if tally("ZCARD", APPROVING) <= MOST_APPROVING then return end
  local oldest = call("ZRANGE", APPROVING, 0, 0)[1]
  call("ZREM", APPROVING, oldest)
  call("HDEL", session_key(oldest), "approvals")
end

-- All who had to agree have approved a call for its session. What another hand has written in that place is forgotten.
local function remember(name, task, known, by)
  local key = session_key(task.sess)
  local is_json, kept = pcall(cjson.decode, call("HGET", key, "approvals") or "[]")
  if not is_json or type(kept) ~= "table" then kept = {} end
  kept[#kept + 1] = {escalation = name, by = by, revision = known.revision, user = known.user, memory = known.memory}
  while #kept > MOST_APPROVALS do table.remove(kept, 1) end
  call("HSET", key, "approvals", cjson.encode(kept))
  index_approvals(task.sess)
  call("HSET", escalation_key(name), "remembered", 1)
end

local STATUS = {Approve = "Approved", Deny = "Denied", Answer = "Answered"}

-- Decide, once, and hand the task on: to its own revision, or to the one that serves instead.
-- said: verdict, by (list), note, answer, changed, whether it holds for the session (remember), and in which life of the server a person has said it: what Redis has
-- lost before, that person has been asked about since.
function parking.decide(name, task, known, said)
  local id = known.task
  if foreign(task) then return finish(id, task, ENDINGS.deleted) end
  local decision = cjson.encode({
    escalation = name, step = tonumber(known.step), position = tonumber(known.position), digest = known.digest,
    verdict = said.verdict, by = table.concat(said.by, "\n"), note = said.note, answer = said.answer,
    changed = said.changed ~= "" and said.changed or known.proposed or "", approvers = known.approvers,
    signIn = known.signIn,
  })
  call("ZREM", PARKED, tail_of(name))
  call("HSET", escalation_key(name), "status", STATUS[said.verdict], "decidedAt", NOW, "decidedBy", table.concat(said.by, "\n"),
    "note", said.note, "answer", said.answer, "changed", said.changed)
  call("HINCRBY", task_key(id), "waitedMs", math.max(0, NOW - task.parkedAt))
  call("HSET", task_key(id), "status", SUSPENDED and "Halted" or "Queued", "decision", decision,
    "decidedLife", said.life or "")
  call("HDEL", task_key(id), "parked", "parkedAt")
  task.parked, task.parkedAt = "", 0
  if task.sess ~= "" then call("HSET", session_key(task.sess), "resumedAt", NOW) end
  if said.remember then remember(name, task, known, said.by) end -- before the task moves: it holds on no other revision
  event(id, "decided", cjson.encode({
    escalation = name, decision = said.verdict, by = said.by[1] or "", remember = said.remember and "Session" or nil,
  }))
  place(id, task)
  call("HSET", escalation_key(name), "decidedRevision", task.revision)
end

-- Time decides what nobody has decided. It approves nothing of which a part may be lost: nobody has looked at it.
-- life: as lost.span takes it.
function parking.lapse(name, life)
  local task, known = parking.open(name)
  if not task then return parking.forget(name) end
  local said = {verdict = known.onTimeout, by = {}, note = "", answer = "", changed = ""}
  if said.verdict == "Approve" and lost.span(tonumber(known.askedAt), life) ~= "" then
    said.verdict, said.note = "Deny", "it may have been made already: the store has lost what became of it"
  end
  parking.decide(name, task, known, said)
end

-- The ids of escalations whose time is over, at most so many.
function parking.overdue(limit)
  return call("ZRANGEBYSCORE", PARKED, "-inf", whole(NOW), "LIMIT", 0, limit)
end

end
