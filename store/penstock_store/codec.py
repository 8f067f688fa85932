"""Between what Redis holds (bytes) and what Penstock speaks (tasks, claims, events, rows)."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from penstock import rings
from penstock.access import Access, Heard
from penstock.effects import HarmDone
from penstock.errors import StoreRefused
from penstock.escalation import Decision, Verdict
from penstock.money.ledger import Amount
from penstock.names import AgentKey
from penstock.protocol import Spoken
from penstock.task import (
    Outcome,
    OutcomeReason,
    Priority,
    Submission,
    Task,
    TaskStatus,
    Usage,
)
from penstock.traffic import RequestRates, Route
from penstock_store import checkpoints, effect_sums, money, session_approvals, trials, undo_fields
from penstock_store.records import Claim, Event, Look, RevisionWork
from penstock_store.scripts import COMPENSATION_VERSION, TASK_VERSION

_COUNTER_DIGITS = 15  # a float of Lua's holds them exactly

#: Words of a task's status that are ends.
ENDED: Final = frozenset(status.value for status in TaskStatus if status.ended)

#: The fields of a task's hash that a reader needs; the checkpoint may be large.
_COUNTED: Final = tuple(field.name for field in dataclasses.fields(Usage) if field.type is int)

TASK_FIELDS: Final = (
    "revision", "status", "input", "tenant", "user", "session", "type", "lane", "metadata",
    "routeVersion", "trace", "createdAt", "startedAt", "finishedAt", "deliveries", "usage",
    "reason", "message", "output", "v", "unsettledTokens", "unsettledMicroUSD", "parked",
    "preview", *undo_fields.FIELDS,
)  # fmt: skip


class Unreadable(StoreRefused):
    """Something stored is not what this version, or any, writes; it concerns that one thing alone."""


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Read something stored; whatever is wrong with it is ``Unreadable``."""
    try:
        yield
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        words = "a field is missing" if isinstance(error, KeyError) else type(error).__name__
        raise Unreadable(f"what is stored of {what} cannot be read ({words})") from error


def digest(submission: Submission) -> str:
    """What two submissions under one idempotency key must have in common; not wait or priority."""
    parts = [submission.input, submission.user, submission.session, submission.type]
    parts += [submission.chosen or submission.revision] if submission.revision else []
    content = json.dumps([*parts, submission.metadata], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def submission_fields(submission: Submission) -> list[str]:
    """The fields of a new task's hash that come from the caller, name and value in turn."""
    return [
        "input", submission.input,
        "tenant", submission.tenant,
        "user", submission.user,
        "session", submission.session,
        "type", submission.type,
        "metadata", json.dumps(submission.metadata),
        "trace", submission.trace_id,
        *(("submitter", submission.submitter) if submission.submitter else ()),
    ]  # fmt: skip


def usage_text(usage: Usage) -> str:
    """A usage as the task's hash holds it."""
    every = vars(usage)
    said = {name: each for name, each in every.items() if each or name in _COUNTED}
    return json.dumps(said, separators=(",", ":"))


def ending(
    claim: Claim, outcome: Outcome, usage: Usage, history: bytes | None
) -> tuple[str | int | bytes, ...]:
    """How a task ends, as `finish.lua` reads it; ``history``: the session's conversation after it."""
    return (
        claim.task.id,
        claim.id,
        outcome.status.value,
        outcome.reason.value,
        outcome.message,
        outcome.counting.value,
        outcome.output,
        usage_text(usage),
        usage.list_price_micro_usd,  # revisions are shown at it
        int(history is not None),
        history or b"",
    )


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A hash from the flat list that Redis answers."""
    return {
        name.decode(errors="replace"): value
        for name, value in zip(flat[::2], flat[1::2], strict=True)
    }


def task(agent: AgentKey, identifier: str, stored: Mapping[str, bytes]) -> Task:
    """A task from its hash; an absent number is 0, an absent text empty, an unknown field nothing.

    Raises:
        Unreadable: it was written by a newer version, or by another hand.
    """
    with reading(f"task {identifier}"):
        return _task(agent, identifier, stored)


def _task(agent: AgentKey, identifier: str, stored: Mapping[str, bytes]) -> Task:
    text = {name: value.decode() for name, value in stored.items() if name in TASK_FIELDS}
    if int(text.get("v", TASK_VERSION)) > COMPENSATION_VERSION:
        raise ValueError(f"it is of version {text['v']}, this reads up to {COMPENSATION_VERSION}")
    status = TaskStatus(text["status"])
    waits_for = text.get("parked", "") if status is TaskStatus.HALTED else ""
    return Task(
        id=identifier,
        agent=agent,
        revision=text["revision"],
        status=TaskStatus.WAITING_FOR_APPROVAL if waits_for else status,
        input=text["input"],
        tenant=text["tenant"],
        user=text["user"],
        session=text["session"],
        type=text["type"],
        priority=Priority(text["lane"]),
        metadata=json.loads(text["metadata"]),
        route_version=int(text["routeVersion"]),
        trace_id=text["trace"],
        created_ms=int(text["createdAt"]),
        started_ms=int(text.get("startedAt", 0)),
        finished_ms=int(text.get("finishedAt", 0)),
        deliveries=int(text.get("deliveries", 0)),
        usage=usage(text.get("usage", "{}")),
        outcome=_outcome(status, text),
        unsettled=Amount(
            int(text.get("unsettledTokens", 0)), int(text.get("unsettledMicroUSD", 0))
        ),
        escalation=waits_for,
        compensation=undo_fields.read(text),
        preview=bool(text.get("preview")),
    )


def usage(text: str) -> Usage:
    """A usage; what a newer version counts besides is passed over."""
    said = json.loads(text)
    counts = {name: int(said.get(name, 0)) for name in _COUNTED}
    models = tuple((str(name), int(cost)) for name, cost in said.get("models", ()))
    return Usage(**counts, tier=str(said.get("tier", "")), models=models)


def _outcome(status: TaskStatus, text: dict[str, str]) -> Outcome | None:
    if not status.ended:
        return None
    reason = OutcomeReason(text.get("reason", ""))
    return Outcome(status, reason, text.get("message", ""), text.get("output", ""))


def claim(agent: AgentKey, revision: str, consumer: str, answer: Sequence[Any]) -> Claim:
    """A claim from what the claiming scripts answer.

    Of a task that cannot be read the claim has a ``problem``, and of the task the id alone.
    """
    claim_id, identifier, entry, expired, history, history_revision, flat, *more = answer
    name = identifier.decode(errors="replace")
    stored = pairs(flat)
    state = decision = None
    try:
        claimed, problem = task(agent, name, stored), ""
        with reading(f"the checkpoint of task {name}"):
            state = checkpoints.read(stored)
        with reading(f"the decision on task {name}"):
            decision = _decision(stored.get("decision"))
    except Unreadable as error:
        claimed, problem = _nothing_known(agent, revision, name), str(error)
    return Claim(
        id=claim_id.decode(),
        agent=agent,
        revision=claimed.revision,
        task=claimed,
        lane=claimed.priority.value,
        entry=entry.decode(),
        checkpoint=state,
        checkpoint_revision=word(stored.get("checkpointRevision")),
        history=history,
        history_revision=word(history_revision),
        expired=bool(expired),
        consumer=consumer,
        problem=problem,
        doubt=span(word(stored.get("doubt"))),
        suspects=_number(word(stored.get("suspects"))),
        reserved=money.first_answer(claim_id.decode(), *more[:1]),
        decision=decision,
        approved=session_approvals.read(more[1:], claimed, stored),
    )


def _decision(text: bytes | None) -> Decision | None:
    """What was decided of the call for which the task has waited, as `parking.lua` writes it."""
    if text is None:
        return None
    said = json.loads(text)
    return Decision(
        escalation=said["escalation"],
        place=(int(said["step"]), int(said["position"])),
        verdict=Verdict(said["verdict"]),
        digest=said["digest"],
        by=tuple(said["by"].split("\n")) if said["by"] else (),
        note=said["note"],
        answer=said["answer"],
        arguments=json.loads(said["changed"]) if said["changed"] else None,
        approvers=tuple(map(tuple, json.loads(said.get("approvers") or "[]"))),
        sign_in=said.get("signIn") == "1",
    )


def _nothing_known(agent: AgentKey, revision: str, identifier: str) -> Task:
    return Task(
        id=identifier,
        agent=agent,
        revision=revision,
        status=TaskStatus.RUNNING,
        input="",
        tenant="",
        user="",
        session="",
        type="",
        priority=Priority.NORMAL,
        metadata={},
        route_version=0,
        trace_id="",
        created_ms=0,
    )


def word(value: bytes | None) -> str:
    """A word as Redis holds it; empty where there is none."""
    return (value or b"").decode(errors="replace")


def span(text: str) -> str:
    """A span "from to" in ms as people read it; empty when there is none."""
    if not text:
        return ""
    try:
        begun, ended = (datetime.fromtimestamp(int(part) / 1000, UTC) for part in text.split())
    except (ValueError, OverflowError, OSError):
        return "at a time that cannot be told"  # another hand wrote it: in doubt all the same
    return f"between {begun:%Y-%m-%d %H:%M:%S} and {ended:%H:%M:%S} UTC"


def events(entries: Sequence[Any]) -> list[Event]:
    """Events from their stream entries; an entry that is no event is passed over."""
    return [found for entry in entries if (found := _event(entry)) is not None]


def has_ended(status: bytes) -> bool:
    """Whether a task's status, as Redis holds it, is an end; a word of a newer version is none."""
    return status.decode(errors="replace") in ENDED


def kept_events(text: bytes | None) -> list[Event]:
    """Events from the text that is kept of them when a task has ended."""
    try:
        said = json.loads((text or b"[]").decode(errors="replace"))
        return events([(part[0].encode(), [p.encode() for p in part[1:]]) for part in said])
    except (ValueError, TypeError, AttributeError, IndexError, RecursionError):
        return []


def _event(entry: Sequence[Any]) -> Event | None:
    identifier, flat = entry
    try:
        kind, data = flat[0].decode(), json.loads(flat[1])
    except (ValueError, IndexError, TypeError, RecursionError):
        return None
    return Event(identifier.decode(), kind, data) if isinstance(data, dict) else None


def route_record(route: Route) -> tuple[str, ...]:
    """A route as Redis stores it, without its revisions; `look.lua` reads the fields in this order."""
    split = route.split
    share = (split.stable, split.canary, str(split.percent), split.salt, str(split.unit))
    admission = (str(int(split.suspended)), str(route.max_queued), _rates(route.rates))
    chosen = rings.mark(split.chosen)
    declared = (route.budget_mark, route.restrictions, route.harm, route.shadow, chosen)
    return (route.uid, str(route.epoch), str(route.version), *share, *admission, *declared)


def _rates(rates: RequestRates) -> str:
    """Rates as `admit.lua` reads them; none is nothing, as in a route of the version before."""
    return f"{rates.user} {rates.tenant} {int(rates.enforced)}" if rates else ""


def look(answer: Sequence[Any]) -> Look:
    """A look from what look.lua answers."""
    now_ms, stored, first, last, works, waiting, trimmed, *more = answer
    cost_today, spending, overdue, marked, harm, effected, shadowed, parked, lapses_ms, waits_ms = (
        more
    )
    record = tuple((field or b"").decode(errors="replace") for field in stored)
    uid, epoch, version, *_ = record
    return Look(
        now_ms=now_ms,
        route_version=_number(version) if any(record) else None,
        route_epoch=_number(epoch),
        route_uid=uid,
        route_record=record,
        first_row=first.decode(),
        last_row=last.decode(),
        work={word(revision): RevisionWork(*figures) for revision, _, _, *figures in works},
        waiting=waiting,
        rows_trimmed=bool(trimmed),
        overdue_calls=bool(overdue),
        parked=parked,
        lapses_in_ms=lapses_ms if parked else None,
        waits_ms=waits_ms,
        heard={
            word(revision): heard for revision, said, *_ in works if (heard := _heard(word(said)))
        },
        spoken={
            word(revision): number
            for revision, _, said, *_ in works
            if (number := _spoken(word(said)))
        },
        cost_today=costs(cost_today),
        spending=money.spending_or_none(spending),
        stops=money.stops(marked),
        harm=_harm(harm),
        effects=effect_sums.read_or_none(effected),
        trial=trials.read(shadowed),
    )


def costs(flat: Sequence[bytes]) -> dict[str, int]:
    """Micro-USD by revision; 0 where another hand has written what is no number."""
    return {name: _number(word(value)) for name, value in pairs(flat).items()}


def _harm(said: Sequence[bytes]) -> HarmDone | None:
    """What the canary has done; None where that is not bounded."""
    if not said:
        return None
    failed, calls, micro, *marks = (_number(word(each)) if each else None for each in said)
    return HarmDone(failed or 0, calls or 0, micro or 0, *marks)


def _heard(text: str) -> Heard | None:
    """A worker's last word on access, "ms word …"; None where it is none that this version knows."""
    at, _, rest = text.partition(" ")
    try:
        return Heard(Access(rest.partition(" ")[0]), counter(at))
    except ValueError:
        return None


def _spoken(text: str) -> Spoken | None:
    """What a revision's workers keep, "ms number"; None where nothing of the kind was said."""
    at, _, number = text.partition(" ")
    return Spoken(_number(number), counter(at)) if _number(number) else None


def counter(text: str) -> int:
    """A counter: what no script of ours can have counted would spoil every sum it enters."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _COUNTER_DIGITS):
        raise ValueError("it is no counter")
    return int(text)


def _number(text: str) -> int:
    """A counter of a record that a namespace's own user may have changed: 0 when it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _COUNTER_DIGITS else 0
