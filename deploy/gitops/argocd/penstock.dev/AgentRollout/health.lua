-- Health of an AgentRollout for Argo CD.
-- A step's hold is Healthy: users are served as declared, and a sync does not wait an hour for it.
-- Where it goes on only by a person's hand, or is taken off for a while, it is Suspended.

local suspended_while = {
  AgentSuspended = true,
  AnalysisUnclear = true,
  ExternalGate = true,
  ExternalMissing = true,
  BudgetShareReached = true,
  CeilingReached = true,
  DeadlineExceeded = true,
  HarmBudgetReached = true,
  HeldBySetpoint = true,
  HoldForApproval = true,
  LimitDoesNotFit = true,
  NotComparable = true,
  Paused = true,
  SharedIncident = true,
  SpendCapReached = true,
}

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

local ready, stalled, progressing = condition("Ready"), condition("Stalled"), condition("Progressing")

if stalled.status == "True" then
  return health("Degraded", stalled.message)
end
if ready.status ~= "True" and not suspended_while[ready.reason] then
  return health("Progressing", ready.message)
end
if suspended_while[progressing.reason] or suspended_while[ready.reason] then
  return health("Suspended", progressing.message)
end
return health("Healthy", ready.message)
