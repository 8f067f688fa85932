-- One page of what an agent's calls have done, oldest first; before the first page, all of which nobody knows whether
-- they were made. It changes nothing, and reads a bounded number of keys.
-- Answers {id to go on from ("" at the end), unknown ones, known ones}; each is {id of the entry, its
-- fields in pairs}.
-- KEYS: tag, route, outcomes.
-- ARGV: id after which the page begins ("" at the beginning), most read, most found, tenant, user, revision, the last
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

local function unknown()
  local found = {}
  local open = call("HGETALL", OPEN)
  for i = 2, #open, 2 do
    if #found >= most_read then break end
    local entry = call("XRANGE", EFFECTS, open[i], open[i])[1]
    if entry and is_wanted(entry[2]) then found[#found + 1] = {entry[1], entry[2]} end
  end
  return found
end

local entries = call("XRANGE", EFFECTS, after == "" and "-" or "(" .. after, "+", "COUNT", most_read)
local found, last = {}, ""
for _, entry in ipairs(entries) do
  if #found >= most_found then break end
  last = entry[1]
  if not is_intent(entry[2]) and is_wanted(entry[2]) then found[#found + 1] = {entry[1], entry[2]} end
end
local is_end = #entries < most_read and (#entries == 0 or last == entries[#entries][1])
return {is_end and "" or last, after == "" and unknown() or {}, found}
