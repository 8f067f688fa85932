"""What going back to a former revision does to the status, and what it tells."""

from collections.abc import Sequence
from typing import Any

from penstock.api.analysis import AnalysisStatus, Reason, Result, Verdict
from penstock.api.interruptions import Suspension
from penstock.api.reasons import EventReason
from penstock.api.rollout import Source
from penstock.rollout import findings, former, moves
from penstock.rollout.changes import (
    NOWHERE,
    Change,
    answered,
    new_verdict,
    share,
    updated,
    with_verdict,
)
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import answers, events, verdicts, watching


def undo(move: moves.Undo, facts: Facts) -> Change:
    """Everybody goes back to a former revision; who is left for it is rejected."""
    left = [_undone(facts, name, move) for name in former.left_for(facts, move.revision)]
    names = [verdict.revision for verdict in left]
    reason, message = Reason.REQUESTED, verdicts.promoted_by_undo(names)
    if move.broken:
        reason, message = Reason.RETURNED, watching.returned(facts.stable)
    promoted = new_verdict(facts, move.revision, Result.PROMOTED, reason, message, None).model_copy(
        update={"attempt": former.attempt_of(facts, move.revision), "percent": 0}
    )
    kept = facts.status.verdicts
    for verdict in (*left, promoted):
        kept = with_verdict(kept, verdict)
    update = {
        **NOWHERE,
        "stable_revision": move.revision,
        "brake": None,
        "share": share(facts, 0, Source.NONE),
        "analysis": AnalysisStatus(),
        "suspension": Suspension(),
        "verdicts": kept,
        **_still_declared(facts, left),
        **({} if move.broken else answered(facts, answers.undone(move.revision, names))),
    }
    told = tuple(_told_undone(facts, verdict) for verdict in left)
    stable = Happening(EventReason.PROMOTED, events.promoted(promoted))
    return Change(updated(facts, update), (*told, stable), (*left, promoted))


def _undone(facts: Facts, revision: str, move: moves.Undo) -> Verdict:
    """The rejection of a revision that is left: of the canary in flight, or of stable."""
    tried = revision == former.in_flight(facts)
    percent = facts.percent if tried else 100 - facts.percent
    place = facts.place if tried else f"{percent} %"
    reason, message, check = Reason.ABORTED, verdicts.undone(place, move.revision), None
    if move.broken:
        message = watching.rolled_back(percent, move.broken, move.revision)
        reason, check = findings.reason(move.broken), move.broken.name
    verdict = new_verdict(facts, revision, Result.REJECTED, reason, message, check)
    if tried:
        return verdict
    whose = {"tasks": 0, "users": 0} if former.in_flight(facts) else {}
    attempt = former.attempt_of(facts, revision)
    return verdict.model_copy(update={"attempt": attempt, "percent": percent, **whose})


def _told_undone(facts: Facts, verdict: Verdict) -> Happening:
    declared = verdict.revision == facts.situation.latest
    message = events.rejected(facts, verdict, declared=declared)
    return Happening(EventReason.ROLLED_BACK, message, warning=True)


def _still_declared(facts: Facts, left: Sequence[Verdict]) -> dict[str, Any]:
    """What was undone and is declared all the same is the canary, and gets nothing."""
    latest = facts.situation.latest or facts.status.canary_revision or ""
    mine = [verdict for verdict in left if verdict.revision == latest]
    if not mine and not (facts.rejected and latest == facts.status.canary_revision):
        return {"canary_revision": None, "canary_since": None}
    kept = {"canary_revision": latest, "share": share(facts, 0, Source.ROLLBACK)}
    if latest == facts.status.canary_revision:
        return kept
    begun = {"salt": facts.situation.fresh_salt, "unit": facts.situation.spec.unit}
    return {**kept, **begun, "attempt": mine[0].attempt, "canary_since": None}
