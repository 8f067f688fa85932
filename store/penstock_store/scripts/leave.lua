-- Queue again what a worker still holds that ends in order. Suspects stay suspects, in a group of the same size.
-- Answers how many it held.
-- KEYS: tag, route, outcomes, queue of each lane. ARGV: revision, consumer, a name that is used once, the consumer's
--       last number (-1: who says it is another), server life.
-- uses: agent places ledger harm undoing tasks tail suspects
local consumer, name = ARGV[2], ARGV[3]
local held = 0

local function put_back(queue, entry)
  local found = call("XRANGE", queue, entry, entry)[1]
  local id = found and found[2][2]
  local task = id and task_at(id)
  if not task or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
    return
  end
  held = held + 1
  local ending = untimely(task)
  if not ending and (tonumber(task.suspects) or 0) > 0 then
    call("HSET", task_key(id), "claim", "")
    give_to(queue, WAITING_GROUP .. name, {entry}, 1, 1)
    return
  end
  dequeue(task)
  if ending then return finish(id, task, ending) end
  call("HSET", task_key(id), "status", SUSPENDED and "Halted" or "Queued", "claim", "", "suspects", 0)
  local to = serving(task.revision)
  if to ~= task.revision then reassign(id, task, to) end
  enqueue(id, task)
end

write_even_when_full()
for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  if group_of(queue) then
    for _, pending in ipairs(call("XPENDING", queue, GROUP, "-", "+", MOST_PARTED, consumer)) do
      put_back(queue, pending[1])
    end
  end
end
-- What it has done shortly before a break, and not said since, no other worker knows: its tasks are in doubt then.
local tail = join(consumer, tonumber(ARGV[4]), ARGV[5])
if not owes_word(tail, consumer, -1) then forget_worker(consumer) end
return held
