"""Reading what other hands and other versions have written: as far as it can be read, and no less.

Unknown fields are passed over, former names are read as those of today. A value that this version cannot read is left out, and the rest is
kept; where leaving it out would let something through, it is read as the word that lets nothing.
"""

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Self, TypeVar

from pydantic import ValidationError

from penstock.api import condition, validation
from penstock.api.agent_status import AgentStatus
from penstock.api.analysis import AnalysisStatus, Reason, Result, Verdict
from penstock.api.fields import Block, renamed
from penstock.api.rollout import AgentRolloutSpec, AgentRolloutStatus, Share, Stage
from penstock.errors import InvalidResource
from penstock_operator.cluster.kinds import Object, name_of

_Block = TypeVar("_Block", bound=Block)
_Place = tuple[int | str, ...]

#: How often a block is looked at anew after something was left out of it.
_ROUNDS: Final = 200
#: The largest whole number that is believed in an annotation.
_LARGEST: Final = 2**31 - 1
#: Words of a verdict that stand for one that is not known: it rejects, and for no better reason.
_STRICT: Final[Mapping[str, str]] = {"result": Result.REJECTED, "reason": Reason.ABORTED}
#: Without each of these nobody knows how far a canary is.
_DECISIVE: Final = frozenset(
    {"stage", "share", "canaryRevision", "currentStepIndex", "heldPercent", "stepStartedAt"}
)
#: What is cut where it is longer than this version knows: the last verdicts, the first of the rest.
_LONGEST: Final[Mapping[str, int]] = {
    "conditions": 24,
    "verdicts": 10,
    "revisions": 120,
    "rejected": 100,
    "targets": 2,
    "checks": 16,
    "halts": 8,
    "answeredRequests": 32,
    "message": 2048,
}
_LAST: Final = frozenset({"verdicts", "rejected", "answeredRequests"})
_POSITION: Final = re.compile(r"(?:[0-9]{1,16}(?:-[0-9]{1,19})?)?")


@dataclass(frozen=True)
class Reading(Generic[_Block]):
    """What could be read, and where something stood that could not be."""

    value: _Block
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rollout:
    """An AgentRollout: the object, its spec, its status as far as it can be read, and what was lost."""

    obj: Object
    spec: AgentRolloutSpec
    status: AgentRolloutStatus
    lost: tuple[str, ...] = ()

    @classmethod
    def of(cls, obj: Object) -> Self:
        """Read one.

        Raises:
            InvalidResource: its spec cannot be read.
        """
        spec, status = validation.parse_rollout(obj), rollout_status(obj)
        return cls(obj, spec, status.value, status.lost)


@dataclass(frozen=True)
class UnreadRollout:
    """An AgentRollout whose spec cannot be read, and why: it governs nothing until it is mended.

    It may have been stored before the schema forbade it, or by a newer Penstock.
    """

    obj: Object
    why: str
    status: AgentRolloutStatus
    lost: tuple[str, ...] = ()

    @classmethod
    def of(cls, obj: Object, why: str) -> Self:
        """Read what there is of it."""
        status = rollout_status(obj)
        return cls(obj, why, status.value, status.lost)


def rollouts(
    found: Iterable[Object],
) -> tuple[tuple[Rollout, ...], tuple[UnreadRollout, ...]]:
    """AgentRollouts of one Agent: those that can be read, the one in charge (the oldest) first."""
    read, unread = [], []
    for obj in found:
        try:
            read.append(Rollout.of(obj))
        except InvalidResource as error:
            unread.append(UnreadRollout.of(obj, str(error)))
    read.sort(key=lambda rollout: (_created(rollout.obj), name_of(rollout.obj)))
    return tuple(read), tuple(unread)


def _created(obj: Object) -> str:
    return str(obj["metadata"]["creationTimestamp"])


def agent_status(agent: Object) -> Reading[AgentStatus]:
    """The status of an Agent; one that may have had an AgentRollout is taken to have had one."""
    found = _read(AgentStatus, agent.get("status") or {})
    if "status.hadRollout" in found.lost:
        return Reading(found.value.model_copy(update={"had_rollout": True}), found.lost)
    return found


def rollout_status(rollout: Object) -> Reading[AgentRolloutStatus]:
    """The status of an AgentRollout.

    A decision that cannot be read in all its parts is none: the canary begins anew, at 0 %.
    """
    found = _read(AgentRolloutStatus, rollout.get("status") or {}, _unreadable_moment)
    if _DECISIVE.isdisjoint(re.split(r"[.\[]", place)[1] for place in found.lost if "." in place):
        return found
    status = found.value
    again = {
        "stage": Stage.STEPS if status.canary_revision else Stage.DONE,
        "share": Share(setpoint=status.share.setpoint),
        "current_step_index": 0,
        "held_percent": None,
        "step_started_at": None,
        "analysis": AnalysisStatus(since_version=status.analysis.since_version),
    }
    return Reading(status.model_copy(update=again), found.lost)


def verdict(text: str, revision: str, attempt: int) -> Reading[Verdict] | None:
    """The verdict in an annotation; None where there is none, a rejection where it is unreadable.

    Args:
        revision: whose record it is on.
        attempt: which attempt it is about, where it does not say so itself.
    """
    if not text:
        return None
    unread = {
        "revision": revision,
        "attempt": max(attempt, 1),
        "result": Result.REJECTED.value,
        "reason": Reason.ABORTED.value,
        "message": "the verdict on record cannot be read, so it counts as a rejection",
        "at": "",
    }
    told = parsed(text)
    if not isinstance(told, dict):
        return Reading(Verdict.model_validate(unread), ("verdict",))
    missing = tuple(f"verdict.{name}" for name in unread.keys() - {"attempt"} - told.keys())
    stated = {**unread, **told, "revision": revision}
    found = _read(Verdict, stated, root="verdict", instead=unread)
    return Reading(found.value, (*missing, *found.lost))


def parsed(text: Any) -> Any:
    """What a text says as JSON; None where it is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def whole(text: Any) -> int:
    """A count as it stands in an annotation or a status; 0 where it is none."""
    digits = str(text) if isinstance(text, int | str) and not isinstance(text, bool) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(_LARGEST))):
        return 0
    return min(int(digits), _LARGEST)


def _read(
    kind: type[_Block],
    raw: Any,
    unreadable: Callable[[_Block], _Place | None] = lambda _: None,
    root: str = "status",
    instead: Mapping[str, Any] | None = None,
) -> Reading[_Block]:
    """A block without what cannot be read in it.

    Args:
        unreadable: a place that cannot be read although the schema allows it.
        instead: what to read where a field of the block itself cannot be.
    """
    kept: Any = renamed(kind, raw) if isinstance(raw, dict) else raw
    lost: list[str] = []
    for _ in range(_ROUNDS if isinstance(raw, dict) else 0):
        try:
            value = kind.model_validate(kept)
            place, problem = unreadable(value), "unreadable"
            if place is None:
                return Reading(value, tuple(lost))
        except ValidationError as error:
            place, problem = _worst(error)
        kept = kept if lost else copy.deepcopy(kept)
        _leave_out(kept, place, problem, instead or {})
        lost.append(_words(root, place))
    return Reading(kind.model_validate(dict(instead or {})), (root,))


def _worst(error: ValidationError) -> tuple[_Place, str]:
    """The first place that cannot be read; where something is missing, what it is missing in."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    missing = first["type"] == "missing"
    return first["loc"][:-1] if missing else first["loc"], first["type"]


def _leave_out(
    raw: dict[str, Any], place: _Place, problem: str, instead: Mapping[str, Any]
) -> None:
    """Take out what stands in a place, or put in what is read in its stead."""
    inside: Any = raw
    for part in place[:-1]:
        inside = inside[part]
    if isinstance(inside, list):
        del inside[int(place[-1])]
        return
    last = str(place[-1]) if place else ""
    if problem in ("too_long", "string_too_long") and last in _LONGEST:
        longest = _LONGEST[last]
        inside[last] = inside[last][-longest:] if last in _LAST else inside[last][:longest]
    elif problem == "enum" and "verdicts" in place:
        inside[last] = _STRICT[last]
    elif inside is raw and last in instead:
        inside[last] = instead[last]
    else:
        inside.pop(last, None)


def _words(root: str, place: _Place) -> str:
    return root + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place)


def _unreadable_moment(status: AgentRolloutStatus) -> _Place | None:
    """The first point in time or in the log that cannot be read, though any text may stand there."""
    moments: list[tuple[_Place, str | None]] = [
        (("stepStartedAt",), status.step_started_at),
        (("blindSince",), status.blind_since),
        (("unreadySince",), status.unready_since),
        (("canarySince",), status.canary_since),
        *_moments_of_suspension(status),
        *((("halts", n), halt.since) for n, halt in enumerate(status.halts)),
        *((("halts", n), halt.until) for n, halt in enumerate(status.halts)),
        (("stuck",), status.stuck.since if status.stuck else None),
        (("delay", "since"), status.delay.since if status.delay else None),
        (("lastRequest", "at"), status.last_request.at or None),
        (("analysis", "countedAt"), status.analysis.counted_at),
        *(
            (("analysis", "external", n), one.since)
            for n, one in enumerate(status.analysis.external)
        ),
        *((("analysis", "external", n), one.at) for n, one in enumerate(status.analysis.external)),
        *((("conditions", n), c.last_transition_time) for n, c in enumerate(status.conditions)),
    ]
    for place, text in moments:
        if text is not None and not _is_moment(text):
            return place
    counted = status.analysis.counted_through, status.analysis.step_from
    return None if all(map(_POSITION.fullmatch, counted)) else ("analysis",)


def _moments_of_suspension(status: AgentRolloutStatus) -> list[tuple[_Place, str | None]]:
    kept = status.suspension
    if kept is None:
        return []
    return [
        (("suspension", "since"), kept.since),
        (("suspension", "resumedAt"), kept.resumed_at),
        (("suspension", "stop", "until"), (kept.stop and kept.stop.until) or None),
    ]


def _is_moment(text: str) -> bool:
    try:
        condition.moment(text)
    except ValueError:
        return False
    return True
