"""Rollouts of every kind, with their log and their record: what ``penstock verify`` is tried on.

A seed draws what is compared and how, what tasks may cost, the weather, the traffic, and what happens meanwhile: restarts
of the operator, a kill switch, setpoints, requests, pods that go away, another version, a log that loses rows.
"""

from __future__ import annotations

import bisect
import random
from dataclasses import dataclass, field, replace

from penstock.analysis import fold as folding
from penstock.analysis import scope as scoping
from penstock.analysis.evidence import Observation
from penstock.analysis.fold import position
from penstock.api.analysis import Analysis, GuardrailMode, Guardrails
from penstock.api.comparison import Comparison
from penstock.api.harm import Harm
from penstock.api.rings import Ring
from penstock.api.rollout import AgentRolloutStatus, Setpoint
from penstock.effects import HarmDone
from penstock.outcomes import Row, RowKind
from penstock.rollout.engine import decide
from penstock.rollout.recorded import Head
from penstock.rollout.situation import Pods, RevisionRecord, Situation
from penstock.rollout.verify import Checked, Verification
from penstock.traffic import Arm
from tests.simulation.rollout.traffic import Traffic, during, hanging, steady
from tests.unit.rollout.world import C2, STEPS, C, S, spec

#: In simulated seconds.
HISTORY, LONGEST = 240, 1000


@dataclass
class Rollout(Traffic):
    """A rollout whose log and record are kept. ``events``: what happens, by the second."""

    restarts: float = 0.0  # chance of one in a pass
    events: dict[int, tuple] = field(default_factory=dict)
    log: list[Row] = field(default_factory=list)
    trimmed: bool = False
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    latest: str = S
    request: str = ""
    ready: int = 1
    failed: int = 0
    results: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__post_init__()
        self.fate = random.Random(self.seed + 1)
        self.prices = random.Random(self.seed + 2)
        self.records[C2] = RevisionRecord(C2)

    def play(self):
        """Play to the end of the time. Returns itself."""
        while self.seconds < LONGEST:
            for at in [at for at in self.events if at <= self.seconds]:
                what, *given = self.events.pop(at)
                getattr(self, what)(*given)
            self._pass()
        return self

    # -- what happens ----------------------------------------------------------------------------

    def appears(self, name):
        self.latest = name

    def asks(self, verb):
        self.request = f"{verb}/{self.latest.rpartition('-')[2]}/{self.seconds:.0f}"

    def sets(self, percent):
        traffic = Setpoint(
            canary_percent=percent, canary_revision=None if percent is None else self.latest
        )
        self.spec = self.spec.model_copy(update={"traffic": traffic})

    def goes_on(self):
        self.halted = False

    def pods(self, ready):
        self.ready = ready

    def fails(self, tasks):
        self.failed = tasks

    def loses_end(self, rows):
        """A failover: the newest rows are gone, and the operator looks before there are others."""
        del self.log[max(len(self.log) - rows, 0) :]
        self._decide(self._observe())

    def loses_beginning(self, part):
        """The log was trimmed: of its rows the first part is gone."""
        del self.log[: int(len(self.log) * part)]
        self.trimmed = True

    # -- a pass ----------------------------------------------------------------------------------

    def _pass(self):
        if not self.halted:
            self._arrive()
        self.now_ms += int(self.pass_seconds * 1000)
        if self.fate.random() < self.restarts:
            self.fold = None
            self.status = AgentRolloutStatus.model_validate(self.status.wire())
        self.log += [self._priced(row) for row in self._rows()]
        self._decide(self._observe())

    def _priced(self, row):
        """A row with the cost of its task: tasks are dearer before there is a canary."""
        if row.kind is not RowKind.FINISHED:
            return row
        dearer = 2 if self.seconds < HISTORY else 1
        return replace(row, cost_micro_usd=dearer * self.prices.randint(5_000, 15_000))

    def _observe(self) -> Observation:
        limits = dict.fromkeys((S, C, C2), self.limits)
        scope = scoping.scope_of(self.spec, self.status, limits)
        kept = self.status
        self.fold = folding.follow(
            self.fold, scope, kept.analysis, kept.halts, kept.stable_users, kept.stable_costs
        )
        after = position(self.fold.read_after(self.now_ms))
        ids = (self.log[0].id, self.log[-1].id) if self.log else ("", "")
        begin = bisect.bisect_right(self.log, after, key=lambda row: position(row.id))
        self.fold.add(self.log[begin:], ids[0], trimmed=self.trimmed, last_kept=ids[1])
        return self.fold.observe(self.now_ms)

    def _decide(self, observation):
        decision = decide(
            Situation(
                now=self._now(),
                spec=self.spec,
                generation=1,
                status=self.status,
                epoch=0,
                stable=S,
                latest=self.latest,
                records=self.records,
                observation=observation,
                fresh_salt=f"salt-{self.seed}-{self.seconds}",
                agent_suspended=self.halted,
                request=self.request,
                pods={S: Pods(2, 2), self.latest: Pods(self.ready, 1)},
                harm={C: HarmDone(failed=self.failed)} if self.failed else {},
            )
        )
        self.status = decision.status
        for entry in decision.entries:
            self.texts.setdefault(entry.revision, {})[f"{entry.number:06}.json"] = entry.text
            self.heads[entry.revision] = Head(entry.number, entry.digest)
            known = self.records[entry.revision]
            self.records[entry.revision] = replace(known, decided=(entry.number, entry.digest))
        for verdict in decision.verdicts:
            self.results.append(verdict.result.value)
            self._note(verdict)

    def _note(self, verdict):
        known = self.records[verdict.revision]
        if verdict.result == "Rejected":
            known = replace(known, verdict=verdict)
        if verdict.result == "Promoted":
            known = replace(known, promoted_sequence=9, verdict=verdict)
        self.records[verdict.revision] = known

    # -- verification ----------------------------------------------------------------------------

    def verified(self, name: str, log: list[Row] | None = None) -> tuple[Checked, ...]:
        """What is said of the record of a revision, by the log as it is or as it was made."""
        rows = self.log if log is None else log
        first = rows[0].id if self.trimmed and rows else ""
        looked = Verification(self.texts.get(name, {}), self.heads.get(name), first)
        after, through = position(looked.after), position(looked.through)
        looked.add(row for row in rows if after < position(row.id) <= through)
        return looked.finish()


def drawn(seed: int) -> Rollout:
    """The rollout of a seed, not played yet."""
    chance = random.Random(seed)
    rate = chance.choice((0.5, 1.0, 2.0, 4.0))
    made = Rollout(
        seed=seed,
        spec=_spec(chance, random.Random(seed + 3).choice((None, 150))),
        weather={Arm.STABLE: steady(errors=0.02), Arm.CANARY: _weather(chance)},
        tasks_per_second=rate,
        users=chance.choice((30, 200, 2000)),
        pass_seconds=chance.choice((5.0, 6.7, 10.0)),
        turns=chance.choice((1, 1, 3)),
        restarts=chance.choice((0.0, 0.0, 0.02, 0.3)),
    )
    if seed % 3 == 1:
        strategy = made.spec.strategy.model_copy(update={"rings": _rings(made.users)})
        made.spec = made.spec.model_copy(update={"strategy": strategy})
    made.events[chance.choice((0, HISTORY))] = ("appears", C)
    for happening in chance.sample(_HAPPENINGS, chance.randint(0, 3)):
        happening(chance, made)
    if made.weather[Arm.STABLE] and chance.random() < 0.3:
        storm = steady(errors=0.6)
        begin = chance.uniform(HISTORY, LONGEST)
        made.weather = {
            arm: during(begin, begin + 90, storm, calm) for arm, calm in made.weather.items()
        }
    return made


def _spec(chance, cost_percent):
    limits = Guardrails(
        window_seconds=chance.choice((60, 300)),
        latency_mean_seconds=chance.choice((3, 10)),
        cost_percent_of_budget=cost_percent,
        mode=chance.choice((GuardrailMode.CREDIBLE, GuardrailMode.CREDIBLE, GuardrailMode.LITERAL)),
    )
    compared = Comparison() if chance.random() < 0.5 else None
    steps = tuple(
        step.model_copy(update={"min_tasks": chance.choice((2, 5, 20))}) for step in STEPS
    )
    analysis = Analysis(guardrails=limits, comparison=compared, harm=Harm(max_failed_tasks=40))
    return spec(steps=steps, final_hold=60, analysis=analysis)


def _rings(users):
    """Two rings of a tenth of the users each."""
    return tuple(
        Ring(
            name=name,
            users=tuple(f"user-{user}" for user in range(first, users, 10)),
            hold_seconds=30,
            min_tasks=2,
        )
        for first, name in enumerate(("staff", "friends"))
    )


def _weather(chance):
    bad = chance.choice((0.02, 0.02, 0.08, 0.3))
    weather = steady(errors=bad, working=chance.choice(((0.5, 2.0), (1.0, 9.0))))
    if chance.random() < 0.15:
        begin = chance.uniform(HISTORY, LONGEST)
        weather = during(begin, begin + 60, hanging, weather)
    return weather


def _at(chance):
    return chance.randint(HISTORY + 10, LONGEST - 100)


def _kill_switch(chance, made):
    at = _at(chance)
    made.events[at] = ("halt", chance.uniform(5, 120))
    made.events[at + chance.randint(5, 200)] = ("goes_on",)


def _setpoint(chance, made):
    at = _at(chance)
    made.events[at] = ("sets", chance.choice((0, 10, 60, 100)))
    made.events[at + chance.randint(20, 400)] = ("sets", None)


def _request(chance, made):
    made.events[_at(chance)] = ("asks", chance.choice(("abort", "promote", "approve")))
    made.events[LONGEST - chance.randint(20, 90)] = ("asks", "retry")


def _pods_away(chance, made):
    at = _at(chance)
    made.events[at] = ("pods", 0)
    made.events[at + chance.randint(10, 90)] = ("pods", 1)


def _too_many_failures(chance, made):
    made.events[_at(chance)] = ("fails", chance.choice((39, 41)))


def _superseded(chance, made):
    made.events[_at(chance)] = ("appears", C2)


def _failover(chance, made):
    made.events[_at(chance)] = ("loses_end", chance.randint(1, 60))


def _trimmed(chance, made):
    made.events[_at(chance)] = ("loses_beginning", chance.uniform(0.1, 1.0))


_HAPPENINGS = (
    _kill_switch,
    _setpoint,
    _request,
    _pods_away,
    _too_many_failures,
    _superseded,
    _failover,
    _trimmed,
)
