"""What is said while no revision serves yet and the first one climbs: who is refused, and every way on."""

from typing import Final

from penstock.analysis.guardrails import Finding
from penstock.api import condition
from penstock.rollout import commands, findings
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.traffic import Arm

#: Who is refused, with the problem that callers read.
OTHERS: Final = "everybody else is refused (not-assigned)"
NOTHING_COUNTED: Final = "no task of it is counted yet"


def breaks(facts: Facts, check: Finding) -> str:
    """It breaks a limit, and keeps its users: a person decides."""
    return (
        f"Held at {facts.place}: {findings.line(check)}; no other revision could serve its users, so it "
        "keeps them (guardrails.onStable: Report). It goes on by itself when the limit is kept again. "
        f"Abort: {_ask(facts, Verb.ABORT)} Or promote: {_ask(facts, Verb.PROMOTE)}"
    )


def stays_rejected(facts: Facts, why: str) -> str:
    """Nobody is served, and what ends that."""
    return (
        f"{facts.canary} was {why}. Nobody is served: no other revision can, and all callers are refused "
        f"(not-assigned). Apply another template. Or retry: {_ask(facts, Verb.RETRY)}"
    )


def began(canary: str) -> str:
    """The first revision begins to climb."""
    return f"{canary} is the first revision and climbs by the steps; {OTHERS}."


def awaits_evidence(facts: Facts, so_far: str) -> str:
    """How many tasks are still missing, where no other side could have any."""
    began = "the percentage" if facts.status.rings else "it"
    return (
        f"Held at {facts.place} for evidence: {facts.canary} needs {facts.step.min_tasks} counted tasks "
        f"since {began} began and one in this step; {so_far}. {_meanwhile(facts)}"
    )


def _meanwhile(facts: Facts) -> str:
    """Who is refused; where only such have asked, what does not wait for one of its own users."""
    observed = facts.observation
    reached = (
        observed is None
        or observed.routed_in_step(Arm.CANARY)
        or facts.status.analysis.step_canary.tasks
    )
    if reached or not _turned_away(facts):
        return f"Meanwhile {OTHERS}."
    return (
        f"In this step only callers have asked who are none of its users, and were refused (not-assigned): that proves "
        f"nothing, and no time replaces it. Give it to more without: {_ask(facts, Verb.PROMOTE)}"
    )


def _turned_away(facts: Facts) -> bool:
    """Whether a caller was refused in this step, for want of a stable revision."""
    at, begun = facts.situation.turned_away_at, facts.status.step_started_at
    return at is not None and begun is not None and at >= condition.moment(begun)


def _ask(facts: Facts, verb: Verb) -> str:
    return commands.request(facts.situation, verb, facts.canary)
