-- Route, pin, store and queue a task in one step.
-- Answers {"new" | "old", task, revision, arm, routeVersion, status, createdAt}, or {problem, detail…}; of a new one
-- last what it is over that refuses nothing: "reported" or "escalated" (a budget that hands tasks to people) and whose, "user",
-- "tenant" or "agent"; "" for nothing.
-- KEYS: tag, route, outcomes, task, events, idempotency, session, waiting, the tenant's sessions (the last four are
--       the tag where there is none).
-- ARGV: id, digest, idempotent (1 or 0), sess, user, session, lane, inputChars, tenant, shared session (1 or 0),
--       the end of the idempotency key's name, the revision of a preview ("": it is none) and the protocol that its workers must keep,
--       then further fields of the task in pairs.
-- A preview is a task on a revision that a person has chosen, whoever serves by now. It stays there, and is a sample of nobody.
-- uses: agent places ledger harm undoing tasks
local TASK, IDEMPOTENCY, SESSION, WAITING, SESSIONS = KEYS[4], KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local id, digest, idempotent, sess = ARGV[1], ARGV[2], ARGV[3] == "1", ARGV[4]
local user, session, lane, input_chars, tenant = ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local shared, idem, preview = ARGV[10], ARGV[11], ARGV[12]

local HEARD_MS = 60000 -- workers say with each heartbeat what they keep

local function stored(existing)
  local known = call("HMGET", task_key(existing), "revision", "arm", "routeVersion", "status", "createdAt")
  return {"old", existing, unpack(known)}
end

if route == nil or (route.stable == "" and not ALONE) then return {"no-route"} end
if call("EXISTS", TASK) == 1 then return stored(id) end -- the same call once more
if idempotent then
  local before = call("HMGET", IDEMPOTENCY, "task", "digest")
  if before[1] and call("HGET", task_key(before[1]), "uid") == route.uid then
    if before[2] ~= digest then return {"idempotency-key-reused"} end
    return stored(before[1])
  end
end
if SUSPENDED then return {"agent-suspended"} end

-- Why a revision takes no preview, nil where it does; and how one that takes no work may come back, as far as it is known.
local function takes_no_preview(revision)
  local known = call("HMGET", revision_key(revision), "standing", "protocol", "wayBack")
  if not known[1] or known[1] == "Closed" then return "closed", known[3] end
  if known[1] == "Rejected" then return "rejected", known[3] end
  if harm.is_over(revision) then return "bounded" end
  local at, number = string.match(known[2] or "", "^(%d+) (%d+)$")
  if not at or NOW - tonumber(at) >= HEARD_MS then return "no-workers" end
  if tonumber(number) < tonumber(ARGV[13]) then return "older-workers" end
end

if preview ~= "" then
  local why, way_back = takes_no_preview(preview)
  if why then return {"preview-unavailable", preview, why, way_back or ""} end
end

-- What is hashed to a side: the unit's own key, falling back to user, session, task.
local function unit_key()
  if route.unit == "User" and user ~= "" then return user end
  if (route.unit == "User" or route.unit == "Session") and session ~= "" then return session end
  return id
end

local most_queued = tonumber(route.maxQueued or "") or 0
if most_queued <= 0 then most_queued = QUEUED_TASKS end
local unit = unit_key()
local bucket = tonumber(string.sub(redis.sha1hex(route.salt .. ":" .. unit), 1, 8), 16) % 100

-- The session's pin, nil when it has none that still holds.
local function pinned()
  if sess == "" then return nil end
  local pin = call("HMGET", SESSION, "uid", "revision", "arm", "beginVersion", "pinnedAt", "active")
  if pin[1] ~= route.uid then return nil end
  if NOW - pin[5] > SESSION_MAX_SECONDS * 1000 and not pin[6] then return nil, pin[2] end
  return {revision = pin[2], arm = pin[3], begin = pin[4], active = pin[6]}
end

-- The number of the ring that the user or the tenant is in, nil where none of them was chosen.
local function ring_number()
  if not has_rings() then return nil end
  local function member(kind, name)
    return string.sub(redis.sha1hex(route.salt .. ":" .. kind .. ":" .. name), 1, RING_DIGITS)
  end
  local found = call("HMGET", RINGS, member("user", user), member("tenant", tenant))
  if not (found[1] or found[2]) then return nil end
  for number = FIRST_RING, FIRST_RING + MOST_RINGS - 1 do -- another hand may have written any other
    local said = tostring(number)
    if found[1] == said or found[2] == said then return number end
  end
end
local ring = ring_number()

local function fresh()
  if ring then return {revision = route.candidate, arm = "C", begin = "0"} end
  if route.candidate ~= "" and bucket < tonumber(route.percent) then
    return {revision = route.candidate, arm = "C", begin = route.version}
  end
  return {revision = route.stable, arm = "S", begin = route.version}
end

-- The task that runs in the session, nil when none does. One whose hash another hand has overwritten is gone, and
-- those behind it would wait for ever.
local function active_in(session_of_pin)
  local active = session_of_pin and session_of_pin.active
  local task = active and task_at(active)
  if not active or (task and not has_ended(task)) then return active end
  follow(active, {sess = sess})
  return call("HGET", SESSION, "active")
end

local pin, former = pinned()
if pin then pin.active = active_in(pin) end
local new_pin = pin == nil
if preview ~= "" then
  local of = pin and pin.revision or former or preview
  if of ~= preview then return {"session-of-another-revision", of} end
  pin = pin or {revision = preview, begin = "0"}
end
pin = pin or fresh()
former = former or pin.revision
local to = preview ~= "" and preview or serving(pin.revision)
if preview == "" and harm.is_over(to) and not gone(route.stable) then to = route.stable end
if ALONE and gone(to) then to = fresh().revision end
if ALONE and preview == "" and (gone(to) or harm.is_over(to)) then -- nobody is given to it, or it is off
  call("HSET", revision_key(route.candidate), "turnedAwayAt", NOW)
  return {"not-assigned"}
end
local moved = to ~= pin.revision
if moved then pin.revision, pin.arm, pin.begin = to, "S", "0" end
pin.arm = pin.arm or "S"
if pin.revision == route.candidate then pin.arm = "C" end
if pin.revision == route.stable then pin.arm = "S" end
if ring and pin.arm == "C" then bucket = ring end
-- Chosen, not drawn: no sample of the comparison, on either arm. What a session that others share began with stays.
local begin = (preview ~= "" or ring) and "0" or pin.begin

local longest = tonumber(call("HGET", revision_key(pin.revision), "inputChars") or input_chars)
if input_chars > longest then return {"input-too-long", longest} end

-- Tasks that wait for a worker. What workers hold stands in the same lanes and is counted only where it matters.
local function queued()
  local all, claimed = 0, 0
  local function count(revision)
    for _, name in ipairs(LANES) do all = all + call("XLEN", queue_key(revision, name)) end
  end
  local function count_claimed(revision)
    for _, name in ipairs(LANES) do
      local group = group_of(queue_key(revision, name))
      claimed = claimed + (group and group.pending or 0)
    end
  end
  local function of_each(counted)
    counted(route.stable)
    if route.candidate ~= "" then counted(route.candidate) end
    if preview ~= "" and preview ~= route.stable and preview ~= route.candidate then counted(preview) end
  end
  of_each(count)
  if all < most_queued then return all end
  of_each(count_claimed)
  return all - claimed
end

-- Whose a session is: of the user with whom it began, unless it began without one or was declared shared. One
-- of the version before takes its next user.
local function belongs_to_another()
  if sess == "" or call("HGET", SESSION, "uid") ~= route.uid then return false end
  local known = call("HMGET", SESSION, "user", "shared")
  return known[1] and known[1] ~= "" and known[2] ~= "1" and known[1] ~= user
end

local function too_many_sessions()
  if sess == "" or not new_pin then return false end
  tally("ZREMRANGEBYSCORE", SESSIONS, "-inf", NOW)
  return tally("ZCARD", SESSIONS) >= SESSIONS_PER_TENANT
end

-- Tasks of this minute by user and tenant; those without a user share one of their tenant.
local per_user, per_tenant, enforced = string.match(route.rates or "", "^(%d+) (%d+) (%d)$")
local rates = per_user and T .. ":rates:" .. math.floor(NOW / 60000)
local of_user, of_tenant = "u" .. redis.sha1hex(tenant .. "\n" .. user), "t" .. redis.sha1hex(tenant)

-- Whose rate one more task is over, and the rate; "" where it is over none.
local function over_rate()
  if not rates then return "" end
  local made = call("HMGET", rates, of_user, of_tenant)
  local function reached(most, count) return tonumber(most) > 0 and (tonumber(count or "") or 0) >= tonumber(most) end
  if reached(per_user, made[1]) then return "user", per_user end
  if reached(per_tenant, made[2]) then return "tenant", per_tenant end
  return ""
end

local over, most_a_minute = over_rate()

if belongs_to_another() then return {"session-of-another-user"} end
if over ~= "" and enforced == "1" then return {"rate-exceeded", over, most_a_minute, 60000 - NOW % 60000} end
local used_up, follows = ledger.used_up(tenant, user)
if follows == "refused" then return {"budget-exceeded", used_up[1], used_up[2], math.max(0, used_up[3] - NOW)} end
if over ~= "" then over = "reported " .. over end
if used_up and (over == "" or follows == "escalated") then over = follows .. " " .. used_up[4] end
if queued() >= most_queued then return {"queue-full", most_queued} end
if too_many_sessions() then return {"too-many-sessions", SESSIONS_PER_TENANT} end
if pin.active then
  local waiting = call("RPUSH", WAITING, id)
  if waiting > WAITING_PER_SESSION then
    call("LREM", WAITING, -1, id)
    return {"session-queue-full", WAITING_PER_SESSION}
  end
  call("ZADD", WAITS, waiting, sess)
end

-- From here on nothing is refused.
local task = {
  uid = route.uid, revision = pin.revision, lane = lane, arm = pin.arm, bucket = bucket, sess = sess,
  routeVersion = route.version, beginVersion = begin, preview = preview ~= "" and "1" or "",
}
call("HSET", TASK, "uid", task.uid, "revision", task.revision, "status", "Queued", "lane", lane,
  "arm", task.arm, "bucket", bucket, "sess", sess, "routeVersion", task.routeVersion,
  "beginVersion", task.beginVersion, "createdAt", NOW, "startedAt", 0, "deliveries", 0, "entry", "",
  "v", TASK_VERSION, "idem", idem, unpack(ARGV, 14))
-- Who does not know of previews leaves out what has moved.
if preview ~= "" then call("HSET", TASK, "preview", "1", "moved", 1) end
if idempotent then
  call("HSET", IDEMPOTENCY, "task", id, "digest", digest)
  local before = pin.active and task_at(pin.active)
  local person_waits = before and before.parked ~= ""
  keep_idempotency({idem = idem, revision = task.revision}, person_waits and LONGEST_WAIT_SECONDS or 0)
end
if rates then
  call("HINCRBY", rates, of_user, 1)
  call("HINCRBY", rates, of_tenant, 1)
  call("EXPIRE", rates, 120)
end
call("LPUSH", RECENT, string.match(id, "[^.]+$"))
call("LTRIM", RECENT, 0, RECENT_TASKS - 1)
event(id, "queued", cjson.encode({revision = task.revision, preview = preview ~= "" or nil}))
if sess ~= "" and former ~= task.revision then
  event(id, "moved", cjson.encode({reason = "SessionMoved", from = former, to = task.revision}))
end
row("r", id, task)
if preview == "" then
  call("HINCRBY", revision_key(task.revision), "tasks", 1)
  call("PFADD", users_key(task.revision), tenant .. ":" .. unit)
end

local function pin_session()
  if new_pin and call("HGET", SESSION, "uid") ~= route.uid then
    call("DEL", SESSION)
    call("HSET", SESSION, "user", user, "shared", shared)
  end
  if new_pin then call("HSET", SESSION, "uid", route.uid, "pinnedAt", NOW) end
  if not call("HGET", SESSION, "user") then call("HSET", SESSION, "user", user, "shared", shared) end
  call("ZADD", SESSIONS, NOW + SESSION_SECONDS * 1000, sess)
  call("EXPIRE", SESSIONS, SESSION_MAX_SECONDS + SESSION_SECONDS)
  call("HSET", SESSION, "revision", task.revision, "arm", task.arm, "beginVersion", pin.begin)
  call("PERSIST", SESSION)
  if former ~= task.revision then call("ZREM", pins_key(former), sess) end
  if new_pin or former ~= task.revision then call("HDEL", SESSION, "approvals") end
  pin_until(sess, task.revision, NOW + SESSION_SECONDS * 1000)
end

if sess ~= "" then pin_session() end
if not pin.active then
  if sess ~= "" then call("HSET", SESSION, "active", id) end
  enqueue(id, task)
end
return {"new", id, task.revision, task.arm, task.routeVersion, "Queued", NOW, over}
