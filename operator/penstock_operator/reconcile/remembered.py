"""What was decided before, as far as it is about this very Agent and can still be served."""

import itertools
from collections.abc import Collection, Iterable
from typing import Final

from penstock.api.agent_status import AgentStatus, Rejection
from penstock.api.analysis import AnalysisStatus, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus, Share
from penstock_operator.reconcile.world import World

#: So many rejections an Agent remembers when their records are gone, the last ones.
MAX_REJECTIONS: Final = 100
_LONGEST: Final = 256


def decision(world: World, recorded: Collection[str]) -> AgentRolloutStatus:
    """The decision in force; a blank one where it is another Agent's, or nobody can serve by it.

    Args:
        recorded: names of revisions that have a record or a projection.
    """
    if world.rollout is None:
        return AgentRolloutStatus()
    status = world.rollout.status
    foreign = status.agent_uid not in ("", world.uid)
    if foreign or gone(world, status.stable_revision or "", recorded):
        return _begun_anew(status)
    return status


def gone(world: World, revision: str, recorded: Collection[str]) -> bool:
    """Whether nothing is left of a revision: no record, no projection, and no worker is ready."""
    left = revision in recorded or revision in world.configmaps or world.ready(revision)
    return bool(revision) and not left


def _begun_anew(status: AgentRolloutStatus) -> AgentRolloutStatus:
    """A status that decides nothing, but keeps its verdicts and never counts backwards."""
    return AgentRolloutStatus(
        observed_generation=status.observed_generation,
        route_version=status.route_version,
        epoch=status.epoch,
        share=Share(setpoint=status.share.setpoint),
        analysis=AnalysisStatus(since_version=status.analysis.since_version),
        verdicts=status.verdicts,
        last_request=status.last_request,
        answered_requests=status.answered_requests,
        conditions=status.conditions,
    )


def verdicts(world: World) -> dict[str, tuple[Verdict, ...]]:
    """The verdicts on each revision, the one that holds last, by what the statuses say.

    Whom the AgentRollout in charge has promoted or superseded it tells alone; rejections are remembered
    wherever they stand.
    """
    found = {}
    if world.rollout and world.rollout.status.agent_uid in ("", world.uid):
        found = _in_force(world.rollout.status.verdicts)
    others = [_in_force(rollout.status.verdicts) for rollout in world.rollouts]
    others.append({item.revision: (item.verdict,) for item in world.status.rejected})
    for name, told in itertools.chain.from_iterable(other.items() for other in others):
        mine = found.get(name)
        later = mine is None or told[-1].at > mine[-1].at
        if told[-1].result is Result.REJECTED and later:
            found[name] = told
    return found


def _in_force(told: Iterable[Verdict]) -> dict[str, tuple[Verdict, ...]]:
    """A retry that was superseded leaves the rejection before it as it was."""
    found: dict[str, tuple[Verdict, ...]] = {}
    for verdict in told:
        before = found.get(verdict.revision, ())
        rejected = bool(before) and before[-1].result is Result.REJECTED
        if verdict.result is not Result.SUPERSEDED or not rejected:
            found[verdict.revision] = (*before, verdict)
    return found


def noted(status: AgentStatus, verdicts: Iterable[Verdict]) -> list[Rejection]:
    """The Agent's list of rejections, the oldest first, with these verdicts counted in."""
    told = _in_force([*(item.verdict for item in status.rejected), *verdicts])
    last = [of[-1] for of in told.values()]
    rejected = [verdict for verdict in last if verdict.result is Result.REJECTED]
    return [_rejection(verdict) for verdict in rejected][-MAX_REJECTIONS:]


def _rejection(verdict: Verdict) -> Rejection:
    return Rejection(
        revision=verdict.revision,
        attempt=verdict.attempt,
        reason=verdict.reason.value,
        message=verdict.message[:_LONGEST],
        at=verdict.at,
    )
