"""For how long a plan holds if nothing that it was made from changes. Pure."""

from typing import Final

from penstock.analysis.evidence import Observation
from penstock_operator.reconcile.plan import Plan
from penstock_operator.reconcile.world import World

#: What no memory of ours covers is repaired after so long.
LONGEST_SECONDS: Final = 600.0
#: While tasks are in a window, what they say of stable changes with time alone; it is told so often.
MEASURED_SECONDS: Final = 60.0


def holds_seconds(world: World, plan: Plan) -> float:
    """For how long nothing but news can change a plan; 0 where time alone can, or it was not kept.

    A plan is made again while anything of it was to be written: the next one finds it written.
    """
    seen = world.observation
    if seen is None or _writes(plan) or _works(world) or _starts(world):
        return 0.0
    if _is_blank(seen):
        return min(plan.holds_seconds, LONGEST_SECONDS)
    tried = plan.course is not None and plan.course.decision.holds_seconds
    return 0.0 if tried else min(plan.holds_seconds, MEASURED_SECONDS)


def _writes(plan: Plan) -> bool:
    """Whether anything was to be written or told; numbers of a status wait for their minute."""
    return bool(
        plan.provide
        or plan.replaced
        or plan.children
        or plan.verdicts
        or plan.entries
        or plan.rollout_statuses
        or plan.idle_statuses
        or plan.news
        or plan.differs
        or plan.rehome
        or plan.expire
        or plan.give_up
        or plan.deletions
        or plan.events
        or plan.transitions
        or plan.instead_of
    )


def _works(world: World) -> bool:
    """Whether tasks wait or run: they age, and workers come and go with them."""
    look = world.look
    return look is None or bool(
        look.waiting
        or look.parked
        or any(work.queued or work.running for work in look.work.values())
    )


def _starts(world: World) -> bool:
    """Whether workers are awaited: what their pods say nobody tells us."""
    return any(pods.wanted and not pods.ready for pods in world.pods.values())


def _is_blank(seen: Observation) -> bool:
    """Whether the window is empty, so that time takes nothing out of it."""
    return not (seen.window or seen.older or seen.ended or seen.gap)
