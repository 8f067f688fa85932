"""How a canary begins, and how one is given up for another revision or for stable."""

from penstock.api.analysis import AnalysisStatus, Reason, Result
from penstock.api.interruptions import Suspension
from penstock.api.reasons import EventReason
from penstock.api.rollout import Source
from penstock.rollout import moves
from penstock.rollout.changes import (
    NOWHERE,
    Change,
    fresh_attempt,
    new_verdict,
    share,
    updated,
    with_verdict,
)
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import events, verdicts


def begin(move: moves.Begin, facts: Facts) -> Change:
    """A revision is the canary from now on, with a salt of its own; the one before it is superseded."""
    superseded = _supersede(
        facts, move.superseding, verdicts.superseded_by(facts.place, move.canary)
    )
    update = {
        **fresh_attempt(facts, _first_attempt(facts)),
        "canary_revision": move.canary,
        "salt": facts.situation.fresh_salt,
        "unit": facts.situation.spec.unit,
        "verdicts": superseded.status.verdicts,
    }
    began = Happening(EventReason.CANARY_STARTED, events.began(facts, move.canary))
    return Change(
        updated(facts, update),
        (*superseded.happenings, began),
        superseded.verdicts,
    )


def _first_attempt(facts: Facts) -> int:
    """The attempt a canary begins with: the one it was promoted in, when it comes back, by the status or its record.

    A revision that was rejected, retried and then promoted was good in the end.
    """
    promoted = [
        verdict.attempt
        for verdict in facts.status.verdicts
        if verdict.revision == facts.canary and verdict.result is Result.PROMOTED
    ]
    return max([1, facts.record(facts.canary).promoted_attempt, *promoted])


def drop(move: moves.Drop, facts: Facts) -> Change:
    """Nothing is tried any more."""
    message = verdicts.superseded_by_stable(facts.place, facts.stable)
    superseded = _supersede(facts, move.superseding, message)
    update = {
        **NOWHERE,
        "canary_revision": None,
        "canary_since": None,
        "share": share(facts, 0, Source.NONE),
        "analysis": AnalysisStatus(),
        "suspension": Suspension(),
        "verdicts": superseded.status.verdicts,
    }
    return Change(updated(facts, update), superseded.happenings, superseded.verdicts)


def _supersede(facts: Facts, revision: str, message: str) -> Change:
    if not revision:
        return Change(facts.status)
    verdict = new_verdict(facts, revision, Result.SUPERSEDED, Reason.NEW_REVISION, message, None)
    status = updated(facts, {"verdicts": with_verdict(facts.status.verdicts, verdict)})
    told = (Happening(EventReason.SUPERSEDED, events.superseded(verdict)),)
    # Another attempt of what was rejected proved nothing: the rejection stays on its record.
    return Change(status, told, () if facts.record(revision).rejected_attempt else (verdict,))
