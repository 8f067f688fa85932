"""What is said of tasks that do not fit the share in force."""

from penstock.analysis import drawn
from penstock.analysis.drawn import Drawn
from penstock.rollout.facts import Facts
from penstock.traffic import Arm


def ratio(facts: Facts, came: Drawn, odds: float) -> str:
    """Tasks of new sessions, the share they should have had, and how unlikely that is."""
    ours, theirs = (came.arm(arm).tasks for arm in (Arm.CANARY, Arm.STABLE))
    everything = ours + theirs
    worth = everything / drawn.worth(came, facts.percent)
    return (
        f"Of {everything} tasks of sessions that began at {facts.percent} %, {ours} came to the canary "
        f"({100 * ours / everything:.1f} %); with users as unlike as these they are worth {worth:.0f}, and "
        f"the odds against chance are {min(odds, 1e12):.0f}:1."
    )


def far(facts: Facts, ours: int, theirs: int, since: str) -> str:
    """The share of all work, that in force, and since when they differ."""
    return (
        f"{facts.percent} % is in force, and {100 * ours / (ours + theirs):.0f} % of all work is the canary's "
        f"({ours} of {ours + theirs} tasks), since {since}: sessions stay where they began, and a few "
        "users may make most of the tasks."
    )


def far_by_rings(facts: Facts, ours: int, theirs: int) -> str:
    """The canary has most of the traffic, for that is made by users of rings, and nobody who is drawn may be left."""
    names = [ring.name for ring in facts.status.rings]
    seconds = facts.situation.spec.analysis.guardrails.window_seconds
    return (
        f"Users of ring{'s' * (len(names) > 1)} {', '.join(names)} make most of the traffic: {ours} of "
        f"{ours + theirs} tasks of the last {seconds} s are theirs, on {facts.canary}. Their tasks do not count in "
        "the percentage: too few of others may be left to go by."
    )
