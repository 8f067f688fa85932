"""What becomes of an Agent is told in Events: once, whatever fails, and whoever leads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import names
from penstock.api.rollout import AgentRolloutStatus
from penstock.errors import PenstockError, StoreUnavailable
from penstock.rollout.situation import Pods
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_plan import V1, V2, serving, trying_v2
from tests.unit.operator.test_reconcile import Writes, carry_out
from tests.unit.operator.worlds import cut, later_pass, record, world

REFUSED = "its pods are refused: failed quota: tight"
CRASH = "pod x: CrashLoopBackOff (exit code 1): boom"


def serving_v1(words="", **spec):
    """V1 serves; with words, none of its workers is ready, and they say why."""
    made = world(
        worlds.agent(V1, **spec),
        records=(record(V1, promoted=1),),
        projected_for=(V1,),
        ready_for=(V1,),
        status=serving(V1),
        route_version=3,
    )
    return replace(made, pods={cut(V1).name: Pods(0, 1, words)}) if words else made


def told(made):
    return [(one.reason, one.warning) for one in plan_agent(made).transitions]


def then(before, after):
    """The world after a pass over another has written its status."""
    return replace(after, status=later_pass(before).status)


def asked(made, value):
    """The same world, in which this stands on the Agent."""
    metadata = {**made.agent["metadata"], "annotations": {names.ANNOTATION_REQUEST: value}}
    return replace(made, agent={**made.agent, "metadata": metadata})


def test_an_agent_that_stalls_is_told_once_for_each_reason_and_not_when_it_is_mended():
    well, ill = serving_v1(), serving_v1(REFUSED)
    assert told(well) == []
    assert told(then(well, ill)) == [("Stalled", True)]
    (event,) = plan_agent(then(well, ill)).transitions
    assert event.message == f"PodsFailing: {REFUSED}"
    assert told(then(ill, ill)) == []
    assert told(then(ill, serving_v1(CRASH))) == [], "other words are no other reason"
    conflict = replace(ill, name_conflict="ConfigMap x belongs to another owner")
    assert told(then(ill, conflict)) == [("Stalled", True)]
    assert told(then(ill, well)) == []


def test_an_agent_that_never_could_run_is_told_in_its_first_status():
    made = replace(world(), spec=None, problem=("Invalid", "it has no model"))
    assert told(made) == [("Stalled", True)]
    assert told(then(made, made)) == []


def test_the_kill_switch_is_told_when_it_is_set_and_when_it_is_taken_back():
    off, on = serving_v1(), serving_v1(suspended=True)
    assert told(then(off, on)) == [("AgentSuspended", True)]
    (event,) = plan_agent(then(off, on)).transitions
    assert "kubectl -n acme patch agent support" in event.message
    assert told(then(on, on)) == []
    assert told(then(on, off)) == [("AgentResumed", False)]
    assert told(then(off, off)) == []


def beside_a_rollout(value):
    status = AgentRolloutStatus(
        stable_revision=cut(V1).name, agent_uid="agent-uid", route_version=3
    )
    return asked(replace(serving_v1(), rollouts=(Rollout.of(rollout(status)),)), value)


@pytest.mark.parametrize(
    "made",
    [beside_a_rollout(f"undo/{cut(V2).name}/1"), asked(serving_v1(), "undo/nobody/1")],
    ids=["beside an AgentRollout", "alone"],
)
def test_a_refused_request_is_told_once_and_leads_the_wide_message_while_it_stands(made):
    assert told(made) == [("RequestRefused", True)]
    assert not [one for _, one in plan_agent(made).events if one.reason == "RequestRefused"]
    for now in (made, then(made, made)):
        status = plan_agent(now).agent_status
        ready = next(one for one in status.conditions if one.type == "Ready")
        answer = status.last_request
        refusal = f"Request {answer.value} was refused: {answer.message}. "
        assert ready.message.startswith(refusal)
        assert len(ready.message) > len(refusal), "and it still says how the Agent is"
        assert ready.status == "True"
    assert told(then(made, made)) == []
    gone = asked(then(made, made), "")
    ready = next(c for c in plan_agent(gone).agent_status.conditions if c.type == "Ready")
    assert "refused" not in ready.message


async def test_what_the_status_does_not_hold_yet_is_not_told():
    made = replace(trying_v2(), agent=worlds.agent(V2, suspended=True))
    made = replace(made, spec=worlds.world(made.agent).spec)
    away = Writes(("route", "20 %"), lambda: StoreUnavailable("gone"))
    with pytest.raises(PenstockError):
        await carry_out(made, away)
    assert ("event", "AgentSuspended") not in away.steps
    for failing in (("status", "Agent"), None):
        writes = Writes(failing)
        try:
            await carry_out(made, writes)
        except PenstockError:
            assert ("event", "AgentSuspended") not in writes.steps
        else:
            assert writes.steps.count(("event", "AgentSuspended")) == 1


@pytest.mark.parametrize(
    ("part", "reason"), [("refused", "ChildRefused"), ("name_conflict", "NameConflict")]
)
def test_an_operator_that_begins_remembers_what_a_status_says_of_refused_children(part, reason):
    status = later_pass(replace(serving_v1(), **{part: "Deployment x: no"})).status
    memory = Memory.after(status)
    assert getattr(memory, part) == "Deployment x: no"
    known = {"refused": memory.refused, "name_conflict": memory.name_conflict}
    begun = replace(serving_v1(), status=status, **known)
    stalled = next(c for c in plan_agent(begun).agent_status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", reason)
    assert told(begun) == []
    assert Memory.after(later_pass(serving_v1()).status) == Memory()
