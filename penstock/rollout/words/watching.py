"""What is said where stable breaks a limit by itself, and something follows."""

from typing import Final

from penstock.analysis.guardrails import Finding
from penstock.rollout import commands, findings
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb

NOT_DECLARED: Final = "analysis.guardrails.onStable is not Suspend any more"
BY_REQUEST: Final = "by request"
ONCE: Final = "It was gone back to before, and nobody is sent to and fro: a person decides."
NOBODY: Final = "There is no revision to go back to: a person decides."


def line(found: Finding) -> str:
    """What stable does, in numbers, such as "error rate 31.0 % (13/42) in the last 300 s, limit 5 %"."""
    return (
        f"{findings.title(found)} {findings.of_stable(found)} in the last {found.seconds} s, "
        f"limit {findings.limit(found)}"
    )


def goes_back(facts: Facts, goal: str, found: Finding) -> str:
    """Why everybody goes back, who serves until then, and the brake for that time."""
    return (
        f"{facts.stable} breaks {found.name} (limit {findings.limit(found)}). Everybody goes back to {goal} "
        f"when its first pod is ready (onStable: Rollback); {facts.stable} serves until then. To admit "
        f"nothing meanwhile: {commands.suspend(facts.situation)}"
    )


def rolled_back(percent: int, found: Finding, goal: str) -> str:
    """The verdict on a stable revision that is left."""
    return f"rolled back at {percent} %: {line(found)}; back to {goal}"


def returned(left: str) -> str:
    """The verdict on the revision that is gone back to."""
    return f"promoted: {left} broke a limit while it served everybody"


def braked(facts: Facts, found: Finding) -> str:
    """Why nothing is admitted any more."""
    return f"Nothing is admitted (onStable: Suspend): {facts.stable} had {line(found)}."


def ways(facts: Facts) -> str:
    """Every way in which tasks are admitted again."""
    retry = commands.request(facts.situation, Verb.RETRY, facts.stable)
    return f"Admit again: {retry} Or undo, or promote-full of another revision."


def released(facts: Facts, why: str) -> str:
    """Tasks are admitted again, and why."""
    return f"{facts.stable} is admitted to again, {why}"
