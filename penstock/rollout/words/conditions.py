"""What the conditions say beside what is awaited."""

from typing import Final

from penstock.analysis.guardrails import Finding
from penstock.api.analysis import Verdict
from penstock.api.requested import LastRequest
from penstock.rollout import commands, findings
from penstock.rollout.facts import Facts

NO_SETPOINT: Final = "The steps decide."
STABLE_PASSES: Final = "No guardrail is broken on stable."
NO_DATA: Final = "The canary had no task in the window."
UNCUT: Final = "The Agent's present template has no revision yet."


def unreached(facts: Facts, percent: int) -> str:
    """A step was left that nobody could reach."""
    meanwhile = "stable had some" if facts.stable else "others were refused"
    return (
        f"At {percent} % no task reached {facts.canary} while {meanwhile}: "
        "the step was left by time alone."
    )


def refusal(last: LastRequest) -> str:
    """The answer to a request, beside another sentence."""
    return f"Request {last.value} was refused: {last.message}."


def refused_before(last: LastRequest) -> str:
    """That an answer of before was a refusal, and where it stands."""
    return f"Request {last.value} was refused before that; status.lastRequest says why."


# ---------------------------------------------------------------------------------- analysis


def unmeasured(facts: Facts) -> str:
    """Nothing is known of the outcomes."""
    why = facts.situation.observation_error or "no measurement yet"
    return f"Outcomes cannot be read: {why}."


def over(check: Finding) -> str:
    """A guardrail that does not pass."""
    return f"{check.name}: limit {findings.limit(check)}."


def passes(*, gap: bool) -> str:
    """All guardrails pass."""
    return f"Every guardrail passes.{' Some outcome rows were lost uncounted.' * gap}"


def breaks(revision: str, check: Finding) -> str:
    """A revision breaks a guardrail."""
    return f"{revision} breaks {check.name}: limit {findings.limit(check)}."


# ---------------------------------------------------------------------------------- setpoint


def setpoint_without_canary(percent: int) -> str:
    """There is nobody to give it to."""
    return f"A setpoint of {percent} % waits; it caps the steps of the next canary."


def setpoint_is_ceiling(facts: Facts, percent: int) -> str:
    """It was not meant for this canary, and what makes it so."""
    return (
        f"A setpoint of {percent} % that was not set for {facts.canary} is only a "
        f"ceiling. {commands.set_percent(facts.situation, percent, facts.canary)}"
    )


def setpoint_waits(percent: int, why: str) -> str:
    """It is not in force yet."""
    return f"The setpoint of {percent} % waits: {why}"


# ---------------------------------------------------------------------------------- promoted


def still_stable(revision: str) -> str:
    """The canary is not promoted; it may be the first revision."""
    return f"{revision} is still stable." if revision else "No revision serves everybody yet."


def was(verdict: Verdict) -> str:
    """How stable came to be so."""
    return f"{verdict.revision} was {verdict.message}."


def is_newest(revision: str) -> str:
    """Nothing is known of how it came to be so."""
    return f"{revision} is the newest revision and serves everybody."
