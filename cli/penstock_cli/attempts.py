"""The attempts of a revision: when each began, how far it came, how it ended. Read of the record of decisions. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from penstock.api.analysis import Result, Verdict
from penstock.api.rollout import Source, Stage
from penstock.rollout import recorded
from penstock.rollout.recorded import Told

_BEGIN: Final = "Begin"
_BEGINNINGS: Final = (_BEGIN, "Retry")


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


@dataclass(frozen=True)
class _Entry:
    """What of an entry tells of attempts; a field of another form is as good as none.

    ``attempt`` is 0 where there is none.
    """

    move: str
    at: str
    attempt: int
    says: Told
    before: Told
    after: Told

    @property
    def is_verdict(self) -> bool:
        """Whether it says how an attempt ended."""
        return self.says.get("result") in tuple(Result)

    @property
    def begins(self) -> bool:
        """Whether an attempt begins with it: the ``Begin`` of the next canary ends that of the one it supersedes."""
        return self.move in _BEGINNINGS and not self.is_verdict


def of(texts: Mapping[str, str], verdicts: Iterable[Verdict], current: int = 0) -> list[Attempt]:
    """The attempts of a revision, the newest first. A revision that is applied again begins with 1 again.

    Args:
        texts: its record of decisions, as the ConfigMap has it; empty where there is none.
        verdicts: those on it that status and the revision's record keep, the oldest first.
        current: which attempt it is in, while it is the canary; else 0.
    """
    entries = [_read(one.told) for one in recorded.entries(texts) if "move" in one.told]
    runs = _runs(entries)
    found = [_recorded(run, current if run is runs[-1] else 0) for run in runs]
    for verdict in verdicts:
        _end(found, verdict)
    return sorted(found, key=lambda one: one.started or one.ended, reverse=True)


def _read(told: Told) -> _Entry:
    attempt = told.get("attempt")
    return _Entry(
        str(told["move"]),
        str(told.get("at") or ""),
        attempt if type(attempt) is int else 0,
        _mapping(told.get("says")),
        _mapping(told.get("before")),
        _mapping(told.get("after")),
    )


def _mapping(said: Any) -> Told:
    return said if isinstance(said, dict) else {}


def _percent(place: Told) -> int | None:
    said = place.get("percent")
    return said if type(said) is int else None


def _runs(entries: Iterable[_Entry]) -> list[list[_Entry]]:
    """The entries of each attempt: what begins one, and what follows."""
    runs: list[list[_Entry]] = []
    for one in entries:
        if one.begins or not runs:
            runs.append([])
        runs[-1].append(one)
    return runs


def _recorded(entries: list[_Entry], current: int) -> Attempt:
    """What the entries on one attempt tell."""
    first, last = entries[0], entries[-1]
    # A Begin has the number of the canary before.
    numbered = entries[1:] if first.begins and first.move == _BEGIN else entries
    known = Attempt(
        next((one.attempt for one in numbered if one.attempt), current or 1),
        first.at if first.begins else "",
        tuple(_places(entries)),
    )
    if not last.is_verdict and last.after.get("stage") != Stage.DONE:
        return known
    return replace(
        known,
        ended=last.at,
        result=str(last.says["result"]) if last.is_verdict else "",
        reason=str(last.says.get("reason") or ""),
        message=str(last.says.get("message") or ""),
        percent=_percent(last.before),
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


def _places(entries: Iterable[_Entry]) -> Iterator[Place]:
    last = ""
    for one in entries:
        if one.move in _BEGINNINGS and one.is_verdict:
            continue  # it tells where the next canary is
        label = _label(one.after)
        if label and label != last:
            yield Place(one.at, label)
            last = label


def _label(place: Told) -> str:
    """Where a decision left a canary; empty where it had nothing yet, or nothing more."""
    if place.get("source") == Source.SUSPENDED:
        return "suspended"
    if place.get("stage") == Stage.SHADOW:
        return "shadow"
    if place.get("stage") == Stage.RINGS:
        step = str(place.get("step") or "")
        return "" if step.startswith("ring 0/") else step
    percent = _percent(place)
    return f"{percent} %" if percent else ""
