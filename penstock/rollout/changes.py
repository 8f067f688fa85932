"""A change of the status, and the parts that several moves make it of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from penstock.api import condition
from penstock.api.analysis import AnalysisStatus, ArmCounts, Reason, Result, Verdict
from penstock.api.interruptions import Suspension
from penstock.api.requested import LastRequest
from penstock.api.rollout import AgentRolloutStatus, Share, Source, Stage
from penstock.api.sample import Sample
from penstock.rollout import path, requests, samples
from penstock.rollout.facts import WAITING, Facts
from penstock.rollout.situation import Happening

MAX_VERDICTS: Final = 10
#: Where a canary that is not under way stands.
NOWHERE: Final[Mapping[str, Any]] = {
    "stage": Stage.DONE,
    "current_step_index": 0,
    "held_percent": None,
    "step_started_at": None,
    "step_approved": False,
    "unready_since": None,
    "unreached_percent": None,
    "stuck": None,
    "delay": None,
    "told_waits": (),
    "rings": (),
}


@dataclass(frozen=True)
class Change:
    """The status after a move, what to tell, and the verdicts that it is."""

    status: AgentRolloutStatus
    happenings: tuple[Happening, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


# ------------------------------------------------------------------------------------ parts


def share(facts: Facts, percent: int, source: Source) -> Share:
    """The share with another percentage, and why."""
    return facts.status.share.model_copy(update={"percent": percent, "source": source})


def compared(facts: Facts) -> Suspension:
    """A canary that goes on was compared with stable since it came back."""
    return facts.suspension.model_copy(update={"uncompared": 0})


def fresh_step(facts: Facts) -> dict[str, Any]:
    """A step that begins now: its hold, and its counts from here on.

    After the rings its evidence begins anew as well: that of chosen users is not compared.
    """
    known = _of_nobody_chosen(facts) if facts.in_rings else facts.status.analysis
    now = condition.timestamp(facts.now)
    return {"step_started_at": now, **_fresh_counts(facts, known)}


def fresh_ring(facts: Facts) -> dict[str, Any]:
    """The counts of a ring that begins now; it is no step, and a version before it takes it for none."""
    return {"step_started_at": None, **_fresh_counts(facts, facts.status.analysis)}


def _fresh_counts(facts: Facts, known: AnalysisStatus) -> dict[str, Any]:
    update = {
        "step_from": _position(facts),
        "step_stable": ArmCounts(),
        "step_canary": ArmCounts(),
    }
    return {"analysis": known.model_copy(update=update), "told_waits": ()}


def _of_nobody_chosen(facts: Facts) -> AnalysisStatus:
    """The numbers without what chosen users have seen; the chain of rows goes on."""
    kept, observed = facts.status.analysis, facts.situation.observation
    return AnalysisStatus(
        counted_through=observed.counted_through if observed else kept.counted_through,
        rows=(observed.rows if observed else None) or kept.rows,
        before=kept.before,
    )


def _position(facts: Facts) -> str:
    """The place in the outcome log that is now, as an id: ids are Redis time in ms."""
    observed = facts.situation.observation
    return f"{observed.now_ms if observed else int(facts.now.timestamp() * 1000)}-0"


def fresh_attempt(facts: Facts, attempt: int) -> dict[str, Any]:
    """A canary at the start, with no evidence; its first route version is filled in later."""
    observed = facts.situation.observation
    through = observed.counted_through if observed else facts.status.analysis.counted_through
    return {
        **NOWHERE,
        "stage": _first_stage(facts),
        "attempt": attempt,
        "share": share(facts, 0, Source.NONE),
        "steps_hash": path.steps_hash(facts.strategy),
        "canary_since": condition.timestamp(facts.now),
        "unavailable_count": 0,
        "analysis": AnalysisStatus(
            counted_through=through,
            step_from=_position(facts),
            before=facts.status.analysis.before,
        ),
        "suspension": Suspension(),
    }


def _first_stage(facts: Facts) -> Stage:
    if facts.strategy.shadow and facts.stable:
        return Stage.SHADOW
    return Stage.RINGS if facts.strategy.rings else Stage.STEPS


def new_verdict(
    facts: Facts, revision: str, result: Result, reason: Reason, message: str, check: str | None
) -> Verdict:
    """A verdict of this moment, with what the canary had been given."""
    return Verdict(
        revision=revision,
        attempt=max(facts.status.attempt, 1),
        result=result,
        reason=reason,
        message=message[:2048],
        at=condition.timestamp(facts.now),
        check=check,
        percent=facts.percent,
        ring=facts.ring or None,
        tasks=facts.situation.tasks,
        users=facts.situation.users,
        samples=_samples(facts, revision, reason, check) if result is Result.REJECTED else (),
    )


def _samples(facts: Facts, revision: str, reason: Reason, check: str | None) -> tuple[Sample, ...]:
    """Failed tasks of those whose tasks condemn: of users of rings, or of who was drawn."""
    observed = facts.observation
    if observed is None or revision != facts.canary:
        return ()
    ringed = any(found.chosen and found.name == check for found in facts.checks)
    condemn = observed.chosen if ringed and observed.chosen else observed
    return samples.samples(condemn.failed, reason)


def with_verdict(verdicts: tuple[Verdict, ...], verdict: Verdict) -> tuple[Verdict, ...]:
    """The verdicts with a new one; what must go to make room is what rejects nobody."""
    kept = [*verdicts, verdict]
    while len(kept) > MAX_VERDICTS:
        kept.remove(min(kept[:-1], key=lambda one: _worth(one, kept)))
    return tuple(kept)


def _worth(verdict: Verdict, kept: Sequence[Verdict]) -> int:
    """How much would be forgotten with a verdict: rejections that still hold are the last to go."""
    later = kept[kept.index(verdict) + 1 :]
    overtaken = any(
        one.revision == verdict.revision and one.result is not Result.SUPERSEDED for one in later
    )
    if verdict.result is Result.SUPERSEDED or overtaken:
        return 0
    return 2 if verdict.result is Result.REJECTED else 1


def answered(facts: Facts, message: str, *, accepted: bool = True) -> dict[str, Any]:
    """The open request as answered; nothing when there is none."""
    if not facts.open_request:
        return {}
    last = LastRequest(
        value=facts.open_request,
        result="Accepted" if accepted else "Refused",
        message=message[:2048],
        at=condition.timestamp(facts.now),
    )
    return {"last_request": last, "answered_requests": remembered(facts, facts.open_request)}


def remembered(facts: Facts, value: str) -> tuple[str, ...]:
    """The answered requests with one more; with the last of a status that has no such list yet."""
    last = facts.status.last_request
    before = "" if last.result == WAITING else last.value
    return requests.remember(facts.status.answered_requests, before, value)


def updated(facts: Facts, update: Mapping[str, Any]) -> AgentRolloutStatus:
    """The status with some fields changed."""
    return facts.status.model_copy(update=dict(update))
