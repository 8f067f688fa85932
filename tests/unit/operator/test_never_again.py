"""What was rejected stays away from users, whatever is lost, made again, pruned or tried again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import names
from penstock.api.agent_status import AgentStatus, Asked
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus, Setpoint, SetpointSeen, Share, Source
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import remembered, stock
from penstock_operator.reconcile.plan import plan_agent
from penstock_store.records import RevisionWork
from tests.unit.operator import worlds
from tests.unit.operator.worlds import cut, record, world

GOOD, BAD, NEXT = "Be kind.", "Be rude.", "Be brief."


def verdict(text, result=Result.REJECTED, attempt=1):
    reason = {Result.REJECTED: Reason.ERROR_RATE, Result.PROMOTED: Reason.ALL_STEPS_PASSED}
    return Verdict(
        revision=cut(text).name,
        attempt=attempt,
        result=result,
        reason=reason.get(result, Reason.NEW_REVISION),
        message="as it was",
        at="2026-11-21T09:00:00Z",
    )


def rollout(status=None, **spec):
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {
            "name": "support",
            "namespace": "acme",
            "uid": "rollout-uid",
            "generation": 1,
            "creationTimestamp": "2026-11-21T08:00:00Z",
        },
        "spec": {"agentRef": {"name": "support"}, **spec},
        "status": (status or AgentRolloutStatus()).wire(),
    }


def rolled_back(stable=GOOD, **more):
    """The status after BAD was rejected against a stable revision."""
    return AgentRolloutStatus(
        **{
            "stable_revision": cut(stable).name,
            "canary_revision": cut(BAD).name,
            "attempt": 1,
            "share": Share(percent=0, source=Source.ROLLBACK),
            "route_version": 7,
            "verdicts": (verdict(BAD),),
            **more,
        }
    )


def served(plan):
    """Who serves by a plan: the stable revision, and the canary where it has a share."""
    assert plan.route is not None
    canary = plan.route.split.canary if plan.route.split.percent else ""
    return {found for found in (plan.route.split.stable, canary) if found}


def test_a_rejected_revision_does_not_become_stable_when_stables_record_is_deleted():
    rejected = record(BAD, 1, verdict=verdict(BAD), promoted=1)
    plan = plan_agent(
        world(
            worlds.agent(BAD),
            records=(rejected,),  # GOOD's is gone, and made again from its projection
            projected_for=(GOOD, BAD),
            ready_for=(GOOD, BAD),
            rollouts=(rollout(rolled_back(), paused=True),),
            route_version=7,
        )
    )
    assert served(plan) == {cut(GOOD).hash}
    notes = {patch["metadata"]["name"]: patch["metadata"]["annotations"] for patch in plan.verdicts}
    assert notes[cut(GOOD).name] == {names.ANNOTATION_PROMOTED: "2"}, "after all others"


@pytest.mark.parametrize("paused", [True, False])
def test_a_former_stable_does_not_pass_the_steps_when_stables_record_is_deleted(paused):
    trying = rolled_back(canary_revision=cut(NEXT).name, verdicts=(), share=Share())
    plan = plan_agent(
        world(
            worlds.agent(NEXT),
            records=(record(NEXT, 1, promoted=1),),
            projected_for=(GOOD, NEXT),
            ready_for=(GOOD, NEXT),
            rollouts=(rollout(trying, paused=paused),),
            route_version=7,
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(GOOD).hash
    assert plan.route.split.percent < 100


def test_a_superseded_promotion_is_not_adopted_when_its_template_comes_back():
    superseded = record(NEXT, 2, verdict=verdict(NEXT, Result.SUPERSEDED), promoted=9)
    again = rolled_back(canary_revision=cut(NEXT).name, verdicts=(), share=Share())
    plan = plan_agent(
        world(
            worlds.agent(NEXT),
            records=(record(GOOD, 1, promoted=1), superseded),
            projected_for=(GOOD, NEXT),
            ready_for=(GOOD, NEXT),
            rollouts=(rollout(again),),
            route_version=7,
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(GOOD).hash


@pytest.mark.parametrize(
    ("told", "promoted"),
    [
        (verdict(BAD).model_copy(update={"check": "errorRate", "percent": 50, "users": 7}), 0),
        (verdict(BAD, Result.PROMOTED).model_copy(update={"percent": 95, "tasks": 1200}), 2),
    ],
    ids=["a rejection", "a promotion"],
)
def test_a_verdict_whose_status_was_never_written_is_taken_over_whole(told, promoted):
    """An operator died after it had written the record; the next one has measured nothing yet."""
    tried = rolled_back(verdicts=(), share=Share(percent=50, source=Source.AUTOMATIC))
    plan = plan_agent(
        world(
            worlds.agent(BAD),
            records=(record(GOOD, 1, promoted=1), record(BAD, 2, verdict=told, promoted=promoted)),
            projected_for=(GOOD, BAD),
            ready_for=(GOOD, BAD),
            rollouts=(rollout(tried),),
            route_version=7,
        )
    )
    ((_, status),) = plan.rollout_statuses
    assert status.verdicts == (told,)
    notes = [patch["metadata"]["annotations"] for patch in plan.verdicts]
    kept = [Verdict.model_validate_json(note[names.ANNOTATION_VERDICT]) for note in notes]
    assert set(kept) <= {told}


def test_a_rejection_outlives_a_retry_that_was_superseded():
    known = stock.Known(cut(BAD), record(BAD, 2, verdict=verdict(BAD)), 2, verdict(BAD))
    notes = stock.verdict_annotations(known, verdict(BAD, Result.SUPERSEDED, attempt=2), 0)
    assert json.loads(notes[names.ANNOTATION_VERDICT])["result"] == "Rejected"
    told = rolled_back(verdicts=(verdict(BAD), verdict(BAD, Result.SUPERSEDED, attempt=2)))
    overwritten = record(BAD, 2, verdict=verdict(BAD, Result.SUPERSEDED, attempt=2))
    found = stock.take_stock(
        world(
            worlds.agent(BAD),
            records=(record(GOOD, 1, promoted=1), overwritten),
            rollouts=(rollout(told),),
        )
    )
    assert found.known[cut(BAD).name].rejected


def test_a_revision_that_was_promoted_after_its_rejection_is_good():
    told = rolled_back(verdicts=(verdict(BAD), verdict(BAD, Result.PROMOTED, attempt=2)))
    found = stock.take_stock(
        world(worlds.agent(BAD), records=(record(GOOD, 1, promoted=1),), rollouts=(rollout(told),))
    )
    assert not found.known[cut(BAD).name].rejected


def test_an_agent_remembers_its_rejected_revisions_when_record_and_rollout_are_gone():
    first = plan_agent(
        world(
            worlds.agent(BAD),
            records=(record(GOOD, 1, promoted=1), record(BAD, 2, verdict=verdict(BAD))),
            projected_for=(GOOD, BAD),
            ready_for=(GOOD,),
            rollouts=(rollout(rolled_back()),),
            route_version=7,
        )
    )
    assert first.agent_status is not None
    assert [item.revision for item in first.agent_status.rejected] == [cut(BAD).name]
    later = plan_agent(
        world(
            worlds.agent(BAD),
            records=(record(GOOD, 1, promoted=1),),
            projected_for=(GOOD, BAD),
            ready_for=(GOOD, BAD),
            rollouts=(rollout(),),
            status=first.agent_status,
            route_version=7,
        )
    )
    assert served(later) == {cut(GOOD).hash}
    notes = {
        patch["metadata"]["name"]: patch["metadata"]["annotations"] for patch in later.verdicts
    }
    assert names.ANNOTATION_VERDICT in notes[cut(BAD).name], "its new record says it again"


def test_the_list_of_rejections_is_bounded_and_forgets_the_oldest():
    texts = [f"Bad {number}." for number in range(remembered.MAX_REJECTIONS + 3)]
    kept = remembered.noted(AgentStatus(), [verdict(text) for text in texts])
    assert [item.revision for item in kept] == [cut(text).name for text in texts[3:]]
    promoted = [verdict(texts[-1], Result.PROMOTED, attempt=2)]
    after = remembered.noted(AgentStatus(rejected=kept), promoted)
    assert len(after) == len(kept) - 1, "a promotion takes it off the list"


def test_releases_after_it_do_not_prune_the_record_of_a_rejected_revision():
    good = [f"Prompt {number}." for number in range(14)]
    records = (
        record(BAD, 1, verdict=verdict(BAD)),
        *(record(text, n + 2, promoted=n + 1) for n, text in enumerate(good)),
    )
    plan = plan_agent(
        world(worlds.agent(good[-1], revisionHistoryLimit=2), records=records, ready_for=good[-1:])
    )
    deleted = {obj["metadata"]["name"] for _, obj in plan.deletions}
    assert cut(BAD).name not in deleted
    assert cut(good[0]).name in deleted


def test_an_agent_made_again_begins_anew_beside_its_rollout():
    old = rolled_back(agent_uid="another-uid")
    plan = plan_agent(
        world(
            worlds.agent(NEXT),
            records=(record(NEXT, 1),),
            projected_for=(NEXT,),
            ready_for=(NEXT,),
            rollouts=(rollout(old),),
            route_version=7,
        )
    )
    assert served(plan) == {cut(NEXT).hash}
    (_, status), *_ = plan.rollout_statuses
    assert status.agent_uid == "agent-uid"
    assert status.route_version > old.route_version
    assert status.verdicts[0] == verdict(BAD)


def test_an_agent_made_again_with_a_rejected_template_serves_nobody():
    plan = plan_agent(
        world(
            worlds.agent(BAD),
            records=(record(BAD, 1),),
            projected_for=(BAD,),
            ready_for=(BAD,),
            rollouts=(rollout(rolled_back(agent_uid="another-uid")),),
            route_version=7,
        )
    )
    assert served(plan) == set()
    assert plan.agent_status is not None
    said = {item.type: item for item in plan.agent_status.conditions}
    assert said["Stalled"].status == "True"
    assert said["Ready"].reason == "CandidateRejected"


def test_a_stable_of_which_nothing_is_left_gets_no_traffic_while_another_can_serve():
    status = rolled_back(stable="Nothing is left of me.", canary_revision=None, verdicts=())
    plan = plan_agent(
        world(
            worlds.agent(NEXT),
            records=(record(GOOD, 1, promoted=1), record(NEXT, 2)),
            projected_for=(GOOD, NEXT),
            ready_for=(GOOD, NEXT),
            rollouts=(rollout(status),),
            route_version=7,
        )
    )
    assert plan.route is not None
    assert plan.route.split.stable == cut(GOOD).hash


def test_a_setpoint_left_over_from_an_agent_before_stays_a_ceiling():
    seen = SetpointSeen(percent=50, revision=cut(BAD).name, generation=1)
    old = rolled_back(agent_uid="another-uid", share=Share(setpoint=seen))
    made = world(
        worlds.agent(NEXT),
        records=(record(GOOD, 1, promoted=1), record(NEXT, 2)),
        projected_for=(GOOD, NEXT),
        ready_for=(GOOD, NEXT),
        rollouts=(rollout(old, traffic=Setpoint(canary_percent=50).wire()),),
        route_version=7,
        work={NEXT: RevisionWork()},
        pods={cut(GOOD).name: Pods(1, 1), cut(NEXT).name: Pods(1, 1)},
    )
    plan = plan_agent(made)
    assert plan.route is not None
    assert plan.route.split.percent < 50


def test_a_template_with_the_name_of_another_is_not_taken_for_it(monkeypatch):
    before = stock.revision.content_hash
    collide = {GOOD: "00000000", NEXT: "00000000"}
    monkeypatch.setattr(
        stock.revision,
        "content_hash",
        lambda declared, refs: collide.get(declared.get("instructions")) or before(declared, refs),
    )
    plan = plan_agent(
        world(
            worlds.agent(NEXT),
            records=(record(GOOD, 1, promoted=1),),
            projected_for=(GOOD,),
            ready_for=(GOOD,),
        )
    )
    assert plan.agent_status is not None
    said = {item.type: (item.status, item.reason) for item in plan.agent_status.conditions}
    assert said["Stalled"] == ("True", "HashCollision")
    assert said["Accepted"] == ("False", "HashCollision")
    assert said["UpToDate"][0] == "False"
    assert served(plan) == {"00000000"}


def test_the_kill_switch_is_in_a_route_that_leads_nowhere():
    made = world(
        worlds.agent(BAD, suspended=True),
        records=(record(BAD, 1, verdict=verdict(BAD)),),
        route_version=4,
    )
    plan = plan_agent(replace(made, pods={}))
    assert plan.route is not None
    assert (plan.route.split.stable, plan.route.split.suspended) == ("", True)


# ------------------------------------------------------------------ which verdict holds: record or status


def at(told, moment, **more):
    return told.model_copy(update={"at": f"2026-11-21T09:{moment}:00Z", **more})


def second(status):
    """An AgentRollout that came later and governs nothing."""
    made = rollout(status)
    metadata = {**made["metadata"], "name": "later", "creationTimestamp": "2026-11-21T09:59:00Z"}
    return {**made, "metadata": metadata}


def last_verdict(noted, *statuses, **more):
    """What is held to be the last verdict on BAD, which its record tells otherwise."""
    made = world(
        worlds.agent(BAD),
        records=(record(GOOD, 1, promoted=1), record(BAD, 2, verdict=noted)),
        projected_for=(GOOD, BAD),
        ready_for=(GOOD,),
        rollouts=statuses,
        **more,
    )
    return stock.take_stock(made).known[cut(BAD).name].verdict


OLD, NEW = at(verdict(BAD), "10"), at(verdict(BAD, Result.PROMOTED, attempt=2), "20")


@pytest.mark.parametrize(
    ("noted", "told", "holds"),
    [
        (None, (OLD,), OLD),
        (OLD, (OLD, NEW), NEW),
        (NEW, (OLD,), NEW),
        (NEW, (NEW, at(OLD, "30")), at(OLD, "30")),
        (at(NEW, "30"), (at(NEW, "30"), at(OLD, "30")), at(OLD, "30")),
        (OLD, (OLD, at(verdict(BAD, Result.SUPERSEDED, attempt=2), "20")), OLD),
    ],
    ids=[
        "no note",
        "a promotion after",
        "an older status",
        "a rejection whose attempt began anew",
        "in the same second",
        "a retry that was superseded",
    ],
)
def test_the_later_verdict_holds(noted, told, holds):
    assert last_verdict(noted, rollout(rolled_back(verdicts=told))) == holds


def test_who_governs_nothing_promotes_nobody():
    idle = second(rolled_back(verdicts=(at(NEW, "50"),)))
    assert last_verdict(OLD, rollout(rolled_back(verdicts=(OLD,))), idle) == OLD
    foreign = rollout(rolled_back(verdicts=(at(NEW, "50"),), agent_uid="of-another"))
    assert last_verdict(OLD, foreign) == OLD


def test_an_older_rejection_elsewhere_hides_no_promotion():
    idle = second(rolled_back(verdicts=(OLD,)))
    assert last_verdict(OLD, rollout(rolled_back(verdicts=(OLD, NEW))), idle) == NEW
    later = second(rolled_back(verdicts=(at(OLD, "50"),)))
    assert last_verdict(NEW, rollout(rolled_back(verdicts=(NEW,))), later) == at(OLD, "50")


@pytest.mark.parametrize(
    ("asked", "result", "released"),
    [
        (f"retry/{cut(BAD).name}/1", "Accepted", True),
        (f"retry/{cut(BAD).name}/1", "Refused", False),
        (f"retry/{cut(GOOD).name}/1", "Accepted", False),
        (f"undo/{cut(BAD).name}/1", "Accepted", False),
        ("budget-lift/day/1", "Accepted", False),
    ],
)
def test_alone_nobody_is_released_without_a_request(asked, result, released):
    answer = Asked(value=asked, result=result, at="2026-11-21T09:30:00Z")
    status = AgentStatus(stable_revision=cut(BAD).name, last_request=answer)
    found = last_verdict(OLD, status=status)
    assert (found.result is Result.PROMOTED) is released
    assert not released or (found.attempt, found.at) == (2, answer.at)
