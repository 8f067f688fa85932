"""Since when the comparison weighs evidence, and how often that was begun anew.

Each raise, and each return from 0 %, begins a slot of its own, so that what came with it is seen, and so that what is proven before
promotion is proven by no task from before it. Evidence that begins anew is a new try: tries are counted, so that all of
them together have the chance of one.
"""

from typing import Any, Final

from penstock.analysis.comparison.compared import slots
from penstock.analysis.comparison.sums import LATEST, SLOTS
from penstock.api.comparison import ComparisonStatus
from penstock.api.rollout import AgentRolloutStatus, Source, Stage
from penstock.api.strategy import Strategy
from penstock.rollout import path

_WITH_A_SHARE: Final = (Stage.STEPS, Stage.FINAL_HOLD)


def begun(
    before: AgentRolloutStatus, status: AgentRolloutStatus, strategy: Strategy
) -> ComparisonStatus:
    """Since which route versions evidence is weighed, in the version that the status has now.

    A raise opens the next slot; once there is none left, it opens the last one anew, as to come back from 0 % does. The proof before promotion
    begins with the final hold, or where none is declared with the last step, and anew with each slot that is opened in it.
    """
    kept = status.analysis.comparison
    version = status.route_version
    final = path.promotes_next(strategy, status)
    if kept is None or not kept.since:
        since = (version, *(0,) * (SLOTS - 1))
        return ComparisonStatus(since=since, restarts=0, final_proofs=int(final))
    slot = _slot_begun(before, status, kept)
    update: dict[str, Any] = {}
    if slot is not None:
        update |= _with(kept, slot, version)
    if final and (slot is not None or not path.promotes_next(strategy, before)):
        update["final_proofs"] = (kept.final_proofs or 0) + 1
    return kept.model_copy(update=update) if update else kept


def _slot_begun(
    before: AgentRolloutStatus, status: AgentRolloutStatus, kept: ComparisonStatus
) -> int | None:
    """Which slot a share that is larger than before begins."""
    raised = status.share.percent > before.share.percent
    if not raised or status.route_version == before.route_version:
        return None
    if before.share.percent:
        free = (slot for slot in range(1, LATEST) if not kept.since[slot])
        return next(free, LATEST)
    off = before.share.source in (Source.SUSPENDED, Source.SETPOINT, Source.CEILING)
    back = off or (before.stage in _WITH_A_SHARE and before.analysis.canary.tasks > 0)
    return LATEST if back else None


def _with(kept: ComparisonStatus, slot: int, version: int) -> dict[str, Any]:
    """A slot that begins with a version."""
    restarts = (kept.restarts or 0) + (slot == LATEST)
    return {
        "since": (*kept.since[:slot], version, *kept.since[slot + 1 :]),
        "restarts": restarts,
    }


def inherited(status: AgentRolloutStatus) -> AgentRolloutStatus:
    """The status with tries counted: what a version left that counted none is the first one.

    Of four or more raises an early version kept three: the proof of a final hold that it began is begun anew, from no task.
    """
    kept = status.analysis.comparison
    if kept is None or not kept.since or kept.final_proofs is not None:
        return status
    since, final = slots(kept.since), status.stage is Stage.FINAL_HOLD
    update: dict[str, Any] = {"restarts": int(since[LATEST] > 0), "final_proofs": int(final)}
    if final and all(since[:LATEST]) and max(since) < status.route_version:
        counted = kept.model_copy(update={**update, "since": since})
        update |= _with(counted, LATEST, status.route_version)
    analysis = status.analysis.model_copy(update={"comparison": kept.model_copy(update=update)})
    return status.model_copy(update={"analysis": analysis})
