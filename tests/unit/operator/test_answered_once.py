"""Each request of an Agent is answered once, also when others came between."""

from __future__ import annotations

from dataclasses import replace

from penstock import names
from penstock.api import condition
from penstock.api.agent_status import AgentStatus
from penstock_operator.reconcile.plan import plan_agent
from tests.unit.operator.test_lifting import BUDGETS, asks
from tests.unit.operator.test_spending import after, day, spends
from tests.unit.operator.test_undo import NEW, OLD, asked
from tests.unit.operator.worlds import cut, record

LIFT_A, LIFT_B = "budget-lift/agent/daily/4.5/A", "budget-lift/agent/daily/1/B"


def lifted(*values):
    """The world after these requests, one after the other, each read by another operator."""
    world = asks(values[0])
    for value in values[1:]:
        notes = {names.ANNOTATION_REQUEST: value}
        later = after(world, world)
        status = AgentStatus.model_validate(later.status.wire())
        metadata = {**later.agent["metadata"], "annotations": notes}
        world = replace(later, agent={**later.agent, "metadata": metadata}, status=status)
    return world


def test_a_lift_that_comes_back_after_another_one_lifts_nothing():
    status = plan_agent(lifted(LIFT_A, LIFT_B, LIFT_A)).agent_status
    assert [lift.request for lift in status.lifts] == [LIFT_A, LIFT_B]
    assert status.last_request.result == "Repeated"


def test_nor_in_the_window_after_it():
    seen = plan_agent(lifted(LIFT_A, LIFT_B)).agent_status
    tomorrow = condition.moment("2026-11-22T10:00:00Z")
    made = replace(spends(day(39), budgets=BUDGETS), now=tomorrow)
    status = plan_agent(asks(LIFT_A, made=made, status=seen)).agent_status
    assert (status.lifts, status.last_request.result) == ([], "Repeated")
    new = asks("budget-lift/agent/daily/4.5/C", made=made, status=seen)
    assert len(plan_agent(new).agent_status.lifts) == 1


def test_an_undo_that_comes_back_after_another_request_undoes_nothing():
    undo, other = f"undo/{cut(OLD).name}/A", f"undo/{cut(NEW).name}/B"
    both = {"ready_for": (NEW, OLD), "projected_for": (NEW, OLD)}
    first = asked(undo, ready=(NEW, OLD), projected_for=(NEW, OLD)).agent_status
    assert first.stable_revision == cut(OLD).name
    known = {**both, "records": (record(OLD, 1, promoted=1), record(NEW, 2, promoted=3))}
    back = first.model_copy(update={"stable_revision": cut(NEW).name, "rejected": []})
    second = asked(other, status=back, **known).agent_status
    assert second.last_request.result == "Refused"
    third = asked(undo, status=second, **known)
    assert third.agent_status.stable_revision == cut(NEW).name
    assert third.agent_status.last_request.result == "Repeated"
    assert not any(one.warning for one in third.transitions)


def test_the_answer_of_a_version_that_kept_only_the_last_one_counts():
    first = lifted(LIFT_A, LIFT_B)
    old = first.status.model_copy(update={"answered_requests": (), "lifts": []})
    second = plan_agent(replace(first, status=old)).agent_status
    assert len(second.answered_requests) == 2
