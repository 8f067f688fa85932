-- Health of an Agent for Argo CD. Its AgentRollout, when it has one, has a health of its own:
-- a rejected revision turns that one red and leaves this one green, for stable serves.

local function condition(kind)
  for _, one in ipairs(obj.status.conditions or {}) do
    if one.type == kind then
      return one
    end
  end
  return {}
end

local function health(status, message)
  return { status = status, message = message or "" }
end

if obj.status == nil or obj.status.conditions == nil then
  return health("Progressing", "The operator has not looked at it yet")
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "The operator has not looked at this change yet")
end

local ready, stalled = condition("Ready"), condition("Stalled")
local reconciling, missing = condition("Reconciling"), condition("RolloutMissing")

if stalled.status == "True" then
  return health("Degraded", stalled.message)
end
local braked = ready.reason == "Suspended" or ready.reason == "ScaledToZero" or ready.reason == "BudgetSpent"
if braked and ready.status ~= "True" then
  return health("Suspended", ready.message)
end
if ready.reason == "RolloutMissing" then
  return health("Suspended", ready.message)
end
if ready.status ~= "True" then
  return health("Progressing", ready.message)
end
if missing.status == "True" then
  return health("Suspended", missing.message)
end
if reconciling.status == "True" then
  return health("Progressing", reconciling.message)
end
return health("Healthy", ready.message)
