-- One page of what an agent's calls have done, oldest first; before all others those of which nobody knows whether
-- they were made. It changes nothing.
-- Answers {id to go on from ("" at the end), unknown ones, known ones}; each is {id of the entry, its
-- fields in pairs}.
-- KEYS: tag, route, outcomes.
-- ARGV: id after which the page begins ("" at the beginning, with ? of an unknown one), most read, most found, tenant, user, revision, the last
--       part of a task's id (each "": whichever).
-- unguarded: it reads
-- uses: agent
local after, most_read, most_found = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local wanted = {tenant = ARGV[4], user = ARGV[5], revision = ARGV[6], task = ARGV[7]}
local EFFECTS, OPEN = T .. ":effects", T .. ":effects:open"

local function is_wanted(fields)
  local known = paired(fields)
  for name, text in pairs(wanted) do
    if text ~= "" and known[name] ~= text then return false end
  end
  return true
end

local function is_intent(fields)
  local is_json, said = pcall(cjson.decode, paired(fields).said or "")
  return not is_json or type(said) ~= "table" or said.state == "Intended"
end

local function is_before(one, other)
  local ms, number = string.match(one, "(%d+)-(%d+)")
  local other_ms, other_number = string.match(other, "(%d+)-(%d+)")
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(number) < tonumber(other_number)
end

-- Unknown ones after an entry, oldest first, and the entry to go on from, "" at the end.
local function unknown(from)
  local found, left = {}, {}
  local open = call("HGETALL", OPEN)
  for i = 2, #open, 2 do
    if from == "" or is_before(from, open[i]) then left[#left + 1] = open[i] end
  end
  table.sort(left, is_before)
  for i, id in ipairs(left) do
    local entry = call("XRANGE", EFFECTS, id, id)[1]
    if entry and is_wanted(entry[2]) then found[#found + 1] = {entry[1], entry[2]} end
    if i >= most_read then return found, i < #left and id or "" end
  end
  return found, ""
end

local still_unknown, doubtful = string.match(after, "^%?(.*)$"), {}
if after == "" or still_unknown then
  local last
  doubtful, last = unknown(still_unknown or "")
  if last ~= "" then return {"?" .. last, doubtful, {}} end
  after = ""
end

local entries = call("XRANGE", EFFECTS, after == "" and "-" or "(" .. after, "+", "COUNT", most_read)
local found, last = {}, ""
for _, entry in ipairs(entries) do
  if #found >= most_found then break end
  last = entry[1]
  if not is_intent(entry[2]) and is_wanted(entry[2]) then found[#found + 1] = {entry[1], entry[2]} end
end
local is_end = #entries < most_read and (#entries == 0 or last == entries[#entries][1])
return {is_end and "" or last, doubtful, found}
