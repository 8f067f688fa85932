"""What the comparison has found, in words with its numbers."""

from datetime import datetime
from typing import Final

from penstock.analysis.comparison.compared import Compared
from penstock.analysis.comparison.judge import Strength, Strengths
from penstock.analysis.comparison.proof import Gap, Unproven
from penstock.analysis.comparison.sums import RATIOS
from penstock.analysis.comparison.yardsticks import SIZES
from penstock.analysis.evidence import Observation
from penstock.analysis.metrics import COST, ERROR_RATE, ESCALATION_RATE, LATENCY, Metric, valued
from penstock.rollout import commands, findings
from penstock.rollout.comparing import to_blame
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.rollout.words import alone
from penstock.rollout.words.times import clock, wants_person
from penstock.traffic import Arm

METRICS: Final[dict[str, Metric]] = {
    "errorRate": ERROR_RATE,
    "escalationRate": ESCALATION_RATE,
    "latency": LATENCY,
    "cost": COST,
}
#: The limit of what is compared and has none of its own.
AS_STABLE: Final = "as stable"
_EVENTS: Final = {"errorRate": "failed tasks", "escalationRate": "escalations"}


def title(name: str) -> str:
    """What a metric is called."""
    return findings.WORDS[METRICS[name]].title


def of_arm(observed: Observation, name: str, arm: Arm) -> str:
    """What it was on one side since the canary began, of the tasks that have ended and are compared."""
    return findings.shown(METRICS[name], valued(METRICS[name], observed.in_total(arm)))


def has_tasks(observed: Observation, name: str, arm: Arm) -> bool:
    """Whether one side has tasks of which that is known."""
    return valued(METRICS[name], observed.in_total(arm)).n > 0


def odds(evidence: float) -> str:
    """Such as "12:1"."""
    return f"{min(evidence, 1e6):.0f}:1"


def strength(strengths: Strengths, one: Strength) -> str:
    """How strong evidence must be, and how strong it is; where it is held, for which bucket of users first."""
    held = one.bucket is not None
    said = f"{odds(strengths.needed[0])} worse, now {odds(one.alone if held else one.worse)}"
    return f"{said}, held: bucket {one.bucket}" if held else said


def worse(percent: int, observed: Observation, seen: Compared, strengths: Strengths) -> str:
    """The verdict of a canary that is proven worse."""
    one = to_blame(strengths)
    ours, theirs = (of_arm(observed, one.name, arm) for arm in (Arm.CANARY, Arm.STABLE))
    needed, limit = strengths.needed
    by_limit = f"; over the limit {odds(strengths.over)}, {odds(limit)} is enough"
    return (
        f"rolled back at {percent} %: {title(one.name)} {ours} on the canary and {theirs} on stable "
        f"since it began{_in_the_same_minutes(seen, one.name)}: {odds(strengths.worse)} worse than stable, "
        f"{odds(needed)} is enough{by_limit if strengths.over >= limit else ''}"
    )


def _in_the_same_minutes(seen: Compared, name: str) -> str:
    """How much more often the canary has an event than stable's tasks of the same minutes.

    The rates since it began may say the contrary: where events are known late, a canary of few minutes has had few of them.
    """
    whole = seen.evidence.whole.ratios[RATIOS.index(name)] if name in RATIOS else None
    if whole is None or whole.excess <= 0:
        return ""
    return f", {100 * whole.excess / whole.weight:.1f} points more in the same minutes"


def nothing(facts: Facts) -> str:
    """Nothing was measured of the comparison yet."""
    yet = "nothing is compared with stable yet" if facts.stable else alone.NOTHING_COUNTED
    return f"Held at {facts.percent} %: {yet}."


def suspected(facts: Facts, strengths: Strengths) -> str:
    """Evidence that is not enough, or that a person is to judge."""
    return f"Held at {facts.percent} %: {_suspicion(strengths.strongest, strengths)}{_ask(facts)}"


def _suspicion(one: Strength, strengths: Strengths) -> str:
    needed, few = odds(strengths.needed[0]), strengths.by_few
    if strengths.condemns:
        return f"{title(one.name)} is worse than stable's, {odds(strengths.worse)}, and onRegression is Pause; a person decides."
    if few is not None:
        return (
            f"{title(few.name)} is worse than stable's, but that may be the users it happens to have, "
            f"first of all those of bucket {few.bucket}. A person decides."
        )
    return f"{title(one.name)} may be worse than stable's, {odds(strengths.worse)}; {needed} rolls it back. More tasks will tell."


def not_proven(facts: Facts, missing: tuple[Unproven, ...]) -> str:
    """Limits that must be proven to be kept, and about how many tasks that takes."""
    said = "; ".join(_unproven(facts, one) for one in missing)
    return f"Held at {facts.percent} %: {said}.{_ask(facts)}"


def _unproven(facts: Facts, one: Unproven) -> str:
    so_far = f", {100 * one.seen:.1f} % so far" if one.seen is not None else ""
    if not one.tasks:
        more = "no task of the canary has had its time yet"
    elif one.unseen is not None:
        more = (
            f"users who make {max(100 * one.unseen, 0.1):.1f} % of the tasks never had it, and users here are too unlike "
            "for the others to speak for them. A person decides"
        )
    elif one.missing is None:
        more = f"the {one.tasks} tasks of the canary do not point that way"
    else:
        more = f"about {one.missing} more tasks of the canary are needed after {one.tasks}"
    return f"{title(one.name)} of {_size(facts, one)} is not ruled out{so_far}: {more}"


def _size(facts: Facts, one: Unproven) -> str:
    if one.name in RATIOS:
        return f"{100 * one.size:g} %"
    limits = facts.situation.spec.analysis.guardrails
    if one.name == "latency":
        return f"{limits.latency_mean_seconds * SIZES[0]:g} s"
    return f"{limits.cost_percent * SIZES[1]:g} % of what is expected"


def not_harmless(facts: Facts, gaps: tuple[Gap, ...], percent: int, until: datetime | None) -> str:
    """What the next share could add, and when time alone goes on."""
    then = f"It goes there without proof at {clock(facts, until)}." if until else ""
    if until and wants_person(facts):
        then = f"From {clock(facts, until)} on a person may approve it without proof."
    said = "; ".join(_gap(gap, percent) for gap in gaps)
    return f"Held at {facts.percent} %: at {percent} % {said}. {then}{_ask(facts)}"


def _gap(gap: Gap, percent: int) -> str:
    if gap.adds is None or gap.may is None:
        return f"a {title(gap.name)} {gap.percent} % higher than stable's is not ruled out"
    if gap.adds >= percent / 100:  # as if each task of its users were one more
        may = f"{1000 * gap.may:.0f} per 1,000 tasks"
        return f"too few tasks tell yet how many {_EVENTS[gap.name]} it would add (may: {may})"
    return (
        f"it could still add {1000 * gap.adds:.0f} {_EVENTS[gap.name]} per 1,000 tasks "
        f"(may: {1000 * gap.may:.0f})"
    )


def _ask(facts: Facts) -> str:
    promote = commands.request(facts.situation, Verb.PROMOTE, facts.canary)
    abort = commands.request(facts.situation, Verb.ABORT, facts.canary)
    return f" Go on all the same: {promote} Or reject: {abort}"
