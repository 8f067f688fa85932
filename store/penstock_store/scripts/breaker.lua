-- One endpoint's breaker: how many outages its workers met in a row, and until when nobody asks it.
-- A worker tells what it has met since it last told, and hears how things stand: {outages in a row, 1 when
-- it is not closed, ms until it may be tried, 1 when the one who asks is the one to try, 1 when it opened now,
-- ms for which the endpoint has asked this account to wait}.
-- KEYS: the breaker. ARGV: outages met (0 or 1), ms since an answer (-1: none), 1 to ask for a try,
-- outages that open it, ms that they must last, ms that it stays open, ms for which one try keeps others out,
-- account, ms for which the endpoint has just asked it to wait, class of the outage (for people).
if redis.replicate_commands then redis.replicate_commands() end
local call = redis.call
local BREAKER = KEYS[1]
local met, answered, wants = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == "1"
local MOST, LASTING, OPEN, TRY = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local account, asked_to_wait = "wait:" .. ARGV[8], tonumber(ARGV[9])
local FORGOTTEN_SECONDS = 3600 -- without a word of anybody

local clock = call("TIME")
local NOW = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function number(text) return tonumber(text or "") or 0 end
local held = call("HMGET", BREAKER, "outages", "since", "until", "try", account)
local outages, since, open_until, try = number(held[1]), number(held[2]), number(held[3]), number(held[4])
-- A clock that went back makes nothing last longer.
since, open_until, try = math.min(since, NOW), math.min(open_until, NOW + OPEN), math.min(try, NOW + TRY)

-- An answer to anybody ends the row, also one that is told late: if it is younger than the row.
if answered >= 0 and outages > 0 and NOW - answered >= since then
  call("HDEL", BREAKER, "outages", "since", "until", "try")
  outages, since, open_until, try = 0, 0, 0, 0
end

-- What the endpoint asks of one it asks of all who come with the same account.
local waits_until = number(held[5])
if asked_to_wait > 0 and NOW + asked_to_wait > waits_until then
  waits_until = NOW + asked_to_wait
  call("HSET", BREAKER, account, string.format("%.0f", waits_until))
end

local opened = 0
local function open()
  open_until, try, opened = NOW + OPEN, 0, 1
end

if met > 0 and open_until == 0 then
  if outages == 0 then since = NOW end
  outages = outages + met
elseif met > 0 and open_until <= NOW then
  open() -- the one that was let through met it again
end
-- Others have a moment to tell of answers that they got meanwhile.
if open_until == 0 and outages >= MOST and NOW - since >= LASTING then open() end

local admitted = 0
if wants and open_until > 0 and open_until <= NOW and try <= NOW then
  try, admitted = NOW + TRY, 1
end

if met > 0 then call("HSET", BREAKER, "failed", ARGV[10], "failedAt", string.format("%.0f", NOW)) end
if met > 0 or opened > 0 or admitted > 0 then
  local text = function(value) return string.format("%.0f", value) end
  call("HSET", BREAKER, "outages", text(outages), "since", text(since), "until", text(open_until), "try", text(try))
end
if met > 0 or opened > 0 or admitted > 0 or asked_to_wait > 0 then
  call("EXPIRE", BREAKER, FORGOTTEN_SECONDS + math.ceil(OPEN / 1000))
end
local wait = open_until > NOW and open_until - NOW or math.max(0, try - NOW)
return {outages, open_until > 0 and 1 or 0, wait, admitted, opened, math.max(0, waits_until - NOW)}
