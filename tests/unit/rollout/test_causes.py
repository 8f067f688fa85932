"""The table of what is done about each kind of failure: every row is what the decision does."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.api.analysis import Result
from penstock.api.reasons import WaitReason
from penstock.rollout import causes
from penstock.rollout.causes import POLICIES, Cause, Ends, Users
from tests.unit.gitops.rollouts import WORLDS
from tests.unit.rollout.beside import alike
from tests.unit.rollout.test_external_gates import says
from tests.unit.rollout.world import C, S

PAGE = Path(__file__).parents[3] / "docs/operating/guardrails.md"
#: A verdict is no wait: the one row under which a canary is rejected.
VERDICT = WaitReason.ROLLED_BACK
#: How the page says it.
PHRASES = {
    Cause.REGRESSION: "a proven regression",
    Cause.SUSPICION: "a suspected regression",
    Cause.EVIDENCE: "too few tasks",
    Cause.MISSING_DATA: "missing data",
    Cause.OUTAGE: "an outage on both versions",
    Cause.WORKERS: "workers that are missing",
    Cause.BUDGET: "a budget",
    Cause.PERSON: "a person",
    Users.KEPT: "the canary, at the share that it has",
    Users.STABLE: "stable",
    Users.KEPT_OR_STABLE: "the canary; stable, where it is over a limit",
    Ends.ITSELF: "by itself",
    Ends.EITHER: "by itself if it passes, else by a person's word",
    Ends.PERSON: "by a person's word",
    Ends.ANOTHER: "by another revision, or `retry`",
}


def test_every_wait_has_its_row_or_no_failure_behind_it():
    assert set(POLICIES) | causes.NO_FAILURE == set(WaitReason)
    assert not set(POLICIES) & causes.NO_FAILURE


WAITING = [(name, made) for name, (made, _) in WORLDS.items()]


@pytest.mark.parametrize(("name", "made"), WAITING)
def test_each_row_is_kept_in_the_worlds_that_the_tests_have_for_it(name, made):
    world = made()
    reason = WaitReason(world.status.waiting)
    policy = POLICIES.get(reason)
    if policy is None:
        return
    percent = world.percent
    if policy.users is Users.STABLE:
        assert percent == 0
    rejected = {one.revision for one in world.verdicts if one.result is Result.REJECTED}
    assert (world.status.canary_revision in rejected) is (reason is VERDICT)
    assert world.decide().percent <= percent, "no row raises a share"


def passes(world):
    """Whether it is over in good weather: both versions do well, all pods are there, stores and gates answer, a day begins."""
    waiting = world.status.waiting
    vars(world).pop("observation", None)  # rows are not lost any more
    world.pods(C, 2, 2).pods(S, 2, 2).measure(compared=alike())
    world.change(store_error="", capacity=None, queue_age_seconds={}, stops={}).after(86_400)
    for _ in range(60):
        if world.situation.spec.analysis.external:
            says(world, "4.5")
        if world.step_over().status.waiting != waiting:
            return True
    return False


@pytest.mark.parametrize(("name", "made"), WAITING)
def test_what_passes_by_itself_does_and_what_a_person_decides_waits_for_him(name, made):
    world = made()
    policy = POLICIES.get(WaitReason(world.status.waiting))
    if policy is not None:
        assert passes(world) is (policy.ends in (Ends.ITSELF, Ends.EITHER))


def test_no_row_is_without_a_world():
    assert {made().status.waiting for _, made in WAITING} >= set(POLICIES)


def test_only_a_verdict_rejects_and_each_cause_has_a_row():
    assert {policy.cause for policy in POLICIES.values()} == set(Cause)
    assert [r for r, policy in POLICIES.items() if policy.ends is Ends.ANOTHER] == [VERDICT]


@pytest.mark.parametrize(("reason", "policy"), POLICIES.items())
def test_the_page_has_the_row(reason, policy):
    cause, users, ends = (PHRASES[part] for part in (policy.cause, policy.users, policy.ends))
    row = f"| {cause} | `{reason}` | {users} | {ends} |"
    assert row in PAGE.read_text(encoding="utf-8")
