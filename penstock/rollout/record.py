"""The record of decisions: what was decided on a revision, by which rule, on which numbers; a chain of digests.

A decision is written once and never changed. Each has the digest of the one before it, so that none
can be changed, dropped or moved without another end of the chain.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock import revision
from penstock.analysis.evidence import Observation
from penstock.analysis.guardrails import Finding
from penstock.analysis.metrics import Sums, for_status
from penstock.api import condition
from penstock.api.decisions import DecisionsHead
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import gated, given, harm_budget, moves, numbers, path
from penstock.rollout.changes import Change
from penstock.rollout.comparing import comparing
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Action
from penstock.rollout.situation import Entry
from penstock.traffic import Arm

#: The layout of an entry. A reader passes over fields that it does not know.
SCHEMA: Final = 1
#: Which engine decided. It grows when the same rows may be decided otherwise.
ENGINE: Final = 7
#: An answer to a request is no decision on a canary, and the first revision is compared with nobody.
_UNRECORDED: Final = (moves.Answer, moves.ServeFirst)
_ARMS: Final = {"canary": Arm.CANARY, "stable": Arm.STABLE}


@dataclass(frozen=True)
class Taken:
    """One move of a pass: the check that asked for it, what was known before it, what it changed."""

    check: Callable[..., object]
    move: Action
    facts: Facts
    changed: Change


def entries(taken: Iterable[Taken], last: Facts) -> tuple[tuple[Entry, ...], DecisionsHead | None]:
    """The entries of a pass in their order, and the end of the chain of the present canary.

    Args:
        last: what is known when all moves are made and the route has its version.
    """
    made: list[Entry] = []
    heads: dict[str, DecisionsHead] = {}
    head = last.status.decisions
    for one in taken:
        for name in _about(one):
            before = heads.get(name) or _head(one.facts, last.status.decisions, name)
            told = _told(one, name, before, last)
            if name not in heads:
                told["inputs"] = given.written(last.situation)
            entry = _entry(name, told)
            made.append(entry)
            head = DecisionsHead(revision=name, count=entry.number, head=entry.digest)
            heads[name] = head
    return tuple(made), head


def _about(one: Taken) -> tuple[str, ...]:
    """Whom a move is about: who has a verdict of it, and who is or becomes the canary."""
    if isinstance(one.move, _UNRECORDED):
        return ()
    judged = tuple(verdict.revision for verdict in one.changed.verdicts)
    match one.move:
        case moves.Begin(canary=name):
            found = (*judged, name)
        case moves.Undo():
            found = judged
        case _:
            found = judged or (one.facts.status.canary_revision or "",)
    return tuple(dict.fromkeys(name for name in found if name))


def _head(facts: Facts, kept: DecisionsHead | None, name: str) -> DecisionsHead:
    """Where the chain of a revision ends: as status has it, else as its record does."""
    if kept is not None and kept.revision == name:
        return kept
    count, head = facts.record(name).decided
    return DecisionsHead(revision=name, count=count, head=head)


def _entry(name: str, told: Mapping[str, Any]) -> Entry:
    text = revision.canonical(told)
    return Entry(name, told["number"], text, digest(text))


def digest(text: str) -> str:
    """The link of the chain that an entry is."""
    return hashlib.sha256(text.encode()).hexdigest()


def _told(one: Taken, name: str, before: DecisionsHead, last: Facts) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "engine": ENGINE,
        "number": before.count + 1,
        "previous": before.head,
        "at": condition.timestamp(last.now),
        "revision": name,
        "stable": one.facts.stable,
        "attempt": max(one.changed.status.attempt, one.facts.status.attempt),
        "rule": _rule(one.check),
        "move": type(one.move).__name__,
        "says": _said(one, name),
        "before": _place(one.facts, one.facts.status),
        "after": {**_place(last, one.changed.status), "routeVersion": last.status.route_version},
        "measured": measured(one.facts),
        "parameters": _parameters(last),
    }


def _rule(check: Callable[..., object]) -> str:
    """A check as the policy names it: ``harm.guardrail``."""
    return f"{check.__module__.rpartition('.')[2]}.{check.__name__}"


def _said(one: Taken, name: str) -> dict[str, str]:
    """The verdict that it is, else what was told of it."""
    for verdict in one.changed.verdicts:
        if verdict.revision == name:
            found = {"result": verdict.result.value, "reason": verdict.reason.value}
            return {**found, "check": verdict.check or "", "message": verdict.message}
    told = one.changed.happenings
    return {"reason": told[-1].reason.value, "message": told[-1].message[:2048]} if told else {}


def _place(facts: Facts, status: AgentRolloutStatus) -> dict[str, Any]:
    return {
        "percent": status.share.percent,
        "source": status.share.source.value,
        "stage": status.stage.value,
        "step": path.label(facts.strategy, status),
    }


def _parameters(facts: Facts) -> dict[str, Any]:
    """What people declared of the decision."""
    spec = facts.situation.spec
    blocks = {"analysis": spec.analysis, "strategy": spec.strategy}
    found: dict[str, Any] = {
        name: block.model_dump(mode="json", by_alias=True, exclude_none=True, warnings=False)
        for name, block in blocks.items()
    }
    given.count_names(found["strategy"])
    return {**found, "unit": spec.unit.value}


def measured(facts: Facts) -> dict[str, Any]:
    """The numbers that a decision saw: samples of both sides, each check, evidence, gaps, rows."""
    observed = facts.observation
    if observed is None:
        done = [one.wire() for one in harm_budget.reports(facts)]  # known without the outcome log
        return {"missing": facts.situation.observation_error[:256]} | (
            {"checks": done} if done else {}
        )
    found: dict[str, Any] = {
        "samples": {side: _samples(observed, arm) for side, arm in _ARMS.items()},
        "checks": [one.wire() for one in numbers.reports(facts)],
        "guardrails": [_finding(one) for one in facts.checks],
        "comparison": _strengths(facts),
        "external": [one.wire() for one in gated.reports(facts)],
        "gap": observed.gap,
        "rows": {"through": observed.counted_through},
    }
    if observed.rows is not None:
        found["rows"] = {**observed.rows.wire(), "through": observed.counted_through}
    return found


def _samples(observed: Observation, arm: Arm) -> dict[str, Any]:
    """One side's counts: ended since the canary began, in this step, and routed in the window."""
    return {
        "total": for_status(observed.in_total(arm)).wire(),
        "step": for_status(observed.in_step(arm)).wire(),
        "window": for_status(observed.in_window(arm)).wire(),
        "routedInStep": observed.routed_in_step(arm),
    }


def _finding(one: Finding) -> dict[str, Any]:
    """A guardrail: its limit, the sums that it was judged on, and what it says."""
    return {
        "name": one.name,
        "verdict": one.verdict.value,
        "limit": one.limit,
        "windowSeconds": one.seconds,
        "canary": _sums(one.canary),
        "stable": _sums(one.stable),
        "stableLately": {**_sums(one.lately), "seconds": one.lately_seconds},
        "missing": one.missing,
        **({"ofRings": True} if one.chosen else {}),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    return {"n": sums.n, "total": sums.total, "squares": sums.squares}


def _strengths(facts: Facts) -> dict[str, Any] | None:
    """The comparison: how strong the evidence is, and how strong condemns. None where nothing is compared."""
    known = comparing(facts)
    if known is None:
        return None
    found = known.strengths
    worse, over = found.needed
    return {
        "worse": found.worse,
        "over": found.over,
        "condemnsAt": {"worse": worse, "over": over},
        "metrics": [
            {"name": one.name, "worse": one.worse, "over": one.over, "bucket": one.bucket}
            for one in found.metrics
        ],
    }
