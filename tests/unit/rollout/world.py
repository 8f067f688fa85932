"""A rollout in a test: a situation that can be moved on, decided, and looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from penstock import names
from penstock.analysis.comparison.compared import Compared
from penstock.analysis.day import Day
from penstock.analysis.evidence import TICK_MS, Observation, Stratum
from penstock.analysis.metrics import Tally
from penstock.api import condition
from penstock.api.analysis import Analysis, Guardrails, Reason, Result, Verdict
from penstock.api.rollout import AgentRef, AgentRolloutSpec, AgentRolloutStatus, Setpoint, Stage
from penstock.api.strategy import Step, StepApproval, Strategy
from penstock.rollout import given
from penstock.rollout.engine import decide
from penstock.rollout.situation import Happening, Pods, RevisionRecord, Situation
from penstock.traffic import Arm
from tests.unit.rollout.beside import alike

START = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
S, C, C2 = "support-51e0aa07", "support-7f3c9d2a", "support-30aa11bc"
APPROVED_AT_20 = (
    Step(percent=5, hold_seconds=60, min_tasks=20),
    Step(percent=20, hold_seconds=60, min_tasks=20, approval=StepApproval.REQUIRED),
    Step(percent=50, hold_seconds=60, min_tasks=20),
)
STEPS = tuple(step.model_copy(update={"approval": StepApproval.NONE}) for step in APPROVED_AT_20)
GOOD = Tally(tasks=100, errors=1, timed=100, latency_ms=100_000, latency_squares=110_000_000)
BAD = GOOD._replace(errors=40)
SUSPECT = Tally(tasks=24, errors=5, timed=24, latency_ms=24_000, latency_squares=26_000_000)
NONE = Tally()


def spec(
    steps=STEPS, final_hold=60, holdback=5, percent=None, revision=None, analysis=None, **rest
):
    rest.setdefault("paused", False)
    return AgentRolloutSpec(
        agent_ref=AgentRef(name="support"),
        strategy=Strategy(steps=steps, final_hold_seconds=final_hold, holdback_percent=holdback),
        analysis=analysis or Analysis(guardrails=Guardrails()),
        traffic=Setpoint(canary_percent=percent, canary_revision=revision),
        **rest,
    )


def promotion(revision, attempt=1):
    """A promotion as it stands on a record."""
    return rejection(revision, attempt, "by ann").model_copy(
        update={"result": Result.PROMOTED, "reason": Reason.REQUESTED}
    )


def rejection(revision, attempt=1, message="rude"):
    """A rejection as it stands on a record."""
    return Verdict(
        revision=revision,
        attempt=attempt,
        result=Result.REJECTED,
        reason=Reason.ERROR_RATE,
        message=message,
        at="2026-11-21T09:00:00Z",
    )


#: What nobody wrote into conditions, and what the engine once read there.
GARBAGE = tuple(
    condition.Condition(
        type=kind,
        status=condition.Status.TRUE,
        reason=reason,
        message="never written",
        observed_generation=9,
        last_transition_time="2031-01-01T00:00:00Z",
    )
    for kind, reason in (
        ("Suspended", "Resumed"),
        ("Progressing", "HoldForApproval"),
        ("AnalysisPassing", "StableBreaching"),
        ("NoEligibleUsers", "NoTaskReachedCandidate"),
        ("Ready", "Nonsense"),
        ("Unknown", "Nonsense"),
    )
)


def but_for_moments(decision):
    """A decision without the moments at which conditions changed, which only conditions know."""
    conditions = [
        one.model_copy(update={"last_transition_time": ""}) for one in decision.status.conditions
    ]
    return replace(decision, status=decision.status.model_copy(update={"conditions": conditions}))


def conditions_are_only_written(situation, decision):
    """Whatever stands in the conditions, or nothing, the decision is the same.

    A status of the version before has its state there; it is read out once.
    """
    if situation.status.suspension is None and situation.status.route_version:
        return
    for conditions in ((), GARBAGE):
        status = situation.status.model_copy(update={"conditions": conditions})
        other = decide(replace(situation, status=status))
        assert but_for_moments(other) == but_for_moments(decision), "conditions are read"


def decides_the_same_by_its_record(situation, decision):
    """What the record says that the engine was given, with the same measurement, gives the same entries."""
    if not decision.entries:
        return
    told = json.loads(decision.entries[0].text)
    read, _ = given.read(told["inputs"], told["parameters"])
    again = decide(replace(read, observation=situation.observation))
    assert again.entries == decision.entries


def holds_as_long_as_it_says(situation, decision):
    """With no task in the window, nothing but news changes a decision before its time."""
    observed = situation.observation
    if not decision.holds_seconds or observed is None or observed.window:
        return
    now = situation.now + timedelta(seconds=decision.holds_seconds - 0.001)
    measured = replace(observed, now_ms=int(now.timestamp() * 1000))
    later = replace(situation, now=now, status=decision.status, observation=measured)
    again = decide(later)
    assert again.status.wire() == decision.status.wire(), "it held for less"
    assert again.happenings == ()


@dataclass
class World:
    """One rollout with its weather; every change returns the world, ``decide`` moves it on."""

    situation: Situation
    told: list[Happening] = field(default_factory=list)
    verdicts: list = field(default_factory=list)
    entries: list = field(default_factory=list)
    measured: dict = field(default_factory=lambda: {Arm.CANARY: GOOD, Arm.STABLE: GOOD})
    measuring: bool = True
    compared: Compared | None = None
    costs: Day | None = None
    look_again: float = 0.0
    goal: str = ""
    promoted: str = ""
    salts: int = 1

    @property
    def status(self) -> AgentRolloutStatus:
        return self.situation.status

    @property
    def percent(self):
        return self.status.share.percent

    @property
    def source(self):
        return self.status.share.source.value

    def condition(self, kind):
        found = condition.find(self.status.conditions, kind)
        return (found.status.value, found.reason) if found else None

    def message(self, kind):
        return condition.find(self.status.conditions, kind).message

    @property
    def waits(self):
        return self.condition("Progressing")[1]

    def reasons(self):
        return [happening.reason for happening in self.told]

    # -- the weather -----------------------------------------------------------------------

    def change(self, **fields):
        self.situation = replace(self.situation, **fields)
        return self

    def after(self, seconds):
        return self.change(now=self.situation.now + timedelta(seconds=seconds))

    def pods(self, revision, ready=1, wanted=1, message=""):
        return self.change(pods={**self.situation.pods, revision: Pods(ready, wanted, message)})

    def measure(self, canary=GOOD, stable=GOOD, compared=None, costs=None, **_):
        self.measured = {Arm.CANARY: canary, Arm.STABLE: stable}
        self.costs = costs
        self.compared = compared or self.compared
        self.measuring = True
        return self

    def blind(self):
        self.measuring = False
        return self

    # -- people ----------------------------------------------------------------------------

    def edit(self, **fields):
        """A new spec, under a new generation."""
        return self.change(
            spec=self.situation.spec.model_copy(update=fields),
            generation=self.situation.generation + 1,
        )

    def set(self, percent, revision=None):
        return self.edit(traffic=Setpoint(canary_percent=percent, canary_revision=revision))

    def steps(self, *steps):
        strategy = self.situation.spec.strategy.model_copy(update={"steps": steps})
        return self.edit(strategy=strategy)

    def ask(self, verb, revision=C, nonce="1"):
        return self.change(request=f"{verb}/{revision}/{nonce}")

    def apply(self, latest):
        self.salts += 1
        return self.change(latest=latest, fresh_salt=f"salt{self.salts}")

    def wipe_status(self):
        """The status is lost; the records and the route's version are not."""
        floor = self.status.route_version
        return self.change(status=AgentRolloutStatus(), route_version_floor=floor)

    def record(self, revision, **fields):
        records = dict(self.situation.records)
        records[revision] = replace(records.get(revision, RevisionRecord(revision)), **fields)
        return self.change(records=records)

    # -- the operator ----------------------------------------------------------------------

    def observation(self):
        if not self.measuring:
            return None
        now_ms = int(self.situation.now.timestamp() * 1000)
        arms = {arm: tally for arm, tally in self.measured.items() if tally.tasks}
        under_way = self.status.stage is not Stage.DONE
        since_version = self.status.analysis.since_version if under_way else 0
        if not self.status.split.tries:
            arms = {arm: t for arm, t in arms.items() if arm is Arm.STABLE}
        window = (Stratum(now_ms // TICK_MS, since_version, arms),)
        return Observation(
            now_ms=now_ms,
            window=window if arms else (),
            total=arms,
            step=arms,
            counted_through=f"{now_ms - 1}-0",
            exposed={arm: tally.tasks for arm, tally in arms.items()},
            step_from=self.status.analysis.step_from,
            since_version=since_version,
            stable=names.hash_of(self.status.stable_revision or ""),
            compared=self._compared() if under_way else None,
            costs=self.costs,
        )

    def _compared(self):
        """As good as stable, where a comparison is declared and nothing else is measured."""
        declared = self.situation.spec.analysis.comparison
        return self.compared or (alike() if declared else None)

    def decide(self):
        """One pass of the operator; checks that a second one has nothing to do."""
        seen = self.seen()
        decision = decide(seen)
        assert decide(seen) == decision, "deciding twice on one situation gives the same"
        again = decide(replace(seen, status=decision.status))
        assert again.status.wire() == decision.status.wire(), "a second pass changes nothing"
        assert again.happenings == (), "and tells nothing"
        assert again.verdicts == ()
        assert again.entries == (), "and records nothing"
        decides_the_same_by_its_record(seen, decision)
        conditions_are_only_written(seen, decision)
        holds_as_long_as_it_says(seen, decision)
        assert AgentRolloutStatus.model_validate(decision.status.wire()) == decision.status
        return self.take(decision)

    def seen(self):
        """What the operator would decide on now."""
        return replace(self.situation, observation=self.observation())

    def take(self, decision):
        """What a pass leaves behind: the status, and the verdicts on record."""
        self.told = list(decision.happenings)
        self.look_again = decision.look_again_seconds
        self.goal = decision.goal
        self.promoted = decision.promoted
        self.entries += decision.entries
        for entry in decision.entries:
            self.record(entry.revision, decided=(entry.number, entry.digest))
        for verdict in decision.verdicts:
            self.verdicts.append(verdict)
            self._keep_on_record(verdict)
        return self.change(status=decision.status)

    def _keep_on_record(self, verdict):
        if verdict.result == "Rejected":
            self.record(verdict.revision, verdict=verdict)
        if verdict.result == "Promoted":
            promoted = max(r.promoted_sequence for r in self.situation.records.values()) + 1
            self.record(
                verdict.revision,
                promoted_sequence=promoted,
                served_sequence=promoted,
                verdict=verdict,
            )
        if verdict.result == "Superseded":
            self.record(verdict.revision, verdict=None)

    def step_over(self):
        """Past the present hold."""
        return self.after(61).decide()


def stable_world(**fields):
    """S serves everybody; there is no canary yet."""
    situation = Situation(
        now=START,
        spec=spec(**fields),
        generation=1,
        status=AgentRolloutStatus(),
        epoch=0,
        stable=S,
        latest=S,
        records={
            S: RevisionRecord(S, version="1.0", promoted_sequence=1, served_sequence=1),
            C: RevisionRecord(C, version="2.0"),
            C2: RevisionRecord(C2, version="3.0"),
        },
        pods={S: Pods(2, 2)},
        fresh_salt="salt1",
        users=17,
        tasks=42,
    )
    return World(situation).decide()


def canary_world(**fields):
    """C is the canary in its first step, at 5 %."""
    world = stable_world(**fields).apply(C).pods(C).decide()
    return world.after(1).decide()


def world_at(percent, **fields):
    """C has climbed by itself to a step."""
    world = canary_world(**fields)
    while world.percent < percent:
        world.step_over()
    return world
