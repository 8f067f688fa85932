"""Random people and random weather: what no history may break.

The machine plays an operator that keeps records and status, loses the status now and then, and
passes it through JSON each time. The rules keep their own, simpler book of what must hold.
"""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock import rings
from penstock.analysis.metrics import Tally
from penstock.api.analysis import OnSharedIncident, OnStable
from penstock.api.fields import micro_usd
from penstock.api.rings import Ring
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import OnDeadline, Step, StepApproval
from penstock.money.ledger import Limit, Scope, Stop, Unit, Window
from penstock.traffic import Arm
from tests.unit.rollout.world import BAD, C2, GOOD, NONE, SUSPECT, C, S, stable_world

REVISIONS = (S, C, C2)
WEATHER = (
    GOOD,
    GOOD,
    GOOD,
    BAD,
    NONE,
    Tally(tasks=3, errors=1),
    SUSPECT,
    Tally(tasks=300, errors=200),
)
RINGS = ("staff", "friends", "press")
SHARES = st.sampled_from((0, 3, 5, 12, 20, 50, 60, 95, 97, 100))
STEP_LISTS = st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(sorted)


def traffic(status):
    return (
        status.stable_revision,
        status.canary_revision,
        status.share.percent,
        status.salt,
        status.unit,
        status.suspended,
        status.chosen,
    )


class Rollout(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = stable_world()
        self.before = self.world.status
        self.retried = False
        self.edited = False
        self.nonce = 0
        self.judged = 0
        self.served = {S}
        self.returned = False

    # -- the operator: every rule ends with one pass --------------------------------------------

    def decide(self):
        status = AgentRolloutStatus.model_validate(self.world.status.wire())
        self.before = status
        self.world.change(status=status)
        self.world.decide()
        self.check_pass()
        self.edited = False

    def check_pass(self):
        before, after = self.before, self.world.status
        self.check_versions(before, after)
        self.check_rejections(after)
        self.check_share(before, after)
        self.check_stable(before, after)
        self.served.add(after.stable_revision)
        self.check_stop(before, after)
        self.check_deadline(before, after)
        self.check_rings(before, after)

    def check_rings(self, before, after):
        """Who was chosen keeps the canary as long as it is on, and comes to it before the percentage counts."""
        same = (before.attempt, before.canary_revision) == (after.attempt, after.canary_revision)
        if not same or Stage.DONE in (before.stage, after.stage):
            return
        old, new = (
            {ring.name: ring.members for ring in status.rings} for status in (before, after)
        )
        assert all(set(rings.each(old[name])) <= set(rings.each(new[name])) for name in old)
        assert list(new)[: len(old)] == list(old), "in the order in which they were given it"
        if after.chosen and after.stage is Stage.RINGS:
            assert after.share.percent == 0
        if len(new) > len(old):
            fresh = before.stage is Stage.STEPS and before.step_started_at is None
            late = fresh and before.route_version == before.analysis.since_version
            assert late or before.stage in (Stage.SHADOW, Stage.RINGS)
            self.check_opened(before, after)

    def check_opened(self, before, after):
        """A ring is opened as a share is raised: with a pod, with eyes, and with nobody against it."""
        pods = self.world.situation.pods[after.canary_revision]
        assert pods.ready or pods.wanted == 0
        assert not self.world.situation.agent_suspended
        answered = after.last_request != before.last_request
        if not (answered and after.last_request.result == "Accepted"):
            assert self.world.measuring
            assert not self.world.situation.spec.paused

    def check_stop(self, before, after):
        """A canary that has used up its cap has no users up to half of them, until somebody lets it."""
        declared = self.world.situation.spec.analysis.canary_spend_cap_usd
        cap = micro_usd(declared) if declared else math.inf
        told = self.world.situation.stops.get(after.canary_revision, ())
        bounded = not (after.suspended or after.suspension.unbounded)
        if bounded and any(stop.limit.most >= cap for stop in told):
            assert after.share.percent == 0 or after.share.percent > 50
        was, same = (
            before.suspension and before.suspension.stop,
            (before.attempt, before.canary_revision),
        )
        if was and same == (after.attempt, after.canary_revision) and after.share.percent:
            assert cap > was.most or after.suspension.unbounded
        if after.suspension.stop:
            assert (after.share.percent, after.share.source) == (0, Source.SUSPENDED)
            assert not after.chosen

    def check_versions(self, before, after):
        if before.route_version:
            changed = traffic(before) != traffic(after)
            assert after.route_version == before.route_version + changed
        assert after.epoch >= before.epoch
        if before.canary_revision != after.canary_revision and after.canary_revision:
            assert after.salt != before.salt or not before.salt

    def check_rejections(self, after):
        record = self.world.situation.records.get(after.canary_revision or "")
        if record and record.rejected_attempt >= max(after.attempt, 1):
            assert after.share.percent == 0
            assert after.share.source is Source.ROLLBACK
            assert not after.chosen
        if record and record.rejected_attempt:
            assert after.share.percent == 0 or after.attempt > record.rejected_attempt
        for verdict in self.world.verdicts:
            assert verdict.message
        assert len(after.verdicts) <= 10

    def check_deadline(self, before, after):
        """Time decides only for who is seen, unheld and on; and promotes nobody without tasks."""
        late = [v for v in self.world.verdicts[self.judged :] if v.reason == "DeadlineExceeded"]
        self.judged = len(self.world.verdicts)
        if not late:
            return
        situation = self.world.situation
        assert self.world.measuring
        assert not situation.spec.paused
        assert not situation.agent_suspended
        assert before.share.source is not Source.SUSPENDED
        declared = situation.spec.strategy.on_deadline
        if late[-1].result == "Promoted":
            assert declared is OnDeadline.PROMOTE
            assert self.world.measured[Arm.CANARY].tasks
        else:
            assert declared is OnDeadline.ROLLBACK
            assert after.share.percent == 0

    def check_share(self, before, after):
        seen = after.share.setpoint
        owned = seen is not None and seen.revision == after.canary_revision
        if seen is not None and not owned:
            assert after.share.percent <= seen.percent, "never above a ceiling"
        if owned and seen.percent < before.share.percent:
            assert after.share.percent <= seen.percent, "lowering is immediate"
        same = before.canary_revision == after.canary_revision and after.stage is not Stage.DONE
        if same and before.stage is not Stage.DONE:
            self.check_same_canary(before, after, owned)

    def check_same_canary(self, before, after, owned):
        assert after.salt == before.salt or self.retried
        lowered = after.share.percent < before.share.percent
        if lowered and not owned and after.share.setpoint is None:
            assert after.share.source is Source.SUSPENDED, "the path itself never lowers"
        if self.edited:
            assert not lowered or after.share.source is Source.SUSPENDED
        if after.share.percent > before.share.percent:
            self.check_raise(before, after, owned)

    def check_raise(self, before, after, owned):
        pods = self.world.situation.pods[self.world.status.canary_revision]
        assert pods.ready or pods.wanted == 0, "nothing is raised onto pods that cannot serve"
        answered = after.last_request != before.last_request
        if owned or (answered and after.last_request.result == "Accepted"):
            return
        assert self.world.measuring, "nothing is raised blindly"
        assert not self.world.situation.spec.paused
        assert not self.world.situation.agent_suspended
        held_back = before.share.source is Source.CEILING  # what it catches up was earned before
        theirs = self.world.measured[Arm.STABLE]
        worse = 4 * theirs.errors > theirs.tasks  # who is clearly better than stable is not suspect
        suspect = self.world.measured[Arm.CANARY] is SUSPECT and before.share.percent and not worse
        assert not suspect or held_back
        by_evidence = before.share.source is Source.AUTOMATIC and before.stage is Stage.STEPS
        if by_evidence and before.step_started_at:
            ours, theirs = (self.world.measured[arm] for arm in (Arm.CANARY, Arm.STABLE))
            assert theirs.tasks, "no advance without stable"
            assert ours.tasks or self.world.condition("NoEligibleUsers")

    def check_stable(self, before, after):
        if before.stable_revision and after.stable_revision != before.stable_revision:
            assert after.verdicts[-1].result == "Promoted"
            assert after.verdicts[-1].revision == after.stable_revision
            if after.verdicts[-1].reason == "AllStepsPassed":
                assert self.world.measured[Arm.CANARY].tasks, "nobody is promoted untried"
            returned = after.verdicts[-1].reason == "Returned"
            if returned and "broke a limit" in after.verdicts[-1].message:
                self.check_gone_back(before, after)
            elif returned:
                self.check_return(before, after)
            self.returned = returned

    def check_gone_back(self, before, after):
        """Stable was left for a limit: once, to one that was good, by what was seen of it alone."""
        situation = self.world.situation
        assert situation.spec.analysis.guardrails.on_stable is OnStable.ROLLBACK
        assert not situation.agent_suspended
        assert self.world.measuring
        assert before.stage is Stage.DONE
        assert after.stable_revision in self.served
        assert situation.records[before.stable_revision].rejected_attempt
        assert not self.returned, "nobody is sent to and fro"

    def check_return(self, before, after):
        """Who skips the steps was good before, and nobody and nothing holds it."""
        situation = self.world.situation
        assert situation.spec.strategy.rollback_window_revisions
        assert not situation.spec.paused
        assert not situation.agent_suspended
        assert self.world.measuring
        assert after.stable_revision in self.served
        seen = before.share.setpoint
        assert seen is None or seen.percent == 100 or before.canary_revision != seen.revision

    # -- weather -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0, 1, 5, 29, 31, 61, 200, 4000)))
    def time_passes(self, seconds):
        self.world.after(seconds)
        self.decide()

    @rule(canary=st.sampled_from(WEATHER), stable=st.sampled_from(WEATHER))
    def weather_changes(self, canary, stable):
        self.world.measure(canary, stable)
        self.decide()

    @rule()
    def good_weather_and_a_hold_that_ends(self):
        self.world.measure().after(61)
        self.decide()

    @rule()
    def measurement_fails(self):
        self.world.blind()
        self.decide()

    @rule(revision=st.sampled_from(REVISIONS), ready=st.integers(0, 1), wanted=st.integers(0, 1))
    def pods_come_and_go(self, revision, ready, wanted):
        self.world.pods(revision, ready=ready, wanted=max(ready, wanted))
        self.decide()

    @rule(ours=st.sampled_from((0.0, 40.0)), theirs=st.sampled_from((0.0, 40.0)))
    def queues_age(self, ours, theirs):
        self.world.change(queue_age_seconds={C: ours, C2: ours, S: theirs})
        self.decide()

    @precondition(lambda self: self.world.percent > 0)
    @rule(dollars=st.integers(1, 3))
    def the_canary_spends_its_cap(self, dollars):
        limit = Limit(Scope.CANARY, Window.TOTAL, Unit.MICRO_USD, dollars * 1_000_000)
        self.world.change(stops={self.world.status.canary_revision: (Stop(limit, limit.most),)})
        self.declare_cap(str(dollars))

    @rule()
    def redis_forgets_what_was_spent(self):
        self.world.change(stops={})
        self.decide()

    def declare_cap(self, cap):
        analysis = self.world.situation.spec.analysis
        self.world.edit(analysis=analysis.model_copy(update={"canary_spend_cap_usd": cap}))
        self.decide()

    # -- people --------------------------------------------------------------------------------

    @rule(cap=st.sampled_from((None, "1", "2", "3")))
    def a_cap_is_declared(self, cap):
        self.declare_cap(cap)

    @rule(revision=st.sampled_from(REVISIONS))
    def the_agent_is_applied(self, revision):
        self.world.apply(revision)
        if revision not in self.world.situation.pods:
            self.world.pods(revision)
        self.decide()

    @rule(percent=st.none() | SHARES, revision=st.sampled_from((None, None, C, C2, "2.0", "x")))
    def a_setpoint_is_set(self, percent, revision):
        self.world.set(percent, revision)
        self.decide()

    @rule(percents=STEP_LISTS, approval=st.sampled_from(StepApproval))
    def the_steps_are_edited(self, percents, approval):
        self.edited = True
        steps = [Step(percent=p, hold_seconds=60, min_tasks=5, approval=approval) for p in percents]
        self.world.steps(*steps)
        self.decide()

    @rule(
        named=st.lists(st.sampled_from(RINGS), max_size=3, unique=True),
        users=st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=2),
    )
    def the_rings_are_edited(self, named, users):
        strategy = self.world.situation.spec.strategy
        found = tuple(Ring(name=n, users=tuple(users), hold_seconds=60, min_tasks=5) for n in named)
        self.world.edit(strategy=strategy.model_copy(update={"rings": found or None}))
        self.decide()

    @rule(seconds=st.sampled_from((None, 10, 300)), then=st.none() | st.sampled_from(OnDeadline))
    def a_deadline_is_declared(self, seconds, then):
        strategy = self.world.situation.spec.strategy
        declared = {"progress_deadline_seconds": seconds, "on_deadline": then}
        self.world.edit(strategy=strategy.model_copy(update=declared))
        self.decide()

    @rule(seconds=st.sampled_from((0, 60)))
    def a_final_hold_is_declared(self, seconds):
        strategy = self.world.situation.spec.strategy
        self.world.edit(strategy=strategy.model_copy(update={"final_hold_seconds": seconds}))
        self.decide()

    @rule(window=st.sampled_from((None, 1, 3)))
    def a_window_for_returns_is_declared(self, window):
        strategy = self.world.situation.spec.strategy
        declared = {"rollback_window_revisions": window}
        self.world.edit(strategy=strategy.model_copy(update=declared))
        self.decide()

    @rule(follows=st.sampled_from(OnSharedIncident))
    def an_incident_of_both_has_another_end(self, follows):
        analysis = self.world.situation.spec.analysis
        limits = analysis.guardrails.model_copy(update={"on_shared_incident": follows})
        self.world.edit(analysis=analysis.model_copy(update={"guardrails": limits}))
        self.decide()

    @rule(follows=st.sampled_from(OnStable))
    def a_stable_that_breaks_a_limit_has_another_end(self, follows):
        analysis = self.world.situation.spec.analysis
        limits = analysis.guardrails.model_copy(update={"on_stable": follows})
        self.world.edit(analysis=analysis.model_copy(update={"guardrails": limits}))
        self.decide()

    @invariant()
    def what_is_braked_admits_nothing_and_gives_nobody_more(self):
        status = self.world.status
        braked = status.brake is not None and status.brake.released_at is None
        assert status.suspended is (braked or self.world.situation.agent_suspended)
        if braked:
            guardrails = self.world.situation.spec.analysis.guardrails
            assert guardrails.on_stable is OnStable.SUSPEND

    @rule(paused=st.booleans())
    def somebody_pauses(self, paused):
        self.world.edit(paused=paused)
        self.decide()

    @rule(suspended=st.booleans())
    def the_kill_switch_is_thrown(self, suspended):
        self.world.change(agent_suspended=suspended)
        self.decide()

    @rule(
        verb=st.sampled_from(("promote", "promote-full", "abort", "retry", "undo", "nonsense")),
        revision=st.sampled_from((*REVISIONS, "1.0", "2.0")),
    )
    def somebody_asks(self, verb, revision):
        self.ask(verb, revision)

    @rule(revision=st.sampled_from((*REVISIONS, "1.0", "2.0")))
    def somebody_goes_back(self, revision):
        self.ask("undo", revision)

    @precondition(lambda self: self.world.status.canary_revision)
    @rule()
    def somebody_promotes_whatever_is_tried(self):
        self.world.pods(self.world.status.canary_revision)
        self.ask("promote-full", self.world.status.canary_revision)

    def ask(self, verb, revision):
        self.nonce += 1
        self.retried |= verb == "retry"
        self.world.change(fresh_salt=f"asked{self.nonce}")
        self.world.ask(verb, revision, self.nonce)
        self.decide()

    # -- accidents -----------------------------------------------------------------------------

    @precondition(lambda self: self.world.status.route_version > 1)
    @rule()
    def the_status_is_lost(self):
        stable = self.world.status.stable_revision
        self.world.wipe_status().change(stable=stable)
        self.decide()

    @rule()
    def the_operator_restarts(self):
        before = self.world.status
        self.world.decide()
        if not self.world.reasons():
            unchanged = before.model_copy(update={"analysis": self.world.status.analysis})
            assert traffic(unchanged) == traffic(self.world.status)

    # -- always --------------------------------------------------------------------------------

    @invariant()
    def without_a_canary_there_is_no_share(self):
        status = self.world.status
        if not status.canary_revision:
            assert status.share.percent == 0
            assert status.stage is Stage.DONE

    @invariant()
    def what_is_done_has_no_share(self):
        if self.world.status.stage is Stage.DONE:
            assert self.world.percent == 0
            assert self.world.status.rings == ()

    @invariant()
    def a_setpoint_of_0_leaves_nobody_on_the_canary(self):
        seen = self.world.status.share.setpoint
        if seen is not None and not seen.percent:
            assert not self.world.status.split.tries

    @invariant()
    def what_is_rejected_serves_nobody(self):
        status, records = self.world.status, self.world.situation.records
        assert not records[status.stable_revision].rejected_attempt
        if status.share.percent:
            told = records[status.canary_revision].rejected_attempt
            assert status.attempt > told or not told

    @invariant()
    def who_is_gone_back_to_has_served_and_was_not_rejected(self):
        if self.world.goal:
            record = self.world.situation.records[self.world.goal]
            assert record.served_sequence
            assert not record.rejected_attempt
            assert self.world.goal != self.world.status.stable_revision

    @invariant()
    def a_suspended_canary_has_no_share_and_a_way_back(self):
        status = self.world.status
        if status.share.source is Source.SUSPENDED:
            assert status.share.percent == 0
            assert status.held_percent or status.rings
            stopped = status.suspension.stop is not None
            assert self.world.condition("Suspended")[0] == str(not stopped)
            assert not stopped or self.world.condition("Stopped")[0] == "True"


Rollout.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestRolloutRules = Rollout.TestCase
