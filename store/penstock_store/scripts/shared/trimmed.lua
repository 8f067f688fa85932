-- Whether rows are gone from the beginning of the outcome log. From version 7 on Redis says how many it ever had; before that,
-- one that is as long as it may become has lost some: also where a canary has raised that since. A user of the version before may not ask.
local function is_trimmed()
  local length = call("XLEN", OUTCOMES)
  if length >= rows_kept() then return 1 end
  local command = {"XINFO", "STREAM"}
  local said = redis.pcall(command[1], command[2], OUTCOMES)
  local ever = not said.err and tonumber(paired(said)["entries-added"])
  if ever then return ever > length and 1 or 0 end
  return length >= OUTCOME_ROWS and 1 or 0
end
