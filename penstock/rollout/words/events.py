"""What the events say that tell of a rollout's changes."""

from collections.abc import Sequence

from penstock.api.analysis import Verdict
from penstock.api.reasons import WaitReason
from penstock.api.rollout import Source
from penstock.rollout import commands, moves
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.rollout.words import alone, answers, misfits, setpoints, verdicts


def first(revision: str) -> str:
    """The first revision ever."""
    return f"{revision} is the first revision and serves everybody."


def began(facts: Facts, canary: str) -> str:
    """A revision is tried."""
    if not facts.stable:
        return alone.began(canary)
    return f"{canary} is the new canary against {facts.stable}."


def began_again(message: str) -> str:
    """A person gave a rejected revision another attempt."""
    return f"By request, {message}."


def superseded(verdict: Verdict) -> str:
    """A canary is given up for another revision."""
    return f"{verdict.revision} was {verdict.message}."


def promoted(verdict: Verdict) -> str:
    """A revision is stable from now on."""
    return f"{verdict.revision} was {verdict.message}; it is stable now."


def rejected(facts: Facts, verdict: Verdict, *, declared: bool = True) -> str:
    """A revision gets nothing from now on, and what gives it another attempt.

    Args:
        declared: the Agent's template is that of the revision.
    """
    first_of_all = "" if declared else "apply its template, then "
    retry = commands.request(facts.situation, Verb.RETRY, verdict.revision)
    nobody = "" if facts.stable else " Nobody is served any more."
    return f"{verdict.revision} was {verdict.message}.{nobody} Retry: {first_of_all}{retry}"


def rolled_back(facts: Facts, verdict: Verdict) -> str:
    """The canary is rejected, with failed tasks of it."""
    return verdicts.with_samples(rejected(facts, verdict), verdict)


def suspended(facts: Facts, why: str) -> str:
    """The canary is taken off for a while."""
    return f"{facts.canary} was taken off at {facts.place}: {why}."


def stopped(facts: Facts, why: str) -> str:
    """The canary has used up what it may spend."""
    return f"{facts.canary} was stopped at {facts.place}: {why}."


def resumed(facts: Facts, percent: int, move: moves.Resume) -> str:
    """It has users again; by a person's word, whatever it has spent, or for being no incident."""
    so, place = "", verdicts.back_at(facts, percent)
    if move.unbounded:
        spends = "spends what the Agent's own budgets allow"
        if facts.suspended_for == WaitReason.HARM_BUDGET_REACHED:
            spends = "what it does is not counted for the rest of its attempt"
        so = f" by request, and {spends}"
    elif move.misfit:
        so = f": {misfits.no_incident(move.misfit)}"
    return f"{facts.canary} comes back to {place}{so}."


# ------------------------------------------------------------------------------------- share


def share_set(facts: Facts, move: moves.SetShare) -> str:
    """The share moved by somebody's word, or for want of it."""
    by = {Source.SETPOINT: "by setpoint", Source.CEILING: "by a left-over setpoint (a ceiling)"}
    return (
        f"{facts.canary}: {facts.place} to {move.percent} % "
        f"{by.get(move.source, 'after the ceiling went')}."
    )


def share_set_by_person(facts: Facts, move: moves.SetShare) -> str:
    """The same, and what gives the share back to the steps, or what 100 leads to."""
    return f"{share_set(facts, move)} {setpoints.goes_on(facts, move.percent)}"


def approved_by_setpoint(percent: int, passed: Sequence[int]) -> str:
    """A setpoint passed steps that want approval."""
    steps = " and ".join(f"{step} %" for step in passed)
    return f"The setpoint of {percent} % counts as approval of leaving {steps}."


def percent_refused(facts: Facts, percent: int) -> str:
    """A setpoint for a rejected canary, with the command that helps."""
    retry = commands.request(facts.situation, Verb.RETRY, facts.canary)
    return f"{percent} % is refused: {facts.canary} was rejected. Retry: {retry}"


def kept(facts: Facts) -> str:
    """The steps go on from the share in force."""
    return f"{facts.canary} goes on by the steps, from {facts.percent} % with a fresh hold."


def begun_anew(facts: Facts) -> str:
    """Rows of this step are lost: what that means for it."""
    what = "the final hold" if facts.in_final_hold else "this step"
    what = "this ring" if facts.in_rings else what
    return (
        f"Outcome rows were lost before they were counted. {facts.canary} stays at {facts.place}: "
        f"{what} begins anew, with a fresh hold and new evidence."
    )


def left(facts: Facts) -> str:
    """A step is over."""
    return f"{facts.canary} leaves {facts.percent} %."


def entered(facts: Facts, move: moves.Advance) -> str:
    """The next step or the final hold begins, and why so early."""
    because = ", nobody was exposed in the step before" if move.nobody_eligible else ""
    if move.held and move.index is not None:
        more = facts.strategy.steps[move.index].percent
        because = f", and goes to {more} % once it is proven to keep its limits"
    if move.late:
        because = ", for it has waited for strategy.progressDeadlineSeconds, and nothing speaks against it"
    if move.requested:
        because = f", by request{answers.skipped(facts)}"
    return f"{answers.enters(facts, move)}{because}."


def answered(request: str, message: str) -> str:
    """How a request ended."""
    return f"{request}: {message}."
