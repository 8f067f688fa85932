"""The attempts of a revision: when each began, how far it came, how it ended. Read of the record of decisions. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from penstock.api.analysis import Result, Verdict
from penstock.api.rollout import Source, Stage
from penstock.rollout import recorded
from penstock.rollout.recorded import Told

_BEGINNINGS: Final = ("Begin", "Retry")


@dataclass(frozen=True)
class Place:
    """Where an attempt was from a moment on: shadow, a ring, a share, or taken off."""

    at: str
    label: str


@dataclass(frozen=True)
class Attempt:
    """One attempt of a revision; what nobody has written down is empty.

    ``percent`` is the share that it had in the end, ``message`` says why it ended; one that ended without a
    verdict has no ``result``.
    """

    number: int
    started: str = ""
    places: tuple[Place, ...] = ()
    ended: str = ""
    result: str = ""
    reason: str = ""
    message: str = ""
    percent: int | None = None

    def wire(self) -> dict[str, Any]:
        """The same for programs."""
        told = {"result": self.result, "reason": self.reason, "message": self.message}
        return {
            "attempt": self.number,
            "startedAt": self.started,
            "steps": [{"at": one.at, "step": one.label} for one in self.places],
            "endedAt": self.ended,
            "verdict": {**told, "percent": self.percent} if self.ended else None,
        }


def of(texts: Mapping[str, str], verdicts: Iterable[Verdict]) -> list[Attempt]:
    """The attempts of a revision, the newest first. A revision that is applied again begins with 1 again.

    Args:
        texts: its record of decisions, as the ConfigMap has it; empty where there is none.
        verdicts: those on it that status and the revision's record keep, the oldest first.
    """
    entries = [one.told for one in recorded.entries(texts) if "move" in one.told]
    found = [_recorded(group) for group in _runs(entries)]
    for verdict in verdicts:
        _end(found, verdict)
    return sorted(found, key=lambda one: one.started or one.ended, reverse=True)


def _runs(entries: Iterable[Told]) -> list[list[Told]]:
    """The entries of each attempt: what begins one, and what follows."""
    runs: list[list[Told]] = []
    for one in entries:
        if one["move"] in _BEGINNINGS or not runs:
            runs.append([])
        runs[-1].append(one)
    return runs


def _recorded(entries: list[Told]) -> Attempt:
    """What the entries on one attempt tell."""
    first, last = entries[0], entries[-1]
    begun = first["move"] in _BEGINNINGS
    known = Attempt(
        int(entries[1 % len(entries)].get("attempt", 0)),  # a Begin has that of the canary before
        str(first.get("at", "")) if begun else "",
        tuple(_places(entries)),
    )
    says = last.get("says") or {}
    is_verdict = says.get("result") in tuple(Result)
    if not is_verdict and (last.get("after") or {}).get("stage") != Stage.DONE:
        return known
    return replace(
        known,
        ended=str(last.get("at", "")),
        result=says["result"] if is_verdict else "",
        reason=str(says.get("reason", "")),
        message=str(says.get("message", "")),
        percent=(last.get("before") or {}).get("percent"),
    )


def _end(found: list[Attempt], verdict: Verdict) -> None:
    """Note a verdict with its attempt, where the record of decisions has not got it."""
    mine = [one for one in found if one.number == verdict.attempt]
    if any((one.result, one.message) == (verdict.result, verdict.message) for one in mine):
        return
    still = [one for one in mine if not one.ended and one.started <= verdict.at]
    if still:
        found.remove(still[0])
    ended = replace(
        still[0] if still else Attempt(verdict.attempt),
        ended=verdict.at,
        result=verdict.result.value,
        reason=verdict.reason.value,
        message=verdict.message,
        percent=verdict.percent,
    )
    found.append(ended)


def _places(entries: Iterable[Told]) -> Iterator[Place]:
    last = ""
    for one in entries:
        label = _label(one.get("after") or {})
        if label and label != last:
            yield Place(str(one.get("at", "")), label)
            last = label


def _label(place: Told) -> str:
    """Where a decision left a canary; empty where it had nothing yet, or nothing more."""
    if place.get("source") == Source.SUSPENDED:
        return "suspended"
    if place.get("stage") == Stage.SHADOW:
        return "shadow"
    if place.get("stage") == Stage.RINGS:
        step = str(place.get("step", ""))
        return "" if step.startswith("ring 0/") else step
    return f"{place['percent']} %" if place.get("percent") else ""
