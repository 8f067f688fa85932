"""The order of the policy: swapping two checks ends a named case otherwise, or the list says that it does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from penstock.analysis.metrics import Tally
from penstock.api.analysis import Guardrails, OnStable
from penstock.api.strategy import OnDeadline
from penstock.rollout import (
    checks,
    deadline,
    gates,
    harm,
    holds,
    policy,
    proofs,
    returning,
    ring_checks,
    shadow_stage,
    watch,
)
from penstock.rollout.capacity import Capacity
from penstock.rollout.engine import decide
from penstock.rollout.policy import POLICY, Check
from tests.unit.rollout import corpus
from tests.unit.rollout.beside import COMPARED, beside
from tests.unit.rollout.test_deadlines import waiting
from tests.unit.rollout.test_does_not_come_back import with_a_gap
from tests.unit.rollout.test_external_gates import gated, says
from tests.unit.rollout.test_harm_budget import CALLS, HARM, has_done
from tests.unit.rollout.test_harm_budget import bounded as may_do
from tests.unit.rollout.test_money import bounded, refused
from tests.unit.rollout.test_returning import after_three
from tests.unit.rollout.test_returning import declare as returns
from tests.unit.rollout.test_rings import declare as ringed
from tests.unit.rollout.test_shadow_stage import declare as shadowed
from tests.unit.rollout.test_taken_off import ALONE, FEW
from tests.unit.rollout.test_undo import after_c, trying_c2
from tests.unit.rollout.test_watch import beside_a_rejected_canary, braked, breaking
from tests.unit.rollout.test_watch import declare as watching
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    NONE,
    SUSPECT,
    C,
    S,
    World,
    canary_world,
    promotion,
    rejection,
    stable_world,
    world_at,
)

OUTAGE = Tally(tasks=60, errors=40)
FAILING = Tally(tasks=60, errors=40, timed=60, latency_ms=60_000, latency_squares=70_000_000)
FAILING_AND_SLOW = FAILING._replace(latency_ms=900_000, latency_squares=14_000_000_000)
CANCELLED = {"left_out": 60, "cancelled": 60}
#: Both a little over their limit, stable hardly less.
UNCLEAR = (GOOD._replace(errors=10), GOOD._replace(errors=16))
#: Clearly fewer errors than a breach, and means of 14 s and 9.8 s that vary by 10 s.
SUSPECT_AND_SLOW = (
    Tally(tasks=100, errors=12, timed=100, latency_ms=1_400_000, latency_squares=29_600_000_000),
    Tally(tasks=100, errors=1, timed=100, latency_ms=980_000, latency_squares=19_600_000_000),
)


SLOWER = beside(seconds=4.0)
UNPROVEN = beside(minutes=1, ours=1, theirs=30)
GATED_AND_COMPARED = COMPARED.model_copy(update={"external": gated().external})
COMPARED_BY_THE_LETTER = COMPARED.model_copy(update={"guardrails": Guardrails(mode="Literal")})
#: Errors that are hardly harmless, and not suspicious either.
UNLIKELY = beside(minutes=2, ours=5, theirs=200, errors=0.2, stable_errors=0.02)


@dataclass(frozen=True)
class Case:
    """A world before a pass for which the order of two checks matters, and how the pass ends."""

    says: str
    first: Check
    then: Check
    world: Callable[[], World]
    percent: int
    waits: str
    told: tuple[str, ...] = ()


def dead(world):
    """The canary has had no ready pod for as long as is borne."""
    return world.pods(C, ready=0).decide().after(30)


def spent(world):
    """The canary has used up its cap."""
    return refused(bounded(world, canarySpendCapUSD="20").decide())


def harmful(world):
    """The canary has made as many irreversible calls as it may."""
    return has_done(may_do(world, **HARM).after(1).decide(), CALLS)


def late(world=None):
    """The canary has waited for as long as it may, which rejects it."""
    return waiting(OnDeadline.ROLLBACK, world=world).after(1001)


def breached_while_it_cannot_be_compared():
    world = world_at(95).measure(BAD, GOOD)
    before = world.observation()
    world.measure(ALONE, FEW).after(1).decide()
    world.observation = lambda: before
    return world


NEIGHBOURS = [
    Case(
        "an undo that was there before the status is not done, though it could be",
        checks.refused_request, checks.undo_requested,
        lambda: after_c().wipe_status().change(stable=C).ask("undo", S).pods(S),
        0, "NoCandidate", ("RequestRefused",),
    ),
    Case(
        "who goes back leaves what was braked",
        checks.undo_requested, watch.brake_released,
        lambda: watching(braked(), OnStable.REPORT).ask("undo", S).pods(S),
        0, "RolledBack", ("RolledBack", "Promoted"),
    ),
    Case(
        "with nothing to try a stable that breaks a limit is left",
        watch.stable_breaks, checks.settled,
        lambda: breaking(OnStable.ROLLBACK).pods(C),
        0, "RolledBack", ("RolledBack", "Promoted"),
    ),
    Case(
        "a promotion that the lost status missed does not begin anew",
        checks.promoted_before, checks.superseded,
        lambda: stable_world().record(C, promoted_sequence=2, verdict=promotion(C)).apply(C).wipe_status(),
        0, "NoCandidate", ("Promoted",),
    ),
    Case(
        "who is tried is superseded by a revision that stays rejected",
        checks.superseded, checks.rejected,
        lambda: world_at(50).record(C2, verdict=rejection(C2, message="bad")).apply(C2),
        0, "RolledBack", ("Superseded", "CandidateStarted", "RolledBack"),
    ),
    Case(
        "dead pods are not suspended first when a person aborts",
        checks.abort_requested, harm.unavailable,
        lambda: dead(world_at(20)).ask("abort"),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "pods are dead, and stable fails too",
        harm.unavailable, harm.shared_incident,
        lambda: dead(world_at(20)).measure(OUTAGE, OUTAGE),
        0, "CandidateUnavailable", ("Suspended",),
    ),
    Case(
        "stable fails too, and rows are missing",
        harm.shared_incident, harm.rows_missing,
        lambda: with_a_gap(world_at(20).measure(FAILING_AND_SLOW, FAILING)),
        0, "SharedIncident", ("Suspended",),
    ),
    Case(
        "rows are missing, and there is no rival",
        harm.rows_missing, harm.not_comparable,
        lambda: with_a_gap(world_at(95).measure(ALONE, FEW)),
        0, "RowsLost", ("Suspended",),
    ),
    Case(
        "taken off for want of a rival, it is not condemned on what was before",
        harm.not_comparable, harm.guardrail,
        breached_while_it_cannot_be_compared,
        0, "NotComparable",
    ),
    Case(
        "a breach by the letter is told by its limit, also where stable is better as well",
        harm.guardrail, harm.evidence_of_harm,
        lambda: world_at(20, analysis=COMPARED_BY_THE_LETTER).measure(BAD, compared=SLOWER),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "who is worse than stable and has spent its cap is rejected",
        harm.evidence_of_harm, harm.spend_cap,
        lambda: spent(world_at(20, analysis=COMPARED)).measure(compared=SLOWER),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "what was spent at 20 % stops it at 20 %, not at the setpoint of 5",
        harm.spend_cap, checks.lowering,
        lambda: spent(world_at(20)).set(5),
        0, "SpendCapReached", ("Stopped",),
    ),
    Case(
        "a setpoint gives way to a ceiling",
        checks.lowering, checks.kept,
        lambda: canary_world().set(50).decide().set(30, "another"),
        30, "CeilingReached", ("PercentChanged",),
    ),
    Case(
        "while a person goes back the share is kept when its setpoint goes",
        checks.kept, holds.undo_awaits_pods,
        lambda: trying_c2(20).set(50).decide().ask("undo", S).set(None),
        50, "Undoing", ("StepStarted",),
    ),
    Case(
        "the kill switch is on, and no pod is ready",
        holds.agent_suspended, holds.not_ready,
        lambda: canary_world().pods(C, ready=0).change(agent_suspended=True),
        5, "AgentSuspended",
    ),
    Case(
        "a setpoint waits for pods",
        holds.not_ready, checks.setpoint,
        lambda: canary_world().pods(C, ready=0).set(50),
        5, "CandidateNotReady",
    ),
    Case(
        "a setpoint and promote come together",
        checks.setpoint, checks.promote_requested,
        lambda: canary_world().set(50).ask("promote"),
        50, "HeldBySetpoint", ("PercentSetManually", "RequestAccepted"),
    ),
    Case(
        "promote-full outranks a setpoint",
        checks.promote_requested, checks.held_by_setpoint,
        lambda: canary_world().set(20).decide().ask("promote-full"),
        0, "NoCandidate", ("Promoted",),
    ),
    Case(
        "what a person holds needs no measurement",
        checks.held_by_setpoint, holds.measurement_missing,
        lambda: canary_world().set(20).decide().blind(),
        20, "HeldBySetpoint",
    ),
    Case(
        "paused, and rows are missing",
        holds.rows_lost, holds.paused,
        lambda: with_a_gap(world_at(20)).edit(paused=True),
        20, "RowsLost",
    ),
    Case(
        "paused, and a ceiling goes",
        holds.paused, checks.ceiling,
        lambda: world_at(50).set(30, "another").decide().edit(paused=True).set(None),
        30, "Paused",
    ),
    Case(
        "who returns to what was good is not late",
        returning.within_window, deadline.exceeded,
        lambda: returns(late(after_three().apply(C).pods(C).change(capacity=Capacity(0, 1000, 1000))), 3),
        0, "NoCandidate", ("Promoted",),
    ),
    Case(
        "who has not been tried on copies is given no user, chosen or not",
        shadow_stage.copies_awaited, ring_checks.rings_first,
        lambda: shadowed(ringed(stable_world())).apply(C).pods(C),
        0, "AwaitingEvidence", ("CandidateStarted",),
    ),
    Case(
        "who was chosen goes before who is drawn",
        ring_checks.rings_first, checks.first_step,
        lambda: ringed(stable_world()).apply(C).pods(C),
        0, "Holding", ("CandidateStarted", "StepStarted"),
    ),
    Case(
        "before the first step there is no hold",
        checks.first_step, checks.hold_not_over,
        lambda: stable_world().apply(C).pods(C),
        5, "Holding", ("CandidateStarted", "StepStarted"),
    ),
    Case(
        "a person is not asked before the hold is over",
        checks.hold_not_over, checks.evidence_unclear,
        lambda: canary_world().measure(*UNCLEAR).after(30),
        5, "Holding",
    ),
    Case(
        "one check is unclear, another one suspect",
        checks.evidence_unclear, checks.evidence_suspect,
        lambda: canary_world().measure(*SUSPECT_AND_SLOW).after(61),
        5, "AnalysisUnclear", ("AnalysisUnclear",),
    ),
    Case(
        "callers cancel what is suspect",
        checks.evidence_suspect, checks.callers_cancel,
        lambda: canary_world().measure(SUSPECT._replace(**CANCELLED)).after(61),
        5, "AwaitingEvidence",
    ),
    Case(
        "callers cancel so much that tasks are missing",
        checks.callers_cancel, checks.evidence_not_sufficient,
        lambda: canary_world().measure(GOOD._replace(tasks=1, errors=0, **CANCELLED)).after(61),
        5, "AnalysisUnclear", ("AnalysisUnclear",),
    ),
    Case(
        "nobody is eligible where nothing is proven either",
        checks.evidence_not_sufficient, proofs.not_proven,
        lambda: world_at(20, analysis=COMPARED).measure(canary=NONE, compared=UNLIKELY).after(600),
        50, "Holding", ("StepPassed", "StepStarted"),
    ),
    Case(
        "a gate is closed where the next share is not proven either",
        proofs.not_proven, gates.closed,
        lambda: says(world_at(20, analysis=COMPARED).measure(compared=UNPROVEN)
                     .edit(analysis=GATED_AND_COMPARED).after(61)),
        20, "AwaitingEvidence",
    ),
    Case(
        "a person is asked for approval when the gates are open",
        gates.closed, checks.approval_missing,
        lambda: says(world_at(20, steps=APPROVED_AT_20).edit(analysis=gated()).after(61)),
        20, "ExternalMissing", ("ExternalMissing",),
    ),
    Case(
        "a step that wants approval is not left by itself",
        checks.approval_missing, checks.advance,
        lambda: world_at(20, steps=APPROVED_AT_20).after(61),
        20, "HoldForApproval", ("HoldForApproval",),
    ),
    Case(
        "a final hold without a task of the canary",
        checks.final_watch, checks.promote,
        lambda: world_at(95).measure(canary=NONE).after(3600),
        95, "AwaitingEvidence",
    ),
]  # fmt: skip

FURTHER = [
    Case(
        "workers for the first step are missing for too long",
        deadline.exceeded, checks.first_step,
        lambda: late(stable_world().apply(C).pods(C).change(capacity=Capacity(0, 1000, 1000))),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "with nothing to try a person goes back all the same",
        checks.undo_requested, checks.settled,
        lambda: after_c().ask("undo", S).pods(S),
        0, "RolledBack", ("RolledBack", "Promoted"),
    ),
    Case(
        "stable is left for a limit also beside a rejected canary",
        watch.stable_breaks, checks.rejected,
        lambda: breaking(OnStable.ROLLBACK, beside_a_rejected_canary()).pods(S),
        0, "RolledBack", ("RolledBack", "Promoted"),
    ),
    Case(
        "a standing 0 holds a new revision",
        checks.ceiling, checks.first_step,
        lambda: stable_world().set(0).decide().apply(C).pods(C),
        0, "CeilingReached", ("CandidateStarted",),
    ),
    Case(
        "what a ceiling holds is not late",
        checks.ceiling, deadline.exceeded,
        lambda: late().set(5, "another"),
        5, "CeilingReached",
    ),
    Case(
        "paused, nobody returns",
        holds.paused, returning.within_window,
        lambda: returns(after_three().apply(C).pods(C), 3).edit(paused=True),
        0, "Paused", ("CandidateStarted",),
    ),
    Case(
        "who returns skips the steps",
        returning.within_window, checks.first_step,
        lambda: returns(after_three().apply(C).pods(C), 3),
        0, "NoCandidate", ("CandidateStarted", "Promoted"),
    ),
    Case(
        "paused, time rejects nobody",
        holds.paused, deadline.exceeded,
        lambda: late().edit(paused=True),
        5, "Paused",
    ),
    Case(
        "a person is asked for approval when the next share is proven",
        proofs.not_proven, checks.approval_missing,
        lambda: world_at(20, steps=APPROVED_AT_20, analysis=COMPARED).measure(compared=UNPROVEN).after(61),
        20, "AwaitingEvidence",
    ),
    Case(
        "a setpoint goes past a closed gate",
        checks.setpoint, gates.closed,
        lambda: says(canary_world(analysis=gated()).after(61)).set(50),
        50, "HeldBySetpoint", ("PercentSetManually",),
    ),
    Case(
        "what breaks a limit behind a closed gate is rejected",
        harm.guardrail, gates.closed,
        lambda: says(canary_world(analysis=gated()).after(61)).measure(BAD),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "a person is asked for approval when evidence is in",
        checks.evidence_not_sufficient, checks.approval_missing,
        lambda: world_at(20, steps=APPROVED_AT_20).measure(Tally(tasks=3)).after(61),
        20, "AwaitingEvidence",
    ),
    Case(
        "a breach at 20 % is told at 20 %, not at the setpoint of 5",
        harm.guardrail, checks.lowering,
        lambda: world_at(20).set(5).measure(BAD),
        0, "RolledBack", ("RolledBack", "PercentRefused"),
    ),
    Case(
        "what is worse at 20 % is told at 20 %, not at the setpoint of 5",
        harm.evidence_of_harm, checks.lowering,
        lambda: world_at(20, analysis=COMPARED).set(5).measure(compared=SLOWER),
        0, "RolledBack", ("RolledBack", "PercentRefused"),
    ),
    Case(
        "who breaks a limit and has spent its cap is rejected",
        harm.guardrail, harm.spend_cap,
        lambda: spent(world_at(20)).measure(BAD),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "a shared incident comes before what was spent in it",
        harm.shared_incident, harm.spend_cap,
        lambda: spent(world_at(20)).measure(OUTAGE, OUTAGE),
        0, "SharedIncident", ("Suspended",),
    ),
    Case(
        "no setpoint raises who has spent its cap",
        harm.spend_cap, checks.setpoint,
        lambda: spent(world_at(20)).set(30),
        0, "SpendCapReached", ("Stopped",),
    ),
    Case(
        "paused, a spent cap still stops it",
        harm.spend_cap, holds.paused,
        lambda: spent(world_at(20)).edit(paused=True),
        0, "SpendCapReached", ("Stopped",),
    ),
    Case(
        "who is worse than stable and has done all that it may is rejected",
        harm.evidence_of_harm, harm.spend_cap,
        lambda: harmful(world_at(20, analysis=COMPARED)).measure(compared=SLOWER),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "who breaks a limit and has done all that it may is rejected",
        harm.guardrail, harm.spend_cap,
        lambda: harmful(world_at(20)).measure(BAD),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "a shared incident comes before what was done in it",
        harm.shared_incident, harm.spend_cap,
        lambda: harmful(world_at(20)).measure(OUTAGE, OUTAGE),
        0, "SharedIncident", ("Suspended",),
    ),
    Case(
        "what was done at 20 % stops it at 20 %, not at the setpoint of 5",
        harm.spend_cap, checks.lowering,
        lambda: harmful(world_at(20)).set(5),
        0, "HarmBudgetReached", ("Stopped",),
    ),
    Case(
        "no setpoint raises who has done all that it may",
        harm.spend_cap, checks.setpoint,
        lambda: harmful(world_at(20)).set(30),
        0, "HarmBudgetReached", ("Stopped",),
    ),
    Case(
        "paused, who has done all that it may is still stopped",
        harm.spend_cap, holds.paused,
        lambda: harmful(world_at(20)).edit(paused=True),
        0, "HarmBudgetReached", ("Stopped",),
    ),
    Case(
        "a canary that is replaced is not condemned",
        checks.superseded, harm.guardrail,
        lambda: world_at(50).measure(BAD).apply(C2).pods(C2),
        5, "Holding", ("Superseded", "CandidateStarted", "StepStarted"),
    ),
    Case(
        "a rejected canary gets nothing by a setpoint",
        checks.rejected, checks.setpoint,
        lambda: world_at(20).measure(BAD).decide().measure().set(50, C),
        0, "RolledBack", ("PercentRefused",),
    ),
    Case(
        "abort works under the kill switch",
        checks.abort_requested, holds.agent_suspended,
        lambda: world_at(20).change(agent_suspended=True).decide().ask("abort"),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "what fails while its pods die is not to blame yet",
        harm.unavailable, harm.guardrail,
        lambda: dead(world_at(20)).measure(BAD),
        0, "CandidateUnavailable", ("Suspended",),
    ),
    Case(
        "no setpoint outlives a breach",
        harm.guardrail, checks.setpoint,
        lambda: world_at(20).set(100).measure(BAD),
        0, "RolledBack", ("RolledBack", "PercentRefused"),
    ),
    Case(
        "paused, a rollback still acts",
        harm.guardrail, holds.paused,
        lambda: world_at(20).edit(paused=True).measure(BAD),
        0, "RolledBack", ("RolledBack",),
    ),
    Case(
        "lowering does not wait for pods",
        checks.lowering, holds.not_ready,
        lambda: world_at(50).pods(C, ready=0).set(5),
        5, "CandidateNotReady", ("PercentSetManually",),
    ),
    Case(
        "under the kill switch a setpoint raises nothing",
        holds.agent_suspended, checks.setpoint,
        lambda: canary_world().change(agent_suspended=True).set(50),
        5, "AgentSuspended",
    ),
    Case(
        "nothing is promoted onto pods that cannot serve",
        holds.not_ready, checks.promote_requested,
        lambda: canary_world().pods(C, ready=0).ask("promote"),
        5, "CandidateNotReady",
    ),
    Case(
        "paused, a setpoint still acts",
        checks.setpoint, holds.paused,
        lambda: canary_world().edit(paused=True).set(50),
        50, "HeldBySetpoint", ("PercentSetManually",),
    ),
    Case(
        "promote passes a missing measurement",
        checks.promote_requested, holds.measurement_missing,
        lambda: canary_world().blind().ask("promote"),
        20, "MeasurementMissing", ("StepPassed", "StepStarted", "MeasurementMissing"),
    ),
    Case(
        "promote passes a hold",
        checks.promote_requested, checks.hold_not_over,
        lambda: canary_world().ask("promote"),
        20, "Holding", ("StepPassed", "StepStarted"),
    ),
    Case(
        "without a measurement nothing is raised by itself",
        holds.measurement_missing, checks.advance,
        lambda: canary_world().blind().after(61),
        5, "MeasurementMissing", ("MeasurementMissing",),
    ),
    Case(
        "paused, nothing is raised by itself",
        holds.paused, checks.advance,
        lambda: canary_world().edit(paused=True).after(61),
        5, "Paused",
    ),
    Case(
        "a hold lasts as long as it says",
        checks.hold_not_over, checks.advance,
        lambda: canary_world().after(30),
        5, "Holding",
    ),
]  # fmt: skip


def swapped(first, then):
    """The policy with two checks in each other's places."""
    order = [entry.check for entry in POLICY]
    one, other = order.index(first), order.index(then)
    entries = list(POLICY)
    entries[one], entries[other] = entries[other], entries[one]
    return tuple(entries)


@pytest.mark.parametrize("case", NEIGHBOURS + FURTHER, ids=lambda case: case.says)
def test_the_order_of_two_checks_decides_how_a_pass_ends(case, monkeypatch):
    world = case.world()
    before = world.seen()
    world.take(decide(before))
    ends = (case.percent, case.waits, case.told)
    assert (world.percent, world.waits, tuple(world.reasons())) == ends
    blamed = {verdict.check for verdict in world.status.verdicts}
    monkeypatch.setattr(policy, "POLICY", swapped(case.first, case.then))
    world.take(decide(before))
    otherwise = {verdict.check for verdict in world.status.verdicts}
    assert (world.percent, world.waits, tuple(world.reasons()), otherwise) != (*ends, blamed)


def test_every_neighbour_has_a_case_or_is_free_to_stand_elsewhere():
    told = [(case.first, case.then) for case in NEIGHBOURS]
    expected = [
        (one.check, other.check) for one, other in itertools.pairwise(POLICY) if not other.free
    ]
    assert told == expected


def test_a_check_that_is_free_decides_nothing_by_its_place(monkeypatch):
    """Only where both of two neighbours answer, and nothing before them does, can their order matter."""
    free = [i for i, entry in enumerate(POLICY) if entry.free]
    asked, both = [], []
    real = policy.next_move
    monkeypatch.setattr(policy, "next_move", lambda facts: asked.append(facts) or real(facts))

    def decided(situation):
        both.extend((situation, i) for i in free if any(clash(facts, i) for facts in asked))
        asked.clear()

    assert len(corpus.situations(decided)) > 1000
    for case in NEIGHBOURS + FURTHER:
        situation = case.world().seen()
        asked.clear()
        decide(situation)
        decided(situation)
    for situation, i in both:
        decision = decide(situation)
        with monkeypatch.context() as patch:
            patch.setattr(policy, "POLICY", swapped(POLICY[i - 1].check, POLICY[i].check))
            assert decide(situation) == decision, POLICY[i]


def clash(facts, index):
    """Whether a check and the one before it both have an answer that is asked for."""
    before, here = POLICY[index - 1].check(facts), POLICY[index].check(facts)
    if before is None or here is None:
        return False
    return all(entry.check(facts) is None for entry in POLICY[: index - 1])


def test_every_entry_says_why_it_stands_there():
    assert all(8 < len(entry.why) < 90 for entry in POLICY)
