"""The numbers that status keeps: what people read, and what a restart goes on from."""

from typing import Any, Final

from penstock.analysis import day
from penstock.analysis.comparison import users
from penstock.analysis.comparison.judge import Strength, Strengths
from penstock.analysis.comparison.sums import MOST_CHARACTERS, encode
from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import FEWEST_STABLE, CheckVerdict, Finding
from penstock.analysis.metrics import ERROR_RATE, for_status, yardstick
from penstock.api import condition
from penstock.api.analysis import AnalysisStatus, ArmCounts, CheckReport, Yardstick
from penstock.api.comparison import ComparisonStatus, StableUsers
from penstock.api.costs import StableCosts
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import cancels, drawn_users, findings, gated, harm_budget, misfits, path
from penstock.rollout.comparing import check_name, comparing, measuring
from penstock.rollout.facts import COMPARABLE_PERCENT, Facts
from penstock.rollout.words import compared
from penstock.traffic import Arm

#: The row of what callers cancelled: a check of its own, beside the guardrails.
CANCEL_RATE: Final = "cancelRate"
#: Numbers alone are written at most this often: each write costs etcd the whole object.
SECONDS_BETWEEN_COUNTS: Final = 60
_ARMS: Final = (Arm.STABLE, Arm.CANARY)


def counted(facts: Facts, before: AgentRolloutStatus, *, news: bool = False) -> AgentRolloutStatus:
    """The status with the numbers as measured now, when they are worth a write.

    They are at each change of the canary, its step or its verdict, when a check changes its
    word, when an arm's first tasks arrive, and otherwise once a minute. A rejected canary
    keeps those that rejected it.

    Args:
        news: something else is worth a write.
    """
    observed = facts.observation
    if observed is None or not (facts.stable or facts.canary) or facts.rejected:
        return facts.status
    if not news and not _worth_a_write(facts, before, observed):
        return facts.status
    fresh = measured(facts, observed)
    if fresh == facts.status.analysis:
        return facts.status
    stamp = {"counted_at": condition.timestamp(facts.now)}
    reached = observed_percent(observed) if facts.stable else None
    share = facts.status.share.model_copy(update={"observed_percent": reached})
    return facts.status.model_copy(
        update={
            "analysis": fresh.model_copy(update=stamp),
            "share": share,
            "stable_users": _users(facts, observed),
            "stable_costs": _costs(facts, observed),
        }
    )


def _users(facts: Facts, observed: Observation) -> StableUsers | None:
    """Stable's users as they are known now; while a canary is tried they stay what they were."""
    return users.kept(observed.users) if observed.users else facts.status.stable_users


def _costs(facts: Facts, observed: Observation) -> StableCosts | None:
    """Stable's costs of the last day; nothing where a limit on them asks for none of that."""
    return day.kept(observed.costs) if observed.costs else facts.status.stable_costs


def measured(facts: Facts, observed: Observation) -> AnalysisStatus:
    """The numbers of an observation as status keeps them."""
    update: dict[str, Any] = {
        "checks": reports(facts),
        "before": _yardstick(facts, observed),
    }
    if path.under_way(facts.status):
        update |= {
            "counted_through": observed.counted_through,
            "rows": observed.rows or facts.status.analysis.rows,
            "stable": for_status(observed.in_total(Arm.STABLE)),
            "canary": for_status(observed.in_total(Arm.CANARY)),
            "step_stable": for_status(observed.in_step(Arm.STABLE)),
            "step_canary": for_status(observed.in_step(Arm.CANARY)),
            "comparison": _sums(facts),
            "external": gated.reports(facts),
        }
    return facts.status.analysis.model_copy(update=update)


def _sums(facts: Facts) -> ComparisonStatus | None:
    """What the comparison goes on from after a restart; what was kept where nothing was measured."""
    kept, known = facts.status.analysis.comparison, measuring(facts)
    if kept is None or known is None:
        return kept
    seen = known.seen
    sums = encode(seen.settled)
    if len(sums) > MOST_CHARACTERS:  # of 10^10 tasks and more: a restart reads from before
        return kept
    return kept.model_copy(update={"through_ms": seen.through_ms, "sums": sums})


def reports(facts: Facts) -> list[CheckReport]:
    """The guardrails, then the comparison."""
    known, observed = comparing(facts), facts.observation
    rows = [check_report(check) for check in facts.checks] + harm_budget.reports(facts)
    rows += _cancels(facts)
    if known is None or observed is None:
        return rows
    strengths = known.strengths
    return rows + [_compared(strengths, observed, one) for one in strengths.metrics]


def _words(facts: Facts) -> tuple[str, ...]:
    """What each of them says, in one word."""
    known = comparing(facts)
    found = [check.verdict.value for check in facts.checks] + harm_budget.words(facts)
    found += [row.verdict for row in _cancels(facts)]
    if known is not None and (seen := facts.observation) is not None:
        found += [_word(known.strengths, seen, one) for one in known.strengths.metrics]
    return tuple(found)


def _cancels(facts: Facts) -> list[CheckReport]:
    """What callers took back in this step, where they took back any: it counts for nobody and is compared."""
    ours, theirs = cancels.of_arms(facts)
    if not ours.total + theirs.total:
        return []
    verdict = CheckVerdict.UNCLEAR if cancels.more(facts) else CheckVerdict.PASSING
    canary, stable = (findings.shown(ERROR_RATE, sums) for sums in (ours, theirs))
    row = CheckReport(
        name=CANCEL_RATE,
        candidate=canary,
        stable=stable,
        limit=compared.AS_STABLE,
        verdict=verdict.value,
    )
    return [row]


def _word(strengths: Strengths, observed: Observation, one: Strength) -> str:
    if not all(compared.has_tasks(observed, one.name, arm) for arm in Arm):
        return CheckVerdict.NO_DATA.value
    if drawn_users.counts(strengths, one):
        return CheckVerdict.SUSPECT.value
    if not strengths.suspicious or one is not strengths.strongest:
        return CheckVerdict.PASSING.value
    return (CheckVerdict.BREACHED if strengths.condemns else CheckVerdict.SUSPECT).value


def _compared(strengths: Strengths, observed: Observation, one: Strength) -> CheckReport:
    """One metric of the comparison, ready to print."""
    ours, theirs = (compared.of_arm(observed, one.name, arm) for arm in (Arm.CANARY, Arm.STABLE))
    return CheckReport(
        name=check_name(one.name),
        candidate=ours,
        stable=theirs,
        limit=compared.strength(strengths, one),
        verdict=_word(strengths, observed, one),
    )


def _yardstick(facts: Facts, observed: Observation) -> Yardstick | None:
    """Stable in the window, while it has enough of the users and is well; else what was kept."""
    kept = facts.status.analysis.before
    stable = observed.in_window(Arm.STABLE)
    few = stable.tasks < FEWEST_STABLE or facts.percent > COMPARABLE_PERCENT
    ill = any(one.stable_over and not misfits.known(facts, one) for one in facts.checks)
    if few or ill:
        return kept
    return yardstick(stable)


def check_report(check: Finding) -> CheckReport:
    """One check, ready to print."""
    return CheckReport(
        name=check.name,
        candidate=findings.of_canary(check),
        stable=findings.of_stable(check),
        limit=findings.limit(check),
        verdict=check.verdict.value,
    )


def _worth_a_write(facts: Facts, before: AgentRolloutStatus, observed: Observation) -> bool:
    old, last = before.analysis, before.analysis.counted_at
    moved = (old, before.verdicts) != (facts.status.analysis, facts.status.verdicts)
    if moved or last is None or _news(facts, observed) != _told(old):
        return True
    return (facts.now - condition.moment(last)).total_seconds() >= SECONDS_BETWEEN_COUNTS


_News = tuple[tuple[str, ...], tuple[bool, ...], tuple[str, ...]]


def _news(facts: Facts, observed: Observation) -> _News:
    """What each check says, which arms have tasks, what each gate says."""
    analysis = facts.status.analysis
    kept = [tally.tasks > 0 for tally in _arms(analysis)]
    if path.under_way(facts.status):
        kept = [
            count(arm).tasks > 0 for count in (observed.in_total, observed.in_step) for arm in _ARMS
        ]
    said = gated.reports(facts) if path.under_way(facts.status) else analysis.external
    return _words(facts), tuple(kept), gated.words(said)


def _told(analysis: AnalysisStatus) -> _News:
    """The same, as status has it."""
    words_of = tuple(check.verdict for check in analysis.checks)
    kept = tuple(arm.tasks > 0 for arm in _arms(analysis))
    return words_of, kept, gated.words(analysis.external)


def _arms(analysis: AnalysisStatus) -> tuple[ArmCounts, ...]:
    return analysis.stable, analysis.canary, analysis.step_stable, analysis.step_canary


def observed_percent(observed: Observation) -> int | None:
    """The canary's part of all work in the window; None without any."""
    ours = observed.in_window(Arm.CANARY).tasks
    everything = ours + observed.in_window(Arm.STABLE).tasks
    return round(100 * ours / everything) if everything else None
