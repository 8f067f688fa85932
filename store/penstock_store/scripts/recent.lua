-- One page of an agent's newest tasks, newest first. It changes nothing, and reads a bounded number of keys.
-- Answers {place to go on from or -1, digest of the last part that was read, unreadable, how many parts were read,
-- {last part of the id, the fields' values…} of each that was found}.
-- KEYS: tag, route, outcomes, index of the newest tasks.
-- ARGV: place in the index, digest of the part there (what is newer stands before it by now; "" at the beginning),
--       most parts read, most tasks found, most bytes of a field, what is looked for (JSON), then names of fields.
-- unguarded: it reads
local TAG, INDEX = KEYS[1], KEYS[4]
local place, digest = tonumber(ARGV[1]), ARGV[2]
local most_read, most_found, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted = cjson.decode(ARGV[6])
local FIELDS = {unpack(ARGV, 7)}
local CLOCK_STEP_MS = 60000 -- by so much the clock of Redis may have stepped back, after a failover

local clock = redis.call("TIME")
local since = tonumber(wanted.since)
if wanted.ago then since = clock[1] * 1000 + math.floor(clock[2] / 1000) - wanted.ago end

-- The values of a task's fields, nil where another hand has put what is no hash.
local function values_of(part, names)
  local values = redis.pcall("HMGET", TAG .. ":task:" .. wanted.prefix .. part, unpack(names))
  if not values.err then return values end
end

local LOOKED_AT = {"tenant", "status", "revision", "reason", "user", "createdAt", "parked"}

-- Whether one of the texts that are looked for is this one; none are looked for: any.
local function among(texts, text)
  if #texts == 0 then return true end
  for _, each in ipairs(texts) do
    if each == text then return true end
  end
  return false
end

local function is_wanted(tenant, status, revision, reason, user, created)
  if wanted.tenant and tenant ~= wanted.tenant then return false end
  if wanted.revision ~= "" and revision ~= wanted.revision then return false end
  if wanted.user ~= "" and user ~= wanted.user then return false end
  if created and created < since then return false end
  return among(wanted.statuses, status) and among(wanted.reasons, reason or "")
end

-- A text cut to its bound, and not within a character.
local function cut(text)
  if #text <= most_bytes then return text end
  return (string.gsub(string.sub(text, 1, most_bytes), "[\192-\255][\128-\191]*$", ""))
end

-- What is answered of a task, nil where a field is larger than any that Penstock writes.
local function shown(part)
  local values = values_of(part, FIELDS)
  for i, name in ipairs(FIELDS) do
    if values[i] and name == "message" then values[i] = cut(values[i]) end
    if values[i] and #values[i] > most_bytes then return nil end
  end
  return {part, unpack(values, 1, #FIELDS)}
end

local parts = redis.call("LRANGE", INDEX, place, place + most_read - 1)
local is_last = #parts < most_read

local first = 1
if digest ~= "" then
  while first <= #parts and redis.sha1hex(parts[first]) ~= digest do first = first + 1 end
  if first > #parts then -- it stands further back, or was taken out with all that is older
    return {is_last and -1 or place + #parts, digest, 0, #parts, {}}
  end
  first = first + 1
end

local found, unreadable, over, at = {}, 0, false, first
while at <= #parts and #found < most_found and not over do
  local known = values_of(parts[at], LOOKED_AT)
  if not known then
    if not wanted.tenant then unreadable = unreadable + 1 end
  elseif known[1] or known[2] then
    local created = tonumber(known[6] or "")
    over = created ~= nil and created < since - CLOCK_STEP_MS
    local status = known[7] and known[2] == "Halted" and "WaitingForApproval" or known[2]
    if is_wanted(known[1], status, known[3], known[4], known[5], created) then
      local task = shown(parts[at])
      if task then found[#found + 1] = task else unreadable = unreadable + 1 end
    end
  end
  at = at + 1
end

local is_end = over or (is_last and at > #parts)
if is_end or at == 1 then return {is_end and -1 or place, digest, unreadable, #parts, found} end
return {place + at - 2, redis.sha1hex(parts[at - 1]), unreadable, #parts, found}
