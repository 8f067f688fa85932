-- Erase a user of a tenant, one part of the effects and of the tasks at a time. What calls have done keeps digests, amount and
-- time, and loses who it was for and what is shown. Tasks that have ended go with their events and questions, and with
-- the sessions that are the user's alone, and so do answers of models that he asked for first, and approvals for his sessions. A task that has not ended stays.
-- Answers {effect to go on from ("": that was all), place in the index of tasks to go on from (-1), effects, tasks,
-- sessions, tasks that have not ended, answers}.
-- KEYS: tag, route, outcomes, index of the newest tasks, the tenant's sessions.
-- ARGV: tenant, user, the tenant as its sessions' keys have it, what each id begins with, effect after which this part begins
--       ("" at the beginning), place in the index (-1: none), most of each that is read.
-- uses: agent
local tenant, user, quoted, prefix = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local after, place, most = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local EFFECTS, OPEN = T .. ":effects", T .. ":effects:open"
call("HDEL", TAIL, "") -- changes nothing, but lets the script write on in a full Redis

-- The entry without the person; it is the newest from now on, and tells when it was. Whether it is the last word of its
-- call: that a call was intended is another entry of the same effect, once it is known what became of it.
local function erased(entry, known)
  local said = cjson.decode(known.said)
  said.shown, said.undo = {}, nil
  local id = call("XADD", EFFECTS, "*", "task", known.task, "tenant", tenant, "user", "", "revision", known.revision,
    "at", known.at or string.match(entry, "^%d+"), "said", cjson.encode(said))
  call("XDEL", EFFECTS, entry)
  local name = table.concat({known.task, said.step, said.position}, ".")
  local is_open = call("HGET", OPEN, name) == entry
  if is_open then call("HSET", OPEN, name, id) end
  return is_open or said.state ~= "Intended"
end

local function is_of(known) return known.tenant == tenant and known.user == user and known.said ~= nil end

local function erase_effects()
  local entries = call("XRANGE", EFFECTS, after == "" and "-" or "(" .. after, "+", "COUNT", most)
  local count = 0
  for _, entry in ipairs(entries) do
    local known = paired(entry[2])
    if is_of(known) and erased(entry[1], known) then count = count + 1 end
  end
  return count, #entries < most and "" or entries[#entries][1]
end

local function erase_session(session)
  local part = quoted .. ":" .. session
  local key = session_key(part)
  local known = call("HMGET", key, "user", "active", "revision", "shared")
  if known[1] ~= user or known[2] or known[4] == "1" then return 0 end
  call("ZREM", KEYS[5], part)
  if known[3] then call("ZREM", pins_key(known[3]), part) end
  return call("DEL", key)
end

local function erase_task(id)
  local number = 1
  while call("DEL", escalation_key(id .. "." .. number)) > 0 do number = number + 1 end
  call("DEL", task_key(id), events_key(id))
end

local GOING_ON = {Queued = true, Running = true, Halted = true}

local function erase_tasks()
  local tasks, sessions, open = 0, 0, 0
  local parts = place < 0 and {} or call("LRANGE", KEYS[4], place, place + most - 1)
  for _, part in ipairs(parts) do
    local id = prefix .. part
    local known = redis.pcall("HMGET", task_key(id), "tenant", "user", "status", "session")
    if not known.err and known[1] == tenant and known[2] == user then
      if GOING_ON[known[3]] then
        open = open + 1
      else
        erase_task(id)
        tasks = tasks + 1
        if (known[4] or "") ~= "" then sessions = sessions + erase_session(known[4]) end
      end
    end
  end
  return #parts < most and -1 or place + most, tasks, sessions, open
end

-- All of them in the first part: their number is bounded, and each takes one look.
local function erase_answers()
  local ANSWERS, count = T .. ":answers", 0
  if after ~= "" or place ~= 0 then return 0 end
  for _, digest in ipairs(call("ZRANGE", ANSWERS, 0, -1)) do
    local key = T .. ":answer:" .. digest
    local known = call("HMGET", key, "tenant", "user")
    if known[1] == tenant and known[2] == user then
      call("ZREM", ANSWERS, digest)
      count = count + call("DEL", key)
    end
  end
  return count
end

-- The task of a session that a worker may hold with what was approved on this user's calls: it is put down, and claimed
-- again without that.
local function withdraw(session)
  local id = call("HGET", session_key(session), "active")
  local known = id and call("HMGET", task_key(id), "user", "status")
  if known and known[1] == user and GOING_ON[known[2]] then call("HSET", task_key(id), "withdrawnAt", NOW) end
end

-- What was approved for sessions on the user's calls, also for one that is shared, or goes on.
local function erase_approvals()
  if after ~= "" or place ~= 0 then return end
  for _, session in ipairs(call("ZRANGE", T .. ":approving", 0, -1)) do
    local key, left = session_key(session), {}
    local said = string.sub(session, 1, #quoted + 1) == quoted .. ":" and call("HGET", key, "approvals")
    local is_json, kept = pcall(cjson.decode, said or "[]")
    for _, one in ipairs(is_json and type(kept) == "table" and kept or {}) do
      if type(one) ~= "table" or one.user ~= user then left[#left + 1] = one end
    end
    if said then withdraw(session) end
    if said and #left == 0 then call("HDEL", key, "approvals") end
    if said and #left > 0 then call("HSET", key, "approvals", cjson.encode(left)) end
  end
end

-- Copies of the user's tasks: one that runs ends unheard.
local function erase_copies()
  if after ~= "" or place ~= 0 then return end
  for _, name in ipairs(call("ZRANGE", T .. ":shadow:copies", 0, -1)) do
    local key = T .. ":shadow:copy:" .. name
    local known = call("HMGET", key, "tenant", "user")
    if known[1] == tenant and known[2] == user then call("DEL", key) end
  end
end

local answers = erase_answers()
erase_copies()
erase_approvals()
local effects, following = 0, ""
if after ~= "-" then effects, following = erase_effects() end
local going_on, tasks, sessions, open = erase_tasks()
return {following, going_on, effects, tasks, sessions, open, answers}
