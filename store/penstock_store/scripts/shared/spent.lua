-- What is spent and held of the windows around now, how often each limit has refused, and
-- how many users' and tenants' windows have passed each mark.
local function spent_windows(tenant, user, with_tenant, with_user, canary)
  local budget = hash_at(T .. ":budget") or {}
  local subjects = {{"agent", "agent"}}
  if with_tenant then subjects[#subjects + 1] = places.tenant(tenant) end
  if with_user then subjects[#subjects + 1] = places.user(tenant, user) end
  if canary ~= "" then subjects[#subjects + 1] = {"canary", "canary:" .. canary} end
  local said = {NOW, call("HGETALL", T .. ":refusals"), call("HGETALL", T .. ":marks")}
  for _, place in ipairs(places.around(budget, subjects, NOW)) do
    places.read(place)
    local short = places.marks(place)
    said[#said + 1] = {
      place.scope, place.window, place.settled.tokens, place.settled.micro_usd, place.held.tokens, place.held.micro_usd,
      place.ends, place.most.tokens or -1, place.most.micro_usd or -1, tonumber(short[1] or -1), tonumber(short[2] or -1),
    }
  end
  return said
end
