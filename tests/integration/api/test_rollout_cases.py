"""What the API server accepts and refuses of an AgentRollout's spec."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.integration.api.manifests import Document, manifest

pytestmark = pytest.mark.cluster


class Case(NamedTuple):
    """`why` says what it shows; `said` is a part of the refusal; None: it is accepted."""

    why: str
    spec: Document
    said: str | None = None


def steps(*percents: int, **fields: Any) -> Document:
    each = [{"percent": percent, "holdSeconds": 60} | fields for percent in percents]
    return {"strategy": {"steps": each}}


def rings(*each: Document) -> Document:
    return {"strategy": {"rings": list(each)}}


def traffic(**fields: Any) -> Document:
    return {"traffic": fields}


def guardrails(**fields: Any) -> Document:
    return {"analysis": {"guardrails": fields}}


def external(*gates: Document) -> Document:
    return {"analysis": {"external": [{**GATE, **gate} for gate in gates]}}


GATE = {"name": "csat", "address": "main", "query": "avg(csat)", "min": "4"}
RISING = "percent must rise strictly from step to step"
AT_MOST = "should be less than or equal to"
AT_LEAST = "should be greater than or equal to"

CASES = [
    Case("the agent is enough", {}),
    Case("empty blocks are their defaults", {"traffic": {}, "strategy": {}, "analysis": {}}),
    Case("the agent is required", {"agentRef": None}, "spec.agentRef: Required value"),
    Case("the agent has a name", {"agentRef": {"name": ""}}, "spec.agentRef.name"),
    Case("a user is a unit", {"unit": "User"}),
    Case("a caller is none", {"unit": "Caller"}, 'supported values: "User", "Session", "Task"'),
    # The setpoint
    Case("a share is set", traffic(canaryPercent=20)),
    Case("a share may be none", traffic(canaryPercent=0)),
    Case("a share may be all", traffic(canaryPercent=100)),
    Case("a share is at most all", traffic(canaryPercent=120), AT_MOST + " 100"),
    Case("a share is at least none", traffic(canaryPercent=-1), AT_LEAST + " 0"),
    Case("a share in quotes is a string", traffic(canaryPercent="20"), "must be of type integer"),
    Case("a share with its sign is a string", traffic(canaryPercent="20%"), "type integer"),
    Case("a share has no places", traffic(canaryPercent=12.5), "must be of type integer"),
    Case("a share may be for one revision", traffic(canaryPercent=5, canaryRevision="support-1a2b3c4d")),
    Case("that revision has a name", traffic(canaryRevision=""), "spec.traffic.canaryRevision"),
    Case("a misspelt share is not dropped in silence", traffic(canarypercent=20),
         'unknown field "spec.traffic.canarypercent"'),
    # The rings
    Case("a ring has users", rings({"name": "staff", "users": ["anna"]})),
    Case("a ring has tenants", rings({"name": "staff", "tenants": ["acme"], "users": []})),
    Case("a ring of nobody is none", rings({"name": "staff"}), "a ring needs a user or a tenant"),
    Case("nor is one of empty lists", rings({"name": "staff", "users": [], "tenants": []}),
         "a ring needs a user or a tenant"),
    Case("a ring has a name", rings({"users": ["anna"]}), "name: Required"),
    Case("its name is one of a ring", rings({"name": "Our staff", "users": ["anna"]}), "should match"),
    Case("two rings of one name are one too many",
         rings({"name": "a", "users": ["anna"]}, {"name": "a", "users": ["boris"]}), "Duplicate value"),
    Case("a user has a name", rings({"name": "a", "users": [""]}), "should be at least 1 chars long"),
    Case("eight rings of 500 are the most", rings(*({"name": f"r{ring}", "users": [
         f"{ring}-{user}" for user in range(500)]} for ring in range(8)))),
    Case("nine rings are too many", rings(*({"name": f"r{ring}", "users": ["a"]} for ring in range(9))),
         "must have at most 8 items"),
    Case("501 users are too many", rings({"name": "a", "users": [f"u{n}" for n in range(501)]}),
         "must have at most 500 items"),
    Case("51 tenants are too many", rings({"name": "a", "tenants": [f"t{n}" for n in range(51)]}),
         "must have at most 50 items"),
    # The steps
    Case("steps rise", steps(5, 20, 50)),
    Case("one step is enough", steps(99)),
    Case("sixteen steps are the most", steps(*range(1, 17))),
    Case("seventeen are too many", steps(*range(1, 18)), "must have at most 16 items"),
    Case("no step at all is a mistake", steps(), "should have at least 1 items"),
    Case("steps do not fall", steps(20, 5), RISING),
    Case("steps do not repeat", steps(5, 5), RISING),
    Case("a fall late is seen too", steps(5, 20, 50, 40), RISING),
    Case("a step of nothing is none", steps(0), AT_LEAST + " 1"),
    Case("a step of all is implied", steps(100), AT_MOST + " 99"),
    Case("a step says how long", {"strategy": {"steps": [{"percent": 5}]}}, "holdSeconds: Required"),
    Case("a step says how much", {"strategy": {"steps": [{"holdSeconds": 5}]}}, "percent: Required"),
    Case("a hold may be none", steps(5, holdSeconds=0)),
    Case("a hold has at most 30 days", steps(5, holdSeconds=2592001), AT_MOST),
    Case("a wait has at most 30 days", steps(5, maxWaitSeconds=2592001), AT_MOST),
    Case("tasks are counted from none", steps(5, minTasks=-1), AT_LEAST + " 0"),
    Case("leaving a step may need a person", steps(5, approval="Required")),
    Case("or not", steps(5, approval="None")),
    Case("approval is a word", steps(5, approval=True), "must be of type string"),
    Case("a final hold may be none", {"strategy": {"finalHoldSeconds": 0}}),
    Case("a final hold is no duration string", {"strategy": {"finalHoldSeconds": "10m"}}, "integer"),
    Case("half may be held back", {"strategy": {"holdbackPercent": 50}}),
    Case("more than half may not", {"strategy": {"holdbackPercent": 51}}, AT_MOST + " 50"),
    Case("a deadline has at least 10 s", {"strategy": {"progressDeadlineSeconds": 9}}, AT_LEAST + " 10"),
    Case("a deadline alone holds", {"strategy": {"progressDeadlineSeconds": 43200}}),
    Case("what follows it is one of three words", {"strategy": {"onDeadline": "Promote"}}),
    Case("to abort is none of them", {"strategy": {"onDeadline": "Abort"}}, "onDeadline"),
    # The guardrails
    Case("point estimates are a mode", guardrails(mode="Literal")),
    Case("a stable that breaks a limit may be left", guardrails(onStable="Rollback")),
    Case("nobody is promoted for that", guardrails(onStable="Promote"), "onStable"),
    Case("no guardrail is no mode", guardrails(mode="Disabled"), "guardrails.mode"),
    Case("a window has at least 10 s", guardrails(windowSeconds=9), AT_LEAST + " 10"),
    Case("a window has at most a day", guardrails(windowSeconds=86401), AT_MOST + " 86400"),
    Case("judging needs a task", guardrails(minTasks=0), AT_LEAST + " 1"),
    Case("every error is too many at 0 %: no agent passes", guardrails(errorRatePercent=0), AT_LEAST),
    Case("a rate is a whole number", guardrails(errorRatePercent=0.5), "must be of type integer"),
    Case("a rate is at most 100 %", guardrails(escalationRatePercent=101), AT_MOST + " 100"),
    Case("latency is in seconds", guardrails(latencyMeanSeconds=0), AT_LEAST + " 1"),
    # Gates outside
    Case("a gate has a least number", external({})),
    Case("or a most", external({"min": None, "max": "-0.5"})),
    Case("or both", external({"max": "4.000001", "forSeconds": 86400})),
    Case("but one of them", external({"min": None}), "a gate has min, max or both"),
    Case("they are not crossed", external({"max": "3.999999"}), "min of a gate is not above its max"),
    Case("eight gates are the most", external(*({"name": f"g{n}"} for n in range(8)))),
    Case("nine are too many", external(*({"name": f"g{n}"} for n in range(9))), "at most 8 items"),
    Case("each has a name of its own", external({}, {}), "Duplicate value"),
    Case("a server is named", external({"address": "http://prometheus:9090"}), "address"),
    Case("a bound is a decimal string", external({"min": 4}), "must be of type string"),
    Case("and no word", external({"min": "NaN"}), "analysis.external[0].min"),
    Case("a query has words", external({"query": ""}), "analysis.external[0].query"),
    Case("and at most 2,048 characters", external({"query": "x" * 2049}), "may not be more than 2048"),
    Case("pausing is yes or no", {"paused": "true"}, "must be of type boolean"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.why for case in CASES])
async def test_an_agent_rollout(case, trial):
    answer = await trial.would_create(manifest("AgentRollout", case.spec))
    if case.said is None:
        assert answer is None
    else:
        assert case.said in (answer or "accepted")


async def test_the_agent_of_a_rollout_never_changes(api):
    assert await api.create(manifest("AgentRollout")) is None
    other = {"spec": {"agentRef": {"name": "billing"}}}
    assert "agentRef is immutable" in (await api.patch("AgentRollout", other) or "accepted")


async def test_other_fields_of_a_rollout_change_freely(api):
    assert await api.create(manifest("AgentRollout")) is None
    assert await api.patch("AgentRollout", {"spec": steps(10, 30)}) is None


async def test_a_null_takes_the_share_back_to_the_steps(api):
    assert await api.create(manifest("AgentRollout", traffic(canaryPercent=20))) is None
    assert await api.patch("AgentRollout", {"spec": traffic(canaryPercent=None)}) is None
    assert (await api.stored("AgentRollout"))["spec"]["traffic"] == {}


async def test_what_nobody_declared_is_not_stored(api):
    assert await api.create(manifest("Agent")) is None
    assert (await api.stored("Agent"))["spec"] == manifest("Agent")["spec"]
