"""What is said of a revision that was taken off, rejected, superseded or promoted: parts of sentences."""

from collections.abc import Iterable, Sequence
from typing import Final

from penstock.analysis.comparison.crossing import Crossing
from penstock.analysis.comparison.judge import Strength
from penstock.analysis.guardrails import Finding
from penstock.api import budgets
from penstock.api.analysis import Result, Verdict
from penstock.api.sample import Sample
from penstock.money.ledger import Limit, Scope, Stop, Window
from penstock.rollout import commands, findings, harm_budget
from penstock.rollout.facts import (
    COMPARABLE_PERCENT,
    MOST_UNCOMPARED,
    UNAVAILABLE_SECONDS,
    Facts,
)
from penstock.rollout.requests import Verb
from penstock.rollout.words import alone

#: A rejection of which nobody knows the words any more.
REJECTED_BEFORE: Final = "rejected before"
#: Why a breach does not condemn.
LACKS_ROWS: Final = (
    "outcome rows were lost before they were counted, so nobody is condemned on that"
)

#: What follows where it is not known how the same users do on stable.
TRIED_AGAIN: Final = f"a person is asked where it is over the limit {MOST_UNCOMPARED} times more"

# --------------------------------------------------------------------------- taken off for a while


def why_unavailable(facts: Facts) -> str:
    """What keeps the canary from serving its share; empty when nothing does."""
    if facts.seconds_unready() >= UNAVAILABLE_SECONDS:
        said = f": {facts.pods.message}" if facts.pods.message else ""
        return f"no pod of {facts.canary} has been ready for {UNAVAILABLE_SECONDS} s{said}"
    if not facts.queue_ages:
        return ""
    ours, theirs = facts.queue_age(facts.canary), facts.queue_age(facts.stable)
    return (
        f"the oldest task of {facts.canary} has waited {ours:.0f} s, that of stable {theirs:.0f} s"
    )


def shared(check: Finding) -> str:
    """Stable fails as well."""
    return f"{findings.line(check)}: stable is over the limit too"


def shared_condemns(place: str, check: Finding) -> str:
    """Stable fails as well, and that is declared to condemn."""
    return f"rolled back at {place}: {shared(check)} (onSharedIncident: Rollback)"


def lacks_rows(check: Finding) -> str:
    """Over a limit, on numbers that lack rows."""
    return f"{findings.line(check)}; {LACKS_ROWS}"


def no_rival(check: Finding) -> str:
    """Over a limit with nobody to compare with."""
    return f"{findings.line(check)}: stable has too few tasks to compare with"


def may_be_users(check: Finding, held: Strength, same: Crossing | None) -> str:
    """Over a limit, and the users who were drawn may be why."""
    then = (
        "rejected where the same users fail on it again and not on stable" if same else TRIED_AGAIN
    )
    return (
        f"{findings.line(check)}: that may be the users it happens to have, first of all those of bucket "
        f"{held.bucket}, so nobody is condemned for it yet; they are on stable until that is seen to be well, then it is "
        f"tried again at {COMPARABLE_PERCENT} % at most, and {then}"
    )


def used_up(stop: Stop, facts: Facts) -> str:
    """What of which limit the canary has spent, so that its next call finds no room."""
    limit = stop.limit
    spent, most = (budgets.shown(limit, amount) for amount in (stop.spent, limit.most))
    part = ""
    if limit.window is not Window.TOTAL:
        own = next(
            (one for one in facts.situation.agent_limits or () if _same_window(one, limit)), None
        )
        part = f" of {budgets.field_of(own)}" if own else ""
    return (
        f"it has spent {spent} of the {most} that {budgets.field_of(limit)} leaves it{part}, and its "
        "next model call has no room"
    )


def has_done(stop: harm_budget.Reached, facts: Facts) -> str:
    """What of which limit the canary has done to the world."""
    used, most = (harm_budget.shown(stop.name, number) for number in (stop.used, stop.most))
    field = f"the {most} that analysis.harm.{stop.name} leaves it"
    match stop.name:
        case harm_budget.FAILED:
            return f"{used} of its tasks have failed, of {field}"
        case harm_budget.CALLS:
            return f"it has made {used} irreversible calls of {field}, and its next one has no room"
        case _:
            amount = facts.situation.spec.analysis.harm
            tool = amount.max_amount.tool if amount and amount.max_amount else ""
            return f"its calls of {tool} are worth {used} of {field}, and the next one has no room"


def _same_window(one: Limit, other: Limit) -> bool:
    return (one.scope, one.window, one.unit) == (Scope.AGENT, other.window, other.unit)


# ---------------------------------------------------------------------------------- rejected


def aborted(place: str) -> str:
    """A person took the canary off."""
    return f"rolled back at {place}: aborted by request"


def unavailable_again(place: str, why: str) -> str:
    """It could not serve its share for the second time."""
    return f"rolled back at {place}: unavailable for the second time: {why}"


def breached(place: str, check: Finding) -> str:
    """It broke a guardrail, clearly and by itself."""
    return f"rolled back at {place}: {findings.line(check)}"


def uncompared_again(place: str, check: Finding) -> str:
    """It broke a guardrail without a rival, and stable was well."""
    again = "it was taken off for this before, and stable was well while it had all users"
    return f"{breached(place, check)}; {again}"


def same_users_again(place: str, check: Finding, same: Crossing | None) -> str:
    """It broke a limit again with users who did well on stable."""
    rate = f" in {100 * same.rate:.1f} % of their tasks" if same and same.rate is not None else ""
    return f"{breached(place, check)}; it was taken off for this before, and the same users failed on stable{rate}"


def undone(place: str, goal: str) -> str:
    """What becomes of a revision that is left for a former one."""
    return f"undone at {place} by request: back to {goal}"


def stays_rejected(facts: Facts) -> str:
    """Why the canary gets nothing, what that means for Git, and how to give it another attempt."""
    if not facts.stable:
        return alone.stays_rejected(facts, _why_rejected(facts))
    retry = commands.request(facts.situation, Verb.RETRY, facts.canary)
    return (
        f"{facts.canary} was {_why_rejected(facts)}. {facts.stable} serves everybody, though "
        f"spec.template still declares {facts.canary}: apply another template. Retry: {retry}"
    )


def _why_rejected(facts: Facts) -> str:
    for verdict in reversed(facts.status.verdicts):
        if verdict.revision == facts.canary and verdict.result is Result.REJECTED:
            return verdict.message
    return facts.record(facts.canary).rejected_message or "rejected"


def with_samples(message: str, verdict: Verdict) -> str:
    """A message about a rejection, with the failed tasks that its verdict shows: ids and reasons."""
    return " ".join(filter(None, (message, examples(verdict.samples))))


def examples(shown: Iterable[Sample]) -> str:
    """The samples in a sentence, empty without any; what it holds is our own, and ids."""
    names = [f"{s.task} ({s.reason})" if s.reason else s.task for s in shown]
    return f"For example: {', '.join(names)}." if names else ""


# ------------------------------------------------------------------- superseded, and promoted


def superseded_by(place: str, canary: str) -> str:
    """Another revision is tried in its place."""
    return f"superseded at {place}: superseded by {canary}"


def superseded_by_stable(place: str, stable: str) -> str:
    """The Agent declares again what serves."""
    return f"superseded at {place}: the Agent is back at {stable}"


def returned(revision: str, stable: str) -> str:
    """A revision that was good before takes the place of one that came after it."""
    return (
        f"promoted: {revision} has served everybody before {stable} and is within "
        "strategy.rollbackWindowRevisions"
    )


def promoted_by_request(place: str) -> str:
    """A person ended the rollout."""
    return f"promoted from {place} by request"


def back_at(facts: Facts, percent: int) -> str:
    """Where a canary that is off for a while comes back to: its ring, or its share."""
    rings = facts.status.rings if facts.in_rings else ()
    return f"ring {rings[-1].name}" if rings else f"{percent} %"


def promoted_by_undo(left: Sequence[str]) -> str:
    """A person went back to it, and who was left for it."""
    return f"promoted by request: undone {' and '.join(left)}"


def all_passed(facts: Facts) -> str:
    """The verdict of a promotion, with what was seen; whoever came to 100 % by a person's word has passed no steps."""
    hold = facts.strategy.final_hold_seconds
    why = f": all steps{' and the final hold' * bool(hold)} passed"
    if facts.owned is not None:
        why = f", the share that a person has set{', after the final hold' * bool(hold)}"
    shown = [f"{check.name} {findings.of_canary(check)}" for check in facts.checks]
    return "; ".join([f"promoted from {facts.place}{why}", *shown])
