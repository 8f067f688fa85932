-- Whether what became of a call that waits may be lost: decided, and made, in what Redis no longer knows.
-- Beside what tail.lua keeps in T:tail stand lostFrom and lostTo, the last span of which a worker missed a write of its
-- own, or of which no worker is left to tell.
local lost = {}

do
local FIELDS = {"before", "breakAt", "settled", "doubtFrom", "doubtTo", "lostFrom", "lostTo", "life"}

-- The span of which nobody can know, as "from to" in ms; "" where there is none. asked: when a person was asked;
-- life: of the server that answers, "" where that is not known.
function lost.span(asked, life)
  local tail = {}
  for i, value in ipairs(call("HMGET", TAIL, unpack(FIELDS))) do tail[FIELDS[i]] = value or "" end
  local function ends_after(field) return (tonumber(tail[field]) or 0) > asked end
  local is_settled = (tonumber(tail.breakAt) or 0) <= (tonumber(tail.settled) or 0)
  if ends_after("breakAt") and not is_settled then return tail.before .. " " .. tail.breakAt end
  if ends_after("doubtTo") then return tail.doubtFrom .. " " .. tail.doubtTo end
  local from = string.format("%.0f", math.max(asked, tonumber(tail.lostFrom) or 0))
  if ends_after("lostTo") then return from .. " " .. tail.lostTo end
  -- Another server, or one that was started anew, and no worker has said yet what it knows.
  if life ~= "" and tail.life ~= "" and tail.life ~= life then
    return string.format("%.0f %.0f", asked, NOW)
  end
  return ""
end

end
