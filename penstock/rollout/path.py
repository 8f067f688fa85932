"""The path of steps: where a share stands on it, and what comes next."""

import hashlib
from functools import lru_cache
from typing import Final

from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import Step, StepApproval, Strategy

#: What people call a stage, or a place in it.
RING: Final = "ring"


def steps_hash(strategy: Strategy) -> str:
    """Tells whether the steps were edited."""
    return _hash(tuple(strategy.steps))


@lru_cache(maxsize=256)
def _hash(steps: tuple[Step, ...]) -> str:
    text = "|".join(step.model_dump_json() for step in steps)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def place(strategy: Strategy, percent: int) -> tuple[int, int | None]:
    """Where a share stands: the index of the step whose numbers hold, and the share if implied.

    A share that is no step's own is an implied step, with the numbers of the nearest step above
    it, or of the last one.
    """
    for index, step in enumerate(strategy.steps):
        if step.percent >= percent:
            return index, None if step.percent == percent else percent
    return len(strategy.steps) - 1, percent


def present_step(strategy: Strategy, status: AgentRolloutStatus) -> Step:
    """The step whose numbers hold now, as the share in force; an implied one needs no approval."""
    step = strategy.steps[min(status.current_step_index, len(strategy.steps) - 1)]
    if status.held_percent is None:
        return step
    return step.model_copy(
        update={"percent": max(status.held_percent, 1), "approval": StepApproval.NONE}
    )


def next_index(strategy: Strategy, status: AgentRolloutStatus) -> int | None:
    """Index of the next larger step; None when only the final hold is left."""
    if not started(status):
        return 0
    if status.held_percent is None:
        following = status.current_step_index + 1
        return following if following < len(strategy.steps) else None
    larger = (
        i for i, step in enumerate(strategy.steps) if step.percent > (status.held_percent or 0)
    )
    return next(larger, None)


def promotes_next(strategy: Strategy, status: AgentRolloutStatus) -> bool:
    """Whether what follows is to be stable: out of the final hold, or out of the last step where none is declared."""
    if status.stage is Stage.FINAL_HOLD:
        return True
    return strategy.final_hold_seconds == 0 and next_index(strategy, status) is None


def started(status: AgentRolloutStatus) -> bool:
    """Whether the canary has entered its first step."""
    return status.step_started_at is not None


def under_way(status: AgentRolloutStatus) -> bool:
    """Whether a canary is being tried: neither rejected nor promoted nor absent."""
    return status.stage is not Stage.DONE


def final_percent(strategy: Strategy, status: AgentRolloutStatus) -> int:
    """Share of the final hold on the automatic path; never less than what is in force."""
    return max(100 - strategy.holdback_percent, status.share.percent)


def target(strategy: Strategy, status: AgentRolloutStatus) -> int:
    """Share that the automatic path wants where it stands, before any ceiling."""
    if status.held_percent is not None:
        return status.held_percent
    if status.stage is Stage.FINAL_HOLD:
        return 100 - strategy.holdback_percent
    return present_step(strategy, status).percent


def label(strategy: Strategy, status: AgentRolloutStatus) -> str:
    """Progress for people: "ring 1/2", "2/3", "final", or "-" when nothing is under way."""
    if status.stage is Stage.DONE:
        return "-"
    if status.stage is Stage.FINAL_HOLD:
        return "final"
    if status.stage is Stage.SHADOW:
        return "shadow"
    if status.stage is Stage.RINGS:
        names = {ring.name for ring in strategy.rings or ()} | {one.name for one in status.rings}
        return f"{RING} {len(status.rings)}/{len(names)}"
    reached = status.current_step_index + 1 if started(status) else 0
    if status.share.source is Source.SETPOINT and not status.share.percent:
        reached = 0
    return f"{reached}/{len(strategy.steps)}"
