"""How many workers a share needs, and when they must be asked for. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from penstock.api import condition
from penstock.api.agent import Scaling
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Source, Stage
from penstock.rollout import path, setpoint

#: Workers for the next share are asked for so long before the hold is over.
LEAD_SECONDS: Final = 120


@dataclass(frozen=True)
class Capacity:
    """Tasks at a time: what the canary's workers can take, and what its users need.

    ``ready``: what its ready pods can take; ``demand``: running and queued of all revisions;
    ``most``: what as many pods as are allowed could take.
    """

    ready: int
    demand: int
    most: int

    def needed(self, percent: int) -> int:
        """What so large a share of the users needs, as far as it may be had at all."""
        return min(-(-self.demand * percent // 100), self.most)

    def suffices(self, percent: int) -> bool:
        """Whether the ready pods can take so large a share."""
        return self.ready >= self.needed(percent)


def capacity(scaling: Scaling, concurrency: int, ready_pods: int, tasks: int) -> Capacity:
    """The capacity of a canary.

    Args:
        concurrency: tasks at a time that one worker takes.
        tasks: running and queued of all revisions. Where a person gives the number of workers,
            that number is the demand, whatever the tasks are.
    """
    fixed = scaling.replicas
    demand = tasks if fixed is None else fixed * concurrency
    most = (scaling.max_replicas if fixed is None else fixed) * concurrency
    return Capacity(ready_pods * concurrency, demand, most)


def replicas_for(room: Capacity, percent: int, concurrency: int) -> int:
    """How many workers so large a share needs; at least one."""
    return max(1, -(-room.needed(percent) // concurrency))


def next_percent(status: AgentRolloutStatus, spec: AgentRolloutSpec) -> int:
    """The share that is wanted next: a setpoint, the one to come back to, or the next step's."""
    if status.stage is Stage.DONE:
        return 0
    canary = status.canary_revision or ""
    owned = setpoint.owned_percent(status.share.setpoint, canary)
    if owned is not None:
        return owned
    want = _next_of_path(status, spec)
    ceiling = setpoint.ceiling_percent(status.share.setpoint, canary)
    return want if ceiling is None else min(want, ceiling)


def _next_of_path(status: AgentRolloutStatus, spec: AgentRolloutSpec) -> int:
    if status.share.source is Source.SUSPENDED:
        return status.held_percent or 0
    if status.stage is Stage.FINAL_HOLD:
        return status.share.percent
    index = path.next_index(spec.strategy, status)
    if index is None:
        return path.final_percent(spec.strategy, status)
    return spec.strategy.steps[index].percent


def percent_back(status: AgentRolloutStatus, spec: AgentRolloutSpec) -> int:
    """The part of all work that a suspended canary comes back to.

    Users of rings are no share: it is what they made when they went, and no less than the first step.
    """
    held = status.held_percent or 0
    if status.stage is not Stage.RINGS or not status.rings:
        return held
    made = (status.suspension.work_percent if status.suspension else None) or 0
    return max(held, made, spec.strategy.steps[0].percent)


def percent_to_staff(status: AgentRolloutStatus, spec: AgentRolloutSpec, now: datetime) -> int:
    """The share that the canary's workers must be able to take by now.

    It is the next one from shortly before the hold is over; while nothing is raised by itself
    (paused, or a setpoint is in force), the present one.
    """
    present, following = status.share.percent, next_percent(status, spec)
    if status.share.source is Source.SUSPENDED:
        return max(present, following, percent_back(status, spec))
    if not path.started(status):
        return max(present, following)
    raised_by_person = setpoint.owned_percent(status.share.setpoint, status.canary_revision or "")
    if raised_by_person is None and (spec.paused or not _soon(status, spec, now)):
        return present
    return max(present, following)


def _soon(status: AgentRolloutStatus, spec: AgentRolloutSpec, now: datetime) -> bool:
    hold = path.present_step(spec.strategy, status).hold_seconds
    begun = condition.moment(status.step_started_at) if status.step_started_at else now
    return (now - begun).total_seconds() >= hold - LEAD_SECONDS
