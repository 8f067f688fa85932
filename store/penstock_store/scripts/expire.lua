-- End tasks that wait for longer than their revision allows, also where no worker lives that could look.
-- Answers how many ended. KEYS: tag, route, outcomes. ARGV: limit.
-- uses: agent places ledger harm undoing tasks
local limit = tonumber(ARGV[1])
local PAGE, MOST_SEEN = 200, 5000

if route == nil or SUSPENDED then return 0 end

-- What stands in a queue the longest comes first; whoever ends has those that follow it in its session
-- looked at too.
local function expire(queue, seconds)
  local after, seen = last_delivered(queue), 0
  while ended_here < limit and seen < MOST_SEEN do
    local entries = call("XRANGE", queue, "(" .. after, "+", "COUNT", PAGE)
    if #entries == 0 then return end
    for _, entry in ipairs(entries) do
      local queued_at = math.max(tonumber(string.match(entry[1], "^%d+")), RESUMED_AT)
      if NOW - queued_at <= seconds * 1000 or ended_here >= limit then return end
      after, seen = entry[1], seen + 1
      local task = task_at(entry[2][2])
      if task == nil or has_ended(task) then
        call("XDEL", queue, entry[1])
      elseif overdue(task) then
        dequeue(task)
        finish(entry[2][2], task, expiry(task))
      end
    end
  end
end

-- A task whose worker is gone waits for one too. Heartbeats come far oftener than any silence that counts here.
local function expire_abandoned(queue, seconds)
  if not group_of(queue) then return end
  local silence = math.max(seconds * 1000, 4 * ORPHAN_IDLE_MS)
  for _, pending in ipairs(call("XPENDING", queue, GROUP, "IDLE", silence, "-", "+", math.max(1, limit - ended_here))) do
    local found = call("XRANGE", queue, pending[1], pending[1])[1]
    local id = found and found[2][2]
    local task = id and task_at(id)
    if task and not has_ended(task) then
      dequeue(task)
      finish(id, task, expiry(task))
    end
  end
end

for _, revision in ipairs(call("SMEMBERS", REVISIONS)) do
  local seconds = tonumber(call("HGET", revision_key(revision), "queueSeconds") or "")
  for _, lane in ipairs(LANES) do
    if seconds then
      expire(queue_key(revision, lane), seconds)
      if ended_here < limit then expire_abandoned(queue_key(revision, lane), seconds) end
    end
  end
end
return ended_here
