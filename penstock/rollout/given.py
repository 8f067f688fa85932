"""What a decision was given beside the outcome rows, written down so that it can be made again.

Of the status only what decides is written: no condition, no number that is measured anew, no salt.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Self, get_type_hints

from pydantic import TypeAdapter

from penstock import rings
from penstock.analysis.day import HOUR_MS, Day, Hour
from penstock.analysis.evidence import Observation
from penstock.analysis.metrics import NOTHING
from penstock.analysis.scope import Scope
from penstock.api.analysis import AnalysisStatus, Verdict
from penstock.api.fields import Block
from penstock.api.rings import GivenRing
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus
from penstock.api.strategy import Strategy
from penstock.rollout import ring_stage
from penstock.rollout.facts import Facts
from penstock.rollout.situation import RevisionRecord, Situation
from penstock.traffic import Arm

#: Written in another way, made of rows, or drawn by chance and nowhere in what is compared.
_APART: Final = frozenset({"now", "spec", "status", "observation", "fresh_salt", "records"})
#: Of the spec: the record has these under ``parameters``.
_PARAMETERS: Final = frozenset({"analysis", "strategy", "unit"})
_UNREAD: Final = frozenset({"conditions", "salt", "waitingMessage"})
#: Stands in the record for the members of a ring, who are all that are declared; "" where somebody came in since.
_AS_DECLARED: Final = "="
_NAMED: Final = ("users", "tenants")
_SALT: Final = "before"
_MEASURED: Final = ("checks", "stable", "canary", "step_stable", "step_canary", "rows")


@dataclass(frozen=True)
class Measured:
    """How rows were counted: what a fold cannot tell from the rows themselves.

    ``cancelled``: tasks that their callers took back, of the totals and of the step, by arm.
    ``costs_lately``: how many of stable's tasks of the last day have a known cost, and its sum, in micro-USD.
    """

    now_ms: int
    scope: Scope
    gap: bool = False
    gap_ms: int = 0
    cancelled: Mapping[Arm, tuple[int, int]] = field(default_factory=dict)
    costs_lately: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, observed: Observation, scope: Scope) -> Self:
        """What is to be written of an observation."""
        cancelled = {
            arm: (observed.in_total(arm).cancelled, observed.in_step(arm).cancelled) for arm in Arm
        }
        return cls(
            observed.now_ms,
            replace(scope, users=None),
            observed.gap,
            observed.gap_ms,
            {arm: counts for arm, counts in cancelled.items() if any(counts)},
            observed.costs_lately[:2],
        )

    def completed(self, observed: Observation) -> Observation:
        """An observation made of the rows, with what these do not tell."""
        total, step = (
            {
                arm: kept.get(arm, NOTHING)._replace(
                    cancelled=self.cancelled.get(arm, (0, 0))[place]
                )
                for arm in Arm
            }
            for place, kept in enumerate((observed.total, observed.step))
        )
        hours = {self.now_ms // HOUR_MS: Hour(*self.costs_lately)}
        costs = Day(self.scope.stable, self.now_ms, hours)
        return replace(
            observed, total=total, step=step, gap=self.gap, gap_ms=self.gap_ms, costs=costs
        )


def written(situation: Situation) -> dict[str, Any]:
    """A situation as JSON: what ``read`` makes the same of, but for the observation."""
    observed = situation.observation
    spec = _wire(situation.spec)
    found: dict[str, Any] = {
        "nowMicros": round(situation.now.timestamp() * 1_000_000),
        "spec": {name: value for name, value in spec.items() if name not in _PARAMETERS},
        "status": _status(situation),
        "records": _adapter("records").dump_python(
            _records(situation), mode="json", exclude_defaults=True
        ),
    }
    for one in fields(Situation):
        value = getattr(situation, one.name)
        if one.name not in _APART and value != _default(one):
            found[one.name] = _adapter(one.name).dump_python(value, mode="json")
    if observed is not None and observed.scope is not None:
        told = Measured.of(observed, observed.scope)
        found["measured"] = _measured().dump_python(told, mode="json")
    return found


def read(
    told: Mapping[str, Any], parameters: Mapping[str, Any]
) -> tuple[Situation, Measured | None]:
    """The situation of an entry's ``inputs`` and ``parameters``, without its observation, and how that was made.

    Raises:
        ValueError: it is none.
        KeyError: something is not there.
    """
    more = {
        name: _adapter(name).validate_python(value)
        for name, value in told.items()
        if name in _hints() and name not in _APART
    }
    parameters = _with_names(parameters)
    spec = AgentRolloutSpec.model_validate({**told["spec"], **parameters})
    status = AgentRolloutStatus.model_validate({**told["status"], "salt": _SALT})
    seconds, micros = divmod(told["nowMicros"], 1_000_000)
    situation = Situation(
        now=datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros),
        spec=spec,
        status=status.model_copy(update={"rings": _with_members(status, spec.strategy)}),
        fresh_salt="drawn",
        records=_adapter("records").validate_python(told["records"]),
        **more,
    )
    measured = told.get("measured")
    return situation, _measured().validate_python(measured) if measured else None


def count_names(strategy: dict[str, Any]) -> None:
    """Put in a dumped strategy numbers in place of the names in its rings: the record names nobody."""
    for ring in strategy.get("rings") or ():
        ring |= {kind: len(ring[kind]) for kind in _NAMED}


def _with_names(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters with names again, as many as there were."""
    strategy = parameters["strategy"]
    named = [
        {**ring, **{kind: tuple(map(str, range(ring[kind]))) for kind in _NAMED}}
        for ring in strategy.get("rings") or ()
    ]
    return {**parameters, "strategy": {**strategy, "rings": named}} if named else parameters


def _with_members(status: AgentRolloutStatus, strategy: Strategy) -> tuple[GivenRing, ...]:
    """The rings of a status with members again, as they would be of these names."""
    declared = {
        ring.name: rings.members(_SALT, ring.users, ring.tenants) for ring in strategy.rings or ()
    }
    return tuple(
        ring.model_copy(update={"members": declared.get(ring.name, ring.members)})
        if ring.members == _AS_DECLARED
        else ring
        for ring in status.rings
    )


def _without_members(situation: Situation) -> tuple[GivenRing, ...]:
    grown = ring_stage.grown_all(Facts(situation, situation.status))
    return tuple(
        ring.model_copy(update={"members": "" if ring.name in grown else _AS_DECLARED})
        for ring in situation.status.rings
    )


def _status(situation: Situation) -> dict[str, Any]:
    """What of the status decides."""
    status = situation.status.model_copy(update={"rings": _without_members(situation)})
    blank, kept = AnalysisStatus(), status.analysis
    update: dict[str, Any] = {name: getattr(blank, name) for name in _MEASURED}
    if kept.comparison is not None:
        update["comparison"] = kept.comparison.model_copy(update={"sums": ""})
    verdicts = tuple(one.model_copy(update={"samples": ()}) for one in status.verdicts)
    lean = status.model_copy(
        update={"analysis": kept.model_copy(update=update), "verdicts": verdicts}
    )
    return {name: value for name, value in _wire(lean, sparse=True).items() if name not in _UNREAD}


def _wire(block: Block, *, sparse: bool = False) -> dict[str, Any]:
    """A block as it is stored, also where a value in it is not of its type."""
    return block.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=sparse, warnings=False
    )


def _records(situation: Situation) -> dict[str, RevisionRecord]:
    """Of revisions that the decision is not about no words and numbers are kept, of none the tasks that failed."""
    near = {situation.stable, situation.latest, situation.status.canary_revision}
    return {
        name: replace(record, verdict=record.verdict and _lean(record.verdict, whole=name in near))
        for name, record in situation.records.items()
    }


def _lean(verdict: Verdict, *, whole: bool) -> Verdict:
    if whole:
        return verdict.model_copy(update={"samples": ()})
    return Verdict(
        revision=verdict.revision,
        attempt=verdict.attempt,
        result=verdict.result,
        reason=verdict.reason,
        message="",
        at=verdict.at,
    )


def _default(one: "Field[Any]") -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Situation)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_hints()[name])


@cache
def _measured() -> TypeAdapter[Measured]:
    return TypeAdapter(Measured)
