-- What a vendor lets all who come with one credential ask of a model in a minute, lent to workers for a second.
-- A bucket for each of requests, tokens of the input and of the output holds a minute's worth and fills evenly.
-- Where agents wait for more than there is, none is ahead of another one that waits by more than a second's worth.
-- Answers {1 when it is lent, ms until it is worth asking again, requests, input, output lent (with what was needed),
-- 1 when nothing is bounded, the limits that the vendor is known to have told, by how many tokens a call and a reply are
-- known to be billed beyond what is declared}. That is forgotten by half in a day.
-- KEYS: the pool. ARGV: agent, then in threes (requests, input, output): given back, needed now, wished besides,
-- declared limits (-1: none, 0: not bounded), limits that the vendor has told (0: nothing new); then what a bill had
-- beyond its bound, call and reply (0: nothing new).
if redis.replicate_commands then redis.replicate_commands() end
local call = redis.call
local POOL, agent = KEYS[1], ARGV[1]
local MINUTE, SECOND, WAITS, LONGEST, FORGOTTEN_SECONDS = 60000, 1 / 60, 1500, 1000, 3600
local DAY, WEEK_SECONDS = 86400000, 604800
local PLENTY = 1e12 -- of what is not bounded
local NAMES = {"requests", "input", "output"}

local clock = call("TIME")
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function three(from)
  return {tonumber(ARGV[from]), tonumber(ARGV[from + 1]), tonumber(ARGV[from + 2])}
end
local back, need, more, declared, told = three(2), three(5), three(8), three(11), three(14)

local kept, flat = {}, call("HGETALL", POOL)
for i = 1, #flat, 2 do kept[flat[i]] = flat[i + 1] end
local function number(name) return tonumber(kept[name] or "") end

local learned, limits, bounded = {}, {}, false
for i, name in ipairs(NAMES) do
  learned[i] = told[i] > 0 and told[i] or number("told:" .. name) or 0
  limits[i] = declared[i] >= 0 and declared[i] or learned[i]
  bounded = bounded or limits[i] > 0
end

local said = {"HSET", POOL}
local function text(value) return string.format("%.15g", value) end
local function keep(name, value)
  said[#said + 1], said[#said + 2] = name, text(value)
end
for i, name in ipairs(NAMES) do
  if told[i] > 0 then keep("told:" .. name, told[i]) end
end

-- The part of a minute that some calls take: of what is scarcest for them.
local function part(amounts)
  local most = 0
  for i, limit in ipairs(limits) do
    if limit > 0 then most = math.max(most, amounts[i] / limit) end
  end
  return most
end

-- What is there now. A clock that went back fills nothing.
local levels, passed = {}, math.max(0, NOW - (number("at") or NOW))
for i, name in ipairs(NAMES) do
  local level = number("level:" .. name) or limits[i]
  levels[i] = math.min(limits[i], level + passed * limits[i] / MINUTE + back[i])
end

-- How far each agent that waits has come, in parts of a minute; the least of them is the pool's own time.
local function least_of_others()
  local least
  for name, value in pairs(kept) do
    local other = string.match(name, "^waits:(.+)$")
    if other and tonumber(value) < NOW then
      call("HDEL", POOL, name, "come:" .. other)
    elseif other and other ~= agent then
      local come = number("come:" .. other) or 0
      if not least or come < least then least = come end
    end
  end
  return least
end

local lent, wait, granted = 1, 0, need
if bounded then
  local others = least_of_others()
  local time = number("time") or 0
  local come = math.max((number("come:" .. agent) or time) - part(back), time)
  for i, limit in ipairs(limits) do
    if limit > 0 then
      local missing = math.min(need[i], limit) - levels[i]
      if missing > 0 then wait = math.max(wait, missing * MINUTE / limit) end
    end
  end
  local ahead = others and come > others and come + part(need) > others + SECOND
  if wait > 0 or ahead then
    lent, granted = 0, {0, 0, 0}
    wait = math.min(LONGEST, math.max(20, wait, ahead and 100 or 0))
    keep("waits:" .. agent, NOW + WAITS)
  else
    -- What is wished besides, as far as it is there for all of it alike, and takes nobody's turn.
    local share = 1
    for i, limit in ipairs(limits) do
      if limit > 0 and more[i] > 0 then share = math.min(share, math.max(0, levels[i] - need[i]) / more[i]) end
    end
    local besides = part(more)
    if others and besides > 0 then
      share = math.min(share, math.max(0, others + SECOND - come - part(need)) / besides)
    end
    granted = {need[1] + math.floor(share * more[1]), need[2] + share * more[2], need[3] + share * more[3]}
    come = come + part(granted)
    call("HDEL", POOL, "waits:" .. agent)
  end
  keep("come:" .. agent, come)
  keep("time", math.max(time, math.min(come, others or come) - (others and 0 or SECOND)))
  for i, name in ipairs(NAMES) do
    if limits[i] > 0 then keep("level:" .. name, levels[i] - granted[i]) end
    if limits[i] == 0 and lent == 1 then granted[i] = PLENTY end
  end
  keep("at", NOW)
end

local raised, raises = {}, {tonumber(ARGV[17]), tonumber(ARGV[18])}
local kept_part = 0.5 ^ (math.max(0, NOW - (number("raised:at") or NOW)) / DAY)
for i = 1, 2 do raised[i] = (number("raised:" .. i) or 0) * kept_part end
if raises[1] > raised[1] or raises[2] > raised[2] then
  for i = 1, 2 do
    raised[i] = math.max(raised[i], raises[i])
    keep("raised:" .. i, raised[i])
  end
  keep("raised:at", NOW)
end
if #said > 2 then
  call(unpack(said))
  call("EXPIRE", POOL, raised[1] + raised[2] >= 1 and WEEK_SECONDS or FORGOTTEN_SECONDS)
end
return {
  lent, math.ceil(wait), text(granted[1]), text(granted[2]), text(granted[3]), bounded and 0 or 1,
  text(learned[1]), text(learned[2]), text(learned[3]), math.floor(raised[1] + 0.5), math.floor(raised[2] + 0.5),
}
