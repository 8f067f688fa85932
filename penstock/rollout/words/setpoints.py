"""What is said of a share that a person has set: how the steps go on, and what 100 by hand means."""

from typing import Final

from penstock.rollout import commands
from penstock.rollout.facts import Facts
from penstock.rollout.requests import Verb

EVERYBODY: Final = 100


def held(facts: Facts) -> str:
    """Who holds the share, and how the steps go on; of all users, what makes it stable."""
    if facts.percent == EVERYBODY:
        return f"{facts.canary} gets all new work by spec.traffic.canaryPercent. {without_steps(facts)}"
    chosen = ", and users of rings have it too" if facts.status.chosen else ""
    return (
        f"{facts.canary} is held at {facts.percent} % by spec.traffic.canaryPercent{chosen}. "
        f"Go on with the steps: {commands.resume_steps(facts.situation)}"
    )


def goes_on(facts: Facts, percent: int) -> str:
    """The same of a share that is set just now, as the end of what is told of it."""
    if percent == EVERYBODY:
        return without_steps(facts)
    return f"Go on with the steps: {commands.resume_steps(facts.situation)}"


def without_steps(facts: Facts) -> str:
    """What is awaited where no step is left, what ends it otherwise, and the ways on: sooner, or off."""
    hold = facts.strategy.final_hold_seconds
    proven = facts.situation.spec.analysis.comparison is not None or not facts.stable
    wants = "a task of it and no broken limit"
    if proven:
        wants = "a task of it, no broken limit, and its limits proven to be kept"
    at_once = "as soon as its limits are proven to be kept" if proven else "at once"
    promoted = f"after the final hold of {hold} s, which wants {wants}" if hold else at_once
    promote = commands.request(facts.situation, Verb.PROMOTE, facts.canary)
    off = commands.set_percent(facts.situation, 0, facts.canary)
    return f"No step is left: it becomes stable {promoted}. Sooner: {promote} Or take it off: {off}"
