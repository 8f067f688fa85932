"""What is said where a canary has waited for longer than its deadline."""

from collections.abc import Callable
from typing import Final

from penstock.api.reasons import WaitReason
from penstock.rollout import commands, findings
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb
from penstock.traffic import Arm

TOO_FEW: Final = "too few tasks of both sides have ended"
CHOSEN: Final = "only users who were chosen have tried it"
NOT_COMPARED: Final = "it was not compared with stable yet"
SUSPICIOUS: Final = "something speaks against it"
UNAPPROVED: Final = "a step that is left wants an approval"
GATE: Final = "a gate outside of Penstock is closed"
CEILING: Final = "a left-over setpoint is a ceiling"
NO_WORKERS: Final = "its ready pods have no room for the larger share"
_MISSING: Final = {
    WaitReason.AWAITING_CAPACITY: "workers are missing",
    WaitReason.AWAITING_EVIDENCE: "evidence is missing",
    WaitReason.ANALYSIS_UNCLEAR: "what was seen is left to a person",
    WaitReason.LIMIT_DOES_NOT_FIT: "stable itself is over a limit",
}
_BOTH: Final = (Arm.CANARY, Arm.STABLE)


def waits_on(facts: Facts, awaited: Callable[[Facts], str], against: str) -> str:
    """For how long it may wait, what is missing, why time does not promote it, and the ways on."""
    missing = awaited(facts)
    so = f" Not promoted: {against}." if against else ""
    ways = "" if "kubectl" in missing else f" {_ways(facts)}"
    return f"{_late(facts)}, and goes on when it is not missing any more.{so} {missing}{ways}"


def rolled_back(facts: Facts, missing: WaitReason) -> str:
    """Why it is rejected: what time was not enough for, and what was seen."""
    observed = facts.observation
    ours, theirs = (observed.in_total(arm).tasks if observed else 0 for arm in _BOTH)
    seen = "".join(
        f"; {findings.title(check)} {findings.of_canary(check)}" for check in facts.checks
    )
    return (
        f"rolled back at {facts.place}: {_late(facts)}, and {_MISSING[missing]}: {ours} tasks of it"
        + f" and {theirs} of stable" * bool(facts.stable)
        + seen
    )


def promoted(facts: Facts) -> str:
    """Why it is stable with something missing."""
    return f"promoted from {facts.percent} %: {_late(facts)}, and nothing speaks against it"


def _late(facts: Facts) -> str:
    limit = facts.strategy.deadline_seconds
    return (
        f"{facts.canary} has waited at {facts.place} for {limit} s "
        "(strategy.progressDeadlineSeconds)"
    )


def _ways(facts: Facts) -> str:
    promote, abort = (
        commands.request(facts.situation, verb, facts.canary) for verb in (Verb.PROMOTE, Verb.ABORT)
    )
    return f"Promote without: {promote} Or abort: {abort}"
