"""What is answered to what a person asks."""

import math
from collections.abc import Sequence
from typing import Final

from penstock.analysis.evidence import Observation
from penstock.api.strategy import FirstRevision
from penstock.rollout import commands, moves, requests
from penstock.rollout.facts import Facts
from penstock.traffic import Arm

#: So many of the revisions that can be gone back to are named in a refusal, the last ones.
_NAMED: Final = 8
#: A request that was there before the status.
UNKNOWN_AGE: Final = (
    "it was there before this rollout's status began and may have been handled before; "
    "if it is still wanted, send it again with another last part"
)
#: A value that is sent again after another one.
ANSWERED_BEFORE: Final = "this value was answered before, so nothing was done; to ask again, send it with another last part"
MALFORMED: Final = (
    f"it is not <verb>/<revision>/<nonce> with one of the verbs {', '.join(requests.Verb)}"
)

# ---------------------------------------------------------------------------------- refused


def ambiguous(revisions: Sequence[str], version: str) -> str:
    """A version that several revisions have."""
    return f"{' and '.join(revisions)} have the version {version}: name one"


def is_stable(stable: str) -> str:
    """It has what it wants."""
    return f"{stable} is stable already"


def no_canary(asked: str) -> str:
    """Nothing is tried."""
    return f"there is no canary, so {asked} cannot be meant"


def another_canary(canary: str, asked: str) -> str:
    """Another revision is tried."""
    return f"the canary is {canary}, not {asked}"


def nothing_to_retry(canary: str) -> str:
    """It was not rejected."""
    return f"{canary} was not rejected, there is nothing to retry"


def not_on_record(asked: str) -> str:
    """No record tells of such a revision."""
    return (
        f"{asked} is no revision on record: its record was pruned "
        "(spec.revisionHistoryLimit of the Agent), or it never had one"
    )


def serves_already(revision: str) -> str:
    """Everybody is there already."""
    return f"{revision} serves already"


def was_rejected(revision: str, rejection: str) -> str:
    """A rejected revision is no way back."""
    return f"{revision} was {rejection}, and stays rejected until retry"


def never_served(revision: str) -> str:
    """It was never stable."""
    return f"{revision} has never served everybody"


def with_choice(why: str, able: Sequence[tuple[str, str | None]]) -> str:
    """Why it is impossible to go back there, and where to it is possible.

    Args:
        able: name and ``template.version`` of each, the last first.
    """
    told = [f"{name} ({version})" if version else name for name, version in able]
    if not told:
        return f"{why}; there is no revision to go back to"
    more = f" and {len(told) - _NAMED} before these" if len(told) > _NAMED else ""
    return f"{why}; undo can go back to {', '.join(told[:_NAMED])}{more}"


# ---------------------------------------------------------------------------------- accepted


def retried(facts: Facts, attempt: int) -> str:
    """Another attempt begins, and where."""
    owned = facts.owned
    where = "with the first step" if owned is None else f"at the setpoint of {owned} %"
    if not facts.stable and facts.strategy.first_revision is not FirstRevision.STEPS:
        where = "and serves everybody once a worker is ready"
    return f"attempt {attempt} of {facts.canary} begins {where}"


def noted(facts: Facts) -> str:
    """Promote while a setpoint holds the share."""
    if facts.owned == 100:
        return f"{facts.canary} waits for its pods"
    return (
        f"noted as approval; the share stays at {facts.owned} % until the setpoint is removed: "
        f"{commands.resume_steps(facts.situation)}"
    )


def undone(revision: str, left: Sequence[str]) -> str:
    """Everybody goes back."""
    return f"{revision} serves everybody; rejected until retry: {' and '.join(left)}"


def enters(facts: Facts, move: moves.Advance) -> str:
    """Which step begins, or the final hold."""
    if move.index is None:
        where = "the final hold"
    else:
        where = f"step {move.index + 1}/{len(facts.strategy.steps)}"
    return f"{facts.canary} enters {where}: {facts.place} to {move.percent} %"


def skipped(facts: Facts) -> str:
    """What a step that is left by request did not wait for; empty when nothing was missing."""
    if not facts.started or facts.in_final_hold:
        return ""
    left = math.ceil(facts.step.hold_seconds - facts.seconds_in_step())
    missing = [f"{left} s of the hold"] if left > 0 else []
    if facts.observation is None:
        missing.append("what its tasks say, which cannot be read")
    else:
        missing += _missing_tasks(facts, facts.observation)
    return f"; left out: {' and '.join(missing)}" if missing else ""


def _missing_tasks(facts: Facts, observed: Observation) -> list[str]:
    fewest, totals = facts.step.min_tasks, {arm: observed.in_total(arm).tasks for arm in facts.arms}
    if min(totals.values()) >= fewest:
        return []
    theirs = f", stable {totals[Arm.STABLE]}" if facts.stable else ""
    return [f"tasks (the canary has {totals[Arm.CANARY]}{theirs} of {fewest})"]
