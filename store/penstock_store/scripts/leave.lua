-- Queue again what a worker still holds that ends in order: ordinary tasks, no suspects. Answers how many.
-- KEYS: tag, route, outcomes, queue of each lane. ARGV: revision, consumer.
-- uses: agent tasks tail suspects
local consumer = ARGV[2]
local queued = 0

local function put_back(queue, entry)
  local found = call("XRANGE", queue, entry, entry)[1]
  local id = found and found[2][2]
  local task = id and task_at(id)
  if not task or has_ended(task) then
    call("XACK", queue, GROUP, entry)
    call("XDEL", queue, entry)
    return
  end
  dequeue(task)
  local ending = untimely(task)
  if ending then return finish(id, task, ending) end
  call("HSET", task_key(id), "status", SUSPENDED and "Halted" or "Queued", "claim", "", "suspects", 0)
  local to = serving(task.revision)
  if to ~= task.revision then reassign(id, task, to) end
  enqueue(id, task)
  queued = queued + 1
end

for lane = 1, 3 do
  local queue = KEYS[3 + lane]
  if group_of(queue) then
    for _, pending in ipairs(call("XPENDING", queue, GROUP, "-", "+", MOST_PARTED, consumer)) do
      put_back(queue, pending[1])
    end
  end
end
call("HDEL", TAIL, "s:" .. consumer, "n:" .. consumer)
return queued
