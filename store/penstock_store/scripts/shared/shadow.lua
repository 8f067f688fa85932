-- Copies of stable's tasks, on which a canary is tried unseen.
-- T:route shadow            JSON   canary, percent, changing: tools that no copy calls, kept: those of them that stable declares to
--                                  change nothing; "" for no copies
-- T:shadow:<revision>       list   names of copies that wait for it; who takes a name out runs that copy, or nobody does
-- T:shadow:copy:<name>      hash   one copy: what its task was told and did; once it runs, whose it is
-- T:shadow:copies           zset   names of copies that wait or run, by the ms at which each is forgotten
-- T:shadow:seen:<revision>  hash   how many copies were drawn, left out and why, and what became of them
-- T:shadow:found:<revision> list   the newest copies that went another way, JSON
-- A copy is in no queue, log or index of tasks: who does not know of copies never works on one. Its id in the ledger is
-- copy.<revision>.<name>, its name the last part of its task's id.
local shadow = {}

do
local SHADOW = T .. ":shadow:"
local COPIES = SHADOW .. "copies"
local COPY_SECONDS, KEPT_SECONDS = 3600, 3024000
local TELLING_SECONDS = 60 -- after its time a worker may still say how a copy went
local HEARD_SECONDS = 60 -- so long after it was out of the list, at the latest, a copy that lives is taken
local STATE = {"checkpoint", "whole", "pieces"}

function shadow.waiting_key(revision) return SHADOW .. revision end
function shadow.copy_key(name) return SHADOW .. "copy:" .. name end
function shadow.ledger_id(revision, name) return "copy." .. revision .. "." .. name end

function shadow.count(revision, what)
  local count = call("HINCRBY", SHADOW .. "seen:" .. revision, what, 1)
  call("EXPIRE", SHADOW .. "seen:" .. revision, KEPT_SECONDS)
  return count
end

-- What the route declares while its canary may take work; nil for nothing.
local function declared()
  if not route or (route.shadow or "") == "" then return nil end
  local is_json, said = pcall(cjson.decode, route.shadow)
  if not is_json or type(said) ~= "table" or type(said.canary) ~= "string" then return nil end
  return standing(said.canary) == "Open" and said or nil
end

-- Whether copies are made for a revision.
function shadow.is_for(revision)
  local said = declared()
  return not SUSPENDED and said ~= nil and said.canary == revision
end

local function is_drawn(said, id)
  local drawn = redis.sha1hex("shadow:" .. route.salt .. ":" .. id)
  return tonumber(string.sub(drawn, 1, 8), 16) % 100 < (tonumber(said.percent) or 0)
end

local function drop(name)
  call("ZREM", COPIES, name)
  call("DEL", shadow.copy_key(name))
end

-- A copy is out of the list and nobody runs it: who has heard of it takes it within its time, or has died.
local function hurry(name, ends)
  local latest = NOW + HEARD_SECONDS * 1000
  if tonumber(ends) > latest then call("ZADD", COPIES, whole(latest), name) end
end

-- How many copies of this canary wait or run. Those of another one are dropped: nobody runs them, and who does is not heard.
local function waiting(canary)
  for _, name in ipairs(call("ZRANGEBYSCORE", COPIES, "-inf", whole(NOW))) do drop(name) end
  local listed = {}
  for _, name in ipairs(call("LRANGE", shadow.waiting_key(canary), 0, -1)) do listed[name] = true end
  local known = call("ZRANGE", COPIES, 0, -1, "WITHSCORES")
  for i = 1, #known, 2 do
    local name, ends = known[i], known[i + 1]
    local copy = call("HMGET", shadow.copy_key(name), "canary", "status")
    if copy[1] ~= canary then
      drop(name)
    elseif copy[2] and not listed[name] then -- what runs has no status
      hurry(name, ends)
    end
  end
  return tally("ZCARD", COPIES)
end

-- Whether a copy may be written: said before the script's first write, after which Redis refuses none for want of memory.
-- The command changes nothing.
function shadow.has_memory()
  if not declared() then return false end
  local said = redis.pcall("ZADD", COPIES, "XX", 0, "")
  return not (type(said) == "table" and string.find(said.err or "", "OOM", 1, true))
end

-- What a copy needs of its task beside its saved conversation, and that; nil where it is too large.
local function content(id, task, history)
  local names = {"tenant", "user", "type", "input", unpack(STATE)}
  for i = 1, tonumber(call("HGET", task_key(id), "pieces") or "") or 0 do names[#names + 1] = "piece" .. i end
  local found, bytes, flat = call("HMGET", task_key(id), unpack(names)), #history, {"history", history}
  for i, name in ipairs(names) do
    local text = found[i] or ""
    bytes = bytes + #text
    if found[i] then flat[#flat + 1], flat[#flat + 2] = name, text end
  end
  return bytes <= COPY_BYTES and flat or nil
end

-- Stable's task is about to end, as a worker says: make a copy of it, where it is drawn. What is kept of its conversation goes
-- with its end, and so does what its session was told before it.
function shadow.draw(id, task, status)
  local said = declared()
  if not said or SUSPENDED or task.revision ~= route.stable or said.canary == route.stable then return end
  if task.moved ~= "" or was_halted(task) or not is_drawn(said, id) then return end
  if open_intents(id, task) ~= "" then return end -- what such a call brought nobody knows
  local canary, name = said.canary, string.match(id, "[^.]+$")
  if ledger.is_spent(shadow.ledger_id(canary, name)) then return shadow.count(canary, "capped") end
  if waiting(canary) >= COPIES_WAITING then return shadow.count(canary, "full") end
  local session = task.sess ~= "" and session_key(task.sess)
  local flat = content(id, task, session and call("HGET", session, "history") or "")
  if not flat then return shadow.count(canary, "tooLarge") end
  call("HSET", shadow.copy_key(name), "canary", canary, "status", status, "changing", cjson.encode(said.changing or {}),
    "kept", cjson.encode(said.kept or {}), unpack(flat))
  call("EXPIRE", shadow.copy_key(name), COPY_SECONDS)
  call("ZADD", COPIES, whole(NOW + COPY_SECONDS * 1000), name)
  call("LPUSH", shadow.waiting_key(canary), name)
  call("EXPIRE", shadow.waiting_key(canary), COPY_SECONDS)
  if shadow.count(canary, "drawn") == 1 then call("HSET", SHADOW .. "seen:" .. canary, "since", whole(NOW)) end
end

-- Who has taken a name out of the list runs the copy. What stays of it is whose it is: where that is gone when it ends, its
-- user was erased. Answers its fields, none where nobody is to run it.
function shadow.take(name, revision)
  local key = shadow.copy_key(name)
  local copy = call("HGETALL", key)
  call("DEL", key)
  if #copy == 0 then return {} end
  if not shadow.is_for(revision) or paired(copy).canary ~= revision then
    call("ZREM", COPIES, name)
    return {}
  end
  local known = paired(copy)
  local wall = tonumber(call("HGET", revision_key(revision), "wallSeconds") or "") or COPY_SECONDS
  call("HSET", key, "tenant", known.tenant or "", "user", known.user or "", "canary", revision)
  call("EXPIRE", key, wall + TELLING_SECONDS)
  call("ZADD", COPIES, whole(NOW + (wall + TELLING_SECONDS) * 1000), name)
  return copy
end

-- What a copy has shown; 0 where nobody wants to know any more.
function shadow.tell(name, revision, verdict, found)
  call("ZREM", COPIES, name)
  if call("DEL", shadow.copy_key(name)) == 0 then return 0 end
  shadow.count(revision, verdict)
  if found ~= "" then
    local list = SHADOW .. "found:" .. revision
    call("LPUSH", list, found)
    call("LTRIM", list, 0, COPIES_FOUND - 1)
    call("EXPIRE", list, KEPT_SECONDS)
  end
  return 1
end

end
