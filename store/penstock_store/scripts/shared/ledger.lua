-- The ledger: what model calls have spent of an agent's budget, and what calls that run hold of it.
-- T:call:<id>         hash   one call: its quote, what it holds and where, its state
-- T:open              zset   calls that hold something, by the ms at which they do no longer
-- T:line:<place>      zset   calls that wait for others to settle, in order (microseconds)
-- T:refusals          hash   how often each limit has refused, or would have
-- T:marks             hash   how many users' and tenants' windows have passed each mark of a limit
-- A call is waiting, open, settled by its bill, or
-- unsettled: then it counts what it held, until its bill comes.
local ledger = {}

do
local BUDGET, OPEN, REFUSALS, MARKS = T .. ":budget", T .. ":open", T .. ":refusals", T .. ":marks"
local MILLION = 1000000
local CALL_SECONDS, BELL_SECONDS = 86400, 60
local SETTLED_SECONDS = 1800 -- how long a call is known that was settled, so that twice counts once
local MOST_WOKEN, MOST_SWEPT = 64, 50
local CAP_OF_COPIES = "shadow:total:micro_usd"

local function call_key(id) return T .. ":call:" .. id end
local function line_key(place) return T .. ":line:" .. place end

local function reply_cost(quote, tokens) return math.ceil(tokens * quote.rate / MILLION) end

-- The longest reply for which so much of a unit is enough; negative where the call does not fit at all.
local function longest(quote, unit, left)
  if unit == "tokens" then return math.min(quote.reply, left - quote.tokens) end
  local room = left - quote.micro_usd
  if room < 0 then return -1 end
  if reply_cost(quote, quote.reply) <= room then return quote.reply end
  local tokens = math.floor(room * MILLION / quote.rate)
  while tokens > 0 and reply_cost(quote, tokens) > room do tokens = tokens - 1 end
  return tokens
end

-- A canary's reply is not asked shorter for want of its own allowance: stable answers that task in full. Nor is that of a
-- copy, which would be judged by it.
local WHOLE = {canary = true, shadow = true}
local function whole_or_none(reply, quote) return reply < quote.reply and -1 or reply end

-- What the limits leave: the longest reply by what is settled, and by what is held as well, and which limit says so.
local function room_in(where, quote)
  local spent, held = {reply = quote.reply}, {reply = quote.reply}
  for _, place in ipairs(where) do
    places.read(place)
    for _, unit in ipairs(places.units) do
      if place.most[unit] then
        local left = place.most[unit] - place.settled[unit]
        local by_spent, by_held = longest(quote, unit, left), longest(quote, unit, left - place.held[unit])
        if WHOLE[place.scope] then by_spent, by_held = whole_or_none(by_spent, quote), whole_or_none(by_held, quote) end
        if by_spent < spent.reply then spent = {reply = by_spent, place = place, unit = unit} end
        if by_held < held.reply then held = {reply = by_held, place = place, unit = unit} end
      end
    end
  end
  return spent, held
end

local function limit_text(found)
  if not found.place then return "" end
  return table.concat({found.place.scope, found.place.window, found.unit, whole(found.place.most[found.unit])}, ":")
end

-- limit: as limit_text says it; the most it allows is not counted by.
local function count_refusal(limit)
  call("HINCRBY", REFUSALS, string.match(limit, "^(.*):"), 1)
end

local function refused(budget, found, too_many_users)
  local place = found.place
  return {
    "refused", limit_text(found), place.settled[found.unit], place.held[found.unit], place.ends, too_many_users and 1 or 0,
    place.scope ~= "shadow" and budget.exceeded or "",
  }
end

-- Who waits longest at a place and still does; nil when nobody does.
local function head_of(place)
  local line = line_key(place)
  while true do
    local id = call("ZRANGE", line, 0, 0)[1]
    if not id then
      call("HDEL", places.key(place), "w")
      return nil
    end
    local found = call("HMGET", call_key(id), "state", "until")
    if found[1] == "waiting" and tonumber(found[2]) >= NOW then return id end
    call("ZREM", line, id)
  end
end

-- The limited place at which somebody else waits for longer.
local function place_with_line(where, id)
  for _, place in ipairs(where) do
    if place.has_line and (place.most.tokens or place.most.micro_usd) then
      local head = head_of(place.name)
      if head and head ~= id then return place end
    end
  end
end

local function leave_line(id, place)
  if place and place ~= "" then call("ZREM", line_key(place), id) end
end

local function wait_at(place, id, quote)
  if quote.line ~= place.name then leave_line(id, quote.line) end
  quote.line = place.name
  call("ZADD", line_key(place.name), quote.asked, id)
  call("EXPIRE", line_key(place.name), CALL_SECONDS)
  call("HSET", places.key(place.name), "w", 1)
  call("HSET", call_key(id), "state", "waiting", "line", place.name, "task", quote.task, "tokens", whole(quote.tokens),
    "micro_usd", whole(quote.micro_usd), "reply", quote.reply, "floor", quote.floor, "rate", whole(quote.rate),
    "lasts", quote.lasts, "until", whole(quote["until"]), "asked", whole(quote.asked), "consumer", quote.consumer)
  call("EXPIRE", call_key(id), math.ceil((quote["until"] - NOW) / 1000) + BELL_SECONDS)
  return {"waiting"}
end

-- A new user's window that would be one too many.
local function one_too_many(where)
  for _, place in ipairs(where) do
    if place.scope == "user" and place.is_new then
      local counted = T .. ":led:users:" .. place.window .. ":" .. whole(place.begin / 1000)
      if tonumber(call("HGET", counted, "n") or 0) >= USERS_PER_AGENT then return place end
    end
  end
end

local function names_of(where)
  local names = {}
  for i, place in ipairs(where) do names[i] = place.name end
  return table.concat(names, " ")
end

local function list_without(text, id)
  local kept = {}
  for each in string.gmatch(text or "", "%S+") do
    if each ~= id then kept[#kept + 1] = each end
  end
  return table.concat(kept, " ")
end

local function grant(budget, where, id, quote, reply, by)
  local tokens, micro_usd = quote.tokens + reply, quote.micro_usd + reply_cost(quote, reply)
  for _, place in ipairs(where) do places.add(place, 0, 0, tokens, micro_usd) end
  local limit = reply < quote.reply and limit_text(by) or ""
  leave_line(id, quote.line)
  call("HSET", call_key(id), "state", "open", "task", quote.task, "tokens", whole(tokens), "micro_usd", whole(micro_usd),
    "reply", reply, "at", whole(NOW), "where", names_of(where), "limit", limit)
  call("EXPIRE", call_key(id), math.ceil(quote.lasts / 1000) + CALL_SECONDS)
  call("ZADD", OPEN, whole(NOW + quote.lasts), id)
  local calls = call("HGET", task_key(quote.task), "calls")
  if calls or call("EXISTS", task_key(quote.task)) == 1 then
    call("HSET", task_key(quote.task), "calls", calls and calls ~= "" and calls .. " " .. id or id)
  end
  return {"reserved", tokens, micro_usd, reply, NOW, limit, budget.exceeded or ""}
end

-- The cap of a canary, and that of its copies, hold also where the Agent's own budget only reports.
local function caps_among(where)
  local caps = {}
  for _, place in ipairs(where) do
    if WHOLE[place.scope] and place.window == "total" then caps[#caps + 1] = place end
  end
  return caps
end

-- Before anybody has looked at its task a call is bounded too wide: that it finds no room proves nothing, and it is
-- asked about once more as it is made.
local function is_bounded_too_wide(id) return string.match(id, "%.0$") end

-- Reserve for every scope in one step, wait, or refuse. Waiting ends when what others hold is settled, or with
-- "until": from then on what they hold counts as spent.
local function attempt(budget, id, quote)
  local where = places.around(budget, places.subjects(quote.task), NOW)
  local spent, held = room_in(where, quote)
  local floor = math.max(1, math.min(tonumber(budget.floor or "") or quote.floor, quote.reply))
  local held_to = where
  if budget.mode == "Report" then
    if spent.reply < floor then count_refusal(limit_text(spent)) end
    held_to = caps_among(where)
    spent, held = room_in(held_to, quote)
  end
  if spent.reply < floor then
    local marked = WHOLE[spent.place.scope] or spent.place.scope == "agent"
    if marked and not is_bounded_too_wide(id) then places.mark(spent.place, spent.unit) end
    return refused(budget, spent)
  end
  local crowded = one_too_many(held_to)
  if crowded then
    return refused(budget, {place = crowded, unit = crowded.most.micro_usd and "micro_usd" or "tokens"}, true)
  end
  local may_wait = NOW < quote["until"]
  local before = may_wait and place_with_line(held_to, id)
  if may_wait and held.reply < spent.reply then return wait_at(held.place, id, quote) end
  if before then return wait_at(before, id, quote) end
  if held.reply < floor then return refused(budget, held) end
  return grant(budget, where, id, quote, math.min(spent.reply, held.reply), held.reply < spent.reply and held or spent)
end

local function quote_of(stored)
  local quote = {task = stored.task, line = stored.line, consumer = stored.consumer or ""}
  for _, name in ipairs({"tokens", "micro_usd", "reply", "floor", "rate", "lasts", "until", "asked"}) do
    quote[name] = tonumber(stored[name])
  end
  return quote
end

local function drop(id, quote)
  leave_line(id, quote.line)
  call("DEL", call_key(id))
end

-- Hand what has become free at a place to those who wait for it, in order, and ring for them.
local function wake(budget, place)
  for _ = 1, MOST_WOKEN do
    local id = head_of(place)
    if not id then return end
    local quote = quote_of(hash_at(call_key(id)))
    local said = attempt(budget, id, quote)
    if said[1] == "refused" then drop(id, quote) end
    if said[1] == "waiting" then
      if quote.line == place then return end
    else
      local bell = T .. ":bell:ledger:" .. quote.consumer
      call("LPUSH", bell, id)
      call("EXPIRE", bell, BELL_SECONDS)
      call("LTRIM", bell, 0, 4095)
    end
  end
end

local function wake_all(names)
  local budget = #names > 0 and hash_at(BUDGET)
  if not budget then return end
  for _, place in ipairs(names) do wake(budget, place) end
end

-- Reserve for one call. The same call again answers what it was answered, or waits on.
-- wish: {id, tokens, micro_usd, reply, floor, rate, lasts ms, patience ms, consumer}.
function ledger.reserve(task, wish)
  local budget = hash_at(BUDGET)
  if not budget or places.of_copy(task) and not budget[CAP_OF_COPIES] then return {"none"} end
  local id = wish[1]
  local known = hash_at(call_key(id))
  if known and known.state ~= "waiting" then
    if known.state ~= "open" then return {"over"} end
    return {
      "reserved", tonumber(known.tokens), tonumber(known.micro_usd), tonumber(known.reply), tonumber(known.at), known.limit,
      budget.exceeded or "",
    }
  end
  local quote = known and quote_of(known) or {
    task = task, tokens = wish[2], micro_usd = wish[3], reply = wish[4], floor = wish[5], rate = wish[6], lasts = wish[7],
    ["until"] = NOW + wish[8], asked = clock[1] * MILLION + clock[2], consumer = wish[9],
  }
  if wish[8] == 0 then quote["until"] = NOW end
  local said = attempt(budget, id, quote)
  if said[1] == "refused" then
    if known then drop(id, quote) end
    if not is_bounded_too_wide(id) then count_refusal(said[2]) end
  end
  -- What nobody settles any more must not be waited for.
  if said[1] == "waiting" and ledger.sweep(MOST_SWEPT) > 0 then return ledger.reserve(task, wish) end
  return said
end

local function note_unsettled(task, calls, tokens, micro_usd)
  if task == "" or call("EXISTS", task_key(task)) == 0 then return end
  call("HINCRBY", task_key(task), "unsettledCalls", calls)
  call("HINCRBY", task_key(task), "unsettledTokens", whole(tokens))
  call("HINCRBY", task_key(task), "unsettledMicroUSD", whole(micro_usd))
end

local function forget_open(id, task)
  call("ZREM", OPEN, id)
  local calls = call("HGET", task_key(task), "calls")
  if calls then call("HSET", task_key(task), "calls", list_without(calls, id)) end
end

local function percent_of(most, tokens, micro_usd)
  return math.max(most.tokens and tokens * 100 / most.tokens or 0, most.micro_usd and micro_usd * 100 / most.micro_usd or 0)
end

-- Count which marks of its limits a user's or a tenant's window passes by this: people are told how many do, not who.
local function count_marks(place, tokens, micro_usd)
  local scope, window, begin = string.match(place.name, "^(%a+):.*:(%a+):(%d+)$")
  if scope ~= "user" and scope ~= "tenant" then return end
  local most, settled = places.limits_of(hash_at(BUDGET) or {}, scope, window, tonumber(begin) * 1000), place.settled
  local before = percent_of(most, settled.tokens, settled.micro_usd)
  local after = percent_of(most, settled.tokens + tokens, settled.micro_usd + micro_usd)
  for _, mark in ipairs(PERCENT_MARKS) do
    if before < mark and mark <= after then call("HINCRBY", MARKS, scope .. ":" .. window .. ":" .. mark, 1) end
  end
end

-- Count in the places of a call, where they are still kept. Answers those at which others wait.
local function count_in(names, tokens, micro_usd, held_tokens, held_micro_usd)
  local lines = {}
  for name in string.gmatch(names, "%S+") do
    local place = {name = name}
    places.read(place)
    if not place.is_new then
      count_marks(place, tokens, micro_usd)
      places.add(place, tokens, micro_usd, held_tokens, held_micro_usd)
    end
    if place.has_line then lines[#lines + 1] = name end
  end
  return lines
end

local function remember_settled(id)
  call("DEL", call_key(id))
  call("HSET", call_key(id), "state", "settled")
  call("EXPIRE", call_key(id), SETTLED_SECONDS)
end

-- A reservation that Redis has lost: its bill counts where it would have, so that the ledger equals the vendor's. One
-- that is older than settled calls are known may have been settled, and counts no more.
local function book(id, task, tokens, micro_usd, at)
  local budget = hash_at(BUDGET)
  if not budget or NOW - at >= SETTLED_SECONDS * 1000 then return 0 end
  for _, place in ipairs(places.around(budget, places.subjects(task), at)) do
    places.read(place)
    if place.ends == 0 or place.ends + places.kept_seconds * 1000 > NOW then
      count_marks(place, tokens, micro_usd)
      places.add(place, tokens, micro_usd, 0, 0)
    end
  end
  remember_settled(id)
  return 1
end

-- Count what a call has used by its bill, where it had reserved; twice counts once. Answers 1 when it counted.
function ledger.settle(task, id, tokens, micro_usd, at)
  local known = hash_at(call_key(id))
  if not known then return book(id, task, tokens, micro_usd, at) end
  if known.state == "settled" then return 0 end
  if known.state == "waiting" then
    drop(id, known)
    return 0
  end
  local held_tokens, held_micro_usd = tonumber(known.tokens), tonumber(known.micro_usd)
  local lines
  if known.state == "open" then
    lines = count_in(known.where, tokens, micro_usd, -held_tokens, -held_micro_usd)
    forget_open(id, known.task)
  else
    lines = count_in(known.where, tokens - held_tokens, micro_usd - held_micro_usd, 0, 0)
    note_unsettled(known.task, -1, -held_tokens, -held_micro_usd)
  end
  remember_settled(id)
  wake_all(lines)
  return 1
end

-- Nobody will say what a call has used: it counts what it held.
local function give_up(id)
  local known = hash_at(call_key(id))
  if not known or known.state ~= "open" then
    call("ZREM", OPEN, id)
    return
  end
  local tokens, micro_usd = tonumber(known.tokens), tonumber(known.micro_usd)
  local lines = count_in(known.where, tokens, micro_usd, -tokens, -micro_usd)
  forget_open(id, known.task)
  note_unsettled(known.task, 1, tokens, micro_usd)
  call("HSET", call_key(id), "state", "unsettled")
  call("EXPIRE", call_key(id), CALL_SECONDS)
  wake_all(lines)
end

-- Give up all calls of a task that are open: its worker is gone, or it has ended.
function ledger.abandon(task)
  for id in string.gmatch(task.calls or "", "%S+") do give_up(id) end
  task.calls = ""
end

-- Whether copies may spend no more: nothing is left of their cap, a call found too little left of it, or there is none.
function ledger.is_spent(id)
  local budget = hash_at(BUDGET)
  if not budget or not budget[CAP_OF_COPIES] then return true end
  for _, place in ipairs(places.around(budget, places.subjects(id), NOW)) do
    places.read(place)
    local most = place.most.micro_usd
    if most and (place.settled.micro_usd + place.held.micro_usd >= most or places.marks(place)[2] == whole(most)) then return true end
  end
  return false
end

-- Give up calls that are open past their deadline. Answers how many.
function ledger.sweep(limit)
  local overdue = call("ZRANGEBYSCORE", OPEN, "-inf", whole(NOW), "LIMIT", 0, limit)
  for _, id in ipairs(overdue) do give_up(id) end
  return #overdue
end

-- The first limit of a caller's task that what is settled has reached: {limit, spent, ms of the reset, whose}, and what
-- follows: "refused", "reported" or "escalated"; nil where there is none. No call of such a task could be made before its
-- window ends.
function ledger.used_up(tenant, user)
  local budget = hash_at(BUDGET)
  if not budget then return nil end
  for _, place in ipairs(places.around(budget, {{"agent", "agent"}, places.tenant(tenant), places.user(tenant, user)}, NOW)) do
    places.read(place)
    for _, unit in ipairs(places.units) do
      local spent = place.settled[unit]
      if place.most[unit] and spent > 0 and spent >= place.most[unit] then
        local found = {place = place, unit = unit}
        local follows = budget.mode == "Report" and "reported" or budget.exceeded == "Escalate" and "escalated" or "refused"
        return {limit_text(found), spent, place.ends, place.scope}, follows
      end
    end
  end
end

-- What a worker says of money with another call, as JSON: {settle = {{id, tokens, micro_usd, at}…}, reserve = wish}.
function ledger.settle_all(task, money)
  for _, each in ipairs(money.settle or {}) do ledger.settle(task, each[1], each[2], each[3], each[4]) end
end

end
