"""Why a rollout does not move, as an onlooker sees it: from its status, and from what anybody may read.

The checks are the policy's own, asked in its order. Where the operator knows more (the newest outcomes,
the queue in Redis), its word in the status holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from penstock.analysis import fold
from penstock.analysis import gates as sources
from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import CheckVerdict, Finding
from penstock.analysis.metrics import METRICS, NO_SUMS
from penstock.analysis.scope import scope_of
from penstock.api import condition
from penstock.api.analysis import CheckReport
from penstock.api.external import GateReport
from penstock.api.reasons import ConditionType, WaitReason
from penstock.api.rollout import Stage
from penstock.rollout import (
    checks,
    deadline,
    former,
    gates,
    harm,
    holds,
    inherited,
    path,
    proofs,
    returning,
    ring_checks,
    shadow_stage,
)
from penstock.rollout.facts import Facts
from penstock.rollout.judged import Judged
from penstock.rollout.moves import Action, Move, OpenRing, Wait
from penstock.rollout.policy import POLICY, Check
from penstock.rollout.situation import Situation

#: What the operator awaits while it cannot measure.
_UNMEASURED: Final = (WaitReason.MEASUREMENT_MISSING, WaitReason.STORE_UNAVAILABLE)
#: Who asks for a wait that an onlooker cannot always derive, since its numbers are the operator's.
_ASKED_BY: Final[Mapping[str, Check]] = {
    WaitReason.ANALYSIS_UNCLEAR: checks.evidence_unclear,
    WaitReason.BUDGET_SHARE_REACHED: harm.spend_cap,
    WaitReason.CANARY_UNAVAILABLE: harm.unavailable,
    WaitReason.DEADLINE_EXCEEDED: deadline.exceeded,
    WaitReason.EXTERNAL_GATE: gates.closed,
    WaitReason.EXTERNAL_MISSING: gates.closed,
    WaitReason.HARM_BUDGET_REACHED: harm.spend_cap,
    WaitReason.LIMIT_DOES_NOT_FIT: checks.evidence_unclear,
    WaitReason.NOT_COMPARABLE: harm.not_comparable,
    WaitReason.SHARED_INCIDENT: harm.shared_incident,
    WaitReason.SPEND_CAP_REACHED: harm.spend_cap,
    WaitReason.STORE_UNAVAILABLE: holds.measurement_missing,
    WaitReason.UNDOING: holds.undo_awaits_pods,
}
#: Modules of one check each, whose name completes the check's.
_COMPLETED: Final = tuple(module.__name__ for module in (deadline, gates, returning))


class Says(StrEnum):
    """What a check says: nothing, that this holds the rollout, or that it would hold it next.

    MOVES: it would change something: after the check that holds, what comes next; before it, what the
    operator has not come to yet.
    """

    NOTHING = "Nothing"
    HOLDS = "Holds"
    HOLDS_NEXT = "HoldsNext"
    MOVES = "Moves"


@dataclass(frozen=True)
class Answer:
    """What one check says, in the order of the policy; ``reason``: of its wait, or its move."""

    check: str
    says: Says
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """Why it does not move: the operator's last word, and every check up to the one that would move.

    ``waiting`` is empty where no operator has decided on it yet. ``outdated``: the word does not fit
    what is to be seen by now, which lasts for seconds, or while no operator leads.
    """

    waiting: str
    message: str
    answers: tuple[Answer, ...]
    outdated: bool


def explain(situation: Situation) -> Explanation:
    """What each check says of a rollout whose status an operator has written.

    Args:
        situation: with the status as it was read; its observation is taken from there.
    """
    looked = seen(situation)
    status = looked.status
    facts = _judged(Facts(looked, status))
    moves = [entry.check(facts) for entry in POLICY]
    holder = _holder(facts, moves)
    answers = [_answer(facts, at, move, holder) for at, move in enumerate(moves)]
    acts = [at for at, answer in enumerate(answers) if answer.says is Says.MOVES]
    last = next((at for at in acts if holder is None or at > holder), len(answers))
    if not path.under_way(status) and holder is not None:
        last = holder  # nothing is tried: nothing comes after what holds
    early = holder is None or any(at < holder for at in acts)
    outdated = bool(status.waiting) and early
    return Explanation(status.waiting, _message(facts), tuple(answers[: last + 1]), outdated)


def seen(situation: Situation) -> Situation:
    """A situation with what its status says was measured, and what its gates have answered."""
    return replace(
        situation,
        status=inherited.state(situation.status),
        observation=_observation(situation),
        external=_gates(situation),
    )


def _answer(facts: Facts, at: int, move: Move | None, holder: int | None) -> Answer:
    name = _name(POLICY[at].check)
    if at == holder:
        return Answer(name, Says.HOLDS, facts.status.waiting)
    passed = holder is not None and at < holder and _is_of_harm(at)
    match move:
        case Wait():
            return Answer(name, Says.HOLDS_NEXT, move.reason.value)
        case None:
            return Answer(name, Says.NOTHING)
        case _:
            return Answer(
                name, Says.NOTHING if passed else Says.MOVES, "" if passed else _kind(move)
            )


def _is_of_harm(at: int) -> bool:
    """Whether a check condemns: where the operator has passed it, that was on newer numbers."""
    return POLICY[at].check.__module__ == harm.__name__


def _name(check: Check) -> str:
    """What people call a check: as its function is called."""
    words = [check.__module__.rpartition(".")[2]] if check.__module__ in _COMPLETED else []
    return " ".join([*words, *check.__name__.split("_")])


def _kind(move: Action) -> str:
    """What a move is, in the word of its type, and to which share, or ring, it goes."""
    if isinstance(move, OpenRing):
        return f"{type(move).__name__} {move.ring.name}"
    percent = getattr(move, "percent", None)
    return type(move).__name__ + (f" {percent} %" if percent is not None else "")


def _holder(facts: Facts, moves: Sequence[Move | None]) -> int | None:
    """Which check the operator has stopped at; None where none of them stops there now."""
    waiting = facts.status.waiting
    for at, move in enumerate(moves):
        if isinstance(move, Wait) and move.reason == waiting:
            return at
    asked = _asked_by(facts)
    return next((at for at, entry in enumerate(POLICY) if entry.check is asked), None)


def _asked_by(facts: Facts) -> Check | None:
    """Who asks for what is awaited, where that goes by what the operator alone knows."""
    in_shadow = facts.status.stage is Stage.SHADOW
    in_ring = facts.in_rings and bool(facts.status.rings)
    compared = facts.situation.spec.analysis.comparison is not None
    match facts.status.waiting:
        case WaitReason.AWAITING_EVIDENCE | WaitReason.ANALYSIS_UNCLEAR if in_shadow:
            return shadow_stage.copies_awaited
        case WaitReason.AWAITING_EVIDENCE | WaitReason.ANALYSIS_UNCLEAR | WaitReason.HOLDING if (
            in_ring
        ):
            return ring_checks.rings_first
        case WaitReason.AWAITING_EVIDENCE:
            return proofs.not_proven if compared else checks.evidence_not_sufficient
        case WaitReason.ANALYSIS_UNCLEAR if compared and not checks.evidence_unclear(facts):
            return proofs.not_proven
        case WaitReason.AWAITING_CAPACITY:
            return checks.advance if facts.started else checks.first_step
        case WaitReason.ROWS_LOST:
            return harm.rows_missing if facts.suspended_for else holds.rows_lost
        case waiting:
            return _ASKED_BY.get(waiting)


def _message(facts: Facts) -> str:
    """The operator's own sentence."""
    found = condition.find(facts.status.conditions, ConditionType.READY)
    return found.message if found else ""


def _observation(situation: Situation) -> Observation | None:
    """What the status has counted; None where the operator cannot measure either."""
    status = situation.status
    if status.waiting in _UNMEASURED or (status.blind_since and not situation.agent_suspended):
        return None
    scope = scope_of(situation.spec, status, {}, situation.expected_micro_usd)
    now_ms = int(situation.now.timestamp() * 1000)
    return fold.follow(
        None, scope, status.analysis, status.halts, costs=status.stable_costs
    ).observe(now_ms)


def _gates(situation: Situation) -> dict[str, sources.Answer]:
    """What the gates have answered when that was last written."""
    return {
        report.name: sources.Answer(_said(report), condition.moment(report.at))
        for report in situation.status.analysis.external
    }


def _said(report: GateReport) -> sources.Said:
    try:
        return sources.Said(Decimal(report.value))
    except ArithmeticError:
        return sources.Said(problem=report.message)


def _judged(facts: Facts) -> Facts:
    """The facts with the guardrails as the status says they were judged: their rows are not at hand."""
    status = facts.status
    reports = {report.name: report for report in status.analysis.checks}
    findings = tuple(
        _finding(metric.name, reports[metric.name])
        for metric in METRICS
        if metric.name in reports and facts.situation.observation is not None
    )
    known = Judged(facts.evidence, status.analysis.before, findings, facts.expected_cost)
    return Facts(facts.situation, status, known)


def _finding(name: str, report: CheckReport) -> Finding:
    """The word of a check; its numbers stand in the report, ready to print."""
    metric = next(one for one in METRICS if one.name == name)
    known = report.verdict in tuple(CheckVerdict)
    verdict = CheckVerdict(report.verdict) if known else CheckVerdict.UNCLEAR
    shared = verdict is CheckVerdict.SHARED
    return Finding(metric, 0, verdict, NO_SUMS, NO_SUMS, 0, stable_over=shared)


def ways_back(situation: Situation) -> tuple[str, ...]:
    """The revisions that `undo` can go back to, the last to have served everybody first."""
    return tuple(name for name, _ in former.choice(Facts(situation, situation.status)))
