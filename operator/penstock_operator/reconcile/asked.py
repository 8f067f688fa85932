"""What a person asks of an Agent without an AgentRollout, by the annotation `penstock.dev/request`.

`undo/<revision or version>/<nonce>` goes back to a revision; `retry/<revision or version>/<nonce>`
releases a rejected one again. A lift of its budget is read in ``lifting``. Each value is answered once, in `status.lastRequest`.
"""

from dataclasses import dataclass
from typing import Final

from penstock import names
from penstock.api import condition
from penstock.api.agent_status import Asked
from penstock.api.analysis import Reason, Result, Verdict
from penstock.money import lifts
from penstock.rollout import commands, requests
from penstock.rollout.requests import Verb
from penstock.rollout.words import answers
from penstock_operator.cluster.kinds import annotations_of, name_of, namespace_of
from penstock_operator.cluster.reading import Rollout
from penstock_operator.reconcile.stock import Known, Stock, released
from penstock_operator.reconcile.world import World

#: What can be asked of an Agent without an AgentRollout.
VERBS: Final = (Verb.UNDO, Verb.RETRY)
#: So much of a refusal begins another message, of which enough is to be left.
_LONGEST: Final = 1000


@dataclass(frozen=True)
class Goal:
    """The revision that shall serve, and for what reason."""

    verb: Verb
    known: Known


def open_request(world: World) -> str:
    """The annotation's value while it is not answered; empty otherwise."""
    value, before = _asked(world), world.status.last_request
    if before and value == before.value:
        return ""
    return "" if requests.is_answered(value, world.status.answered_requests) else value


def _asked(world: World) -> str:
    return annotations_of(world.agent).get(names.ANNOTATION_REQUEST, "")[:256]


def read(world: World, stock: Stock) -> Goal | str | None:
    """What is asked: a goal, or in one sentence why it is refused; None when nothing is."""
    value = open_request(world)
    if not value or lifts.is_one(value):
        return None
    asked = requests.parse(value)
    if world.rollout is not None:
        return _put_elsewhere(world.rollout, asked)
    if asked is None or asked.verb not in VERBS:
        return "a request of an Agent is undo/REVISION/NONCE or retry/REVISION/NONCE"
    versions = {item.name: item.cut.template.version for item in stock.known.values()}
    found = requests.named(asked.revision, versions)
    if len(found) != 1:
        there = ", ".join(sorted(stock.known))
        what = "is the version of several revisions" if found else "is no revision on record"
        return f"{asked.revision} {what}; there are: {there}"
    known = stock.known[found[0]]
    return _undo(stock, known) if asked.verb is Verb.UNDO else _retry(stock, known)


def _put_elsewhere(rollout: Rollout, asked: requests.Request | None) -> str:
    """Where an AgentRollout governs, who may decide is asked of those who write to it."""
    name = name_of(rollout.obj)
    where = f"agentrollout {commands.place(name, namespace_of(rollout.obj))}"
    verb, revision = (asked.verb, asked.revision) if asked else (Verb.UNDO, "REVISION")
    command = commands.annotate(where, verb, revision)
    return f"AgentRollout {name} governs this Agent: put the request there: {command}"


def _undo(stock: Stock, known: Known) -> Goal | str:
    if known.name == stock.stable:
        return f"{known.name} serves already"
    if known.rejected:
        return f"{known.name} was rejected; to release it all the same: retry/{known.name}/NONCE"
    return Goal(Verb.UNDO, known)


def _retry(stock: Stock, known: Known) -> Goal | str:
    if not known.rejected:
        return f"{known.name} is not rejected"
    if known.name != stock.latest:
        return f"{known.name} is not what spec.template declares: apply its template, then retry"
    return Goal(Verb.RETRY, known)


def verdicts(world: World, stock: Stock, goal: Goal) -> tuple[Verdict, ...]:
    """The verdict that a request is: on who is undone, or on who is released again."""
    retried = goal.verb is Verb.RETRY
    about = goal.known if retried else stock.get(stock.stable)
    if about is None:
        return ()
    attempt = about.verdict.attempt + 1 if about.verdict else 1
    now = condition.timestamp(world.now)
    if retried:
        return (released(about.name, attempt, now),)
    undone = Verdict(
        revision=about.name,
        attempt=attempt,
        result=Result.REJECTED,
        reason=Reason.ABORTED,
        message=f"undone: back to {goal.known.name}, by request",
        at=now,
    )
    return (undone,)


def refusal(world: World, last: Asked | None) -> str:
    """The answer to the request that stands in the annotation, as long as it is a refusal."""
    value = _asked(world)
    if last is None or last.result != "Refused" or last.value != value:
        return ""
    return f"Request {value} was refused: {last.message[:_LONGEST]}. "


def answer(world: World, message: str, *, accepted: bool) -> Asked:
    """The answer to the open request."""
    return Asked(
        value=open_request(world),
        result="Accepted" if accepted else "Refused",
        message=message[:2048],
        at=condition.timestamp(world.now),
    )


def repeated(world: World) -> Asked | None:
    """The answer to a request that was answered before another one; None where none is."""
    value, before = _asked(world), world.status.last_request
    known = requests.is_answered(value, world.status.answered_requests)
    if not known or (before and value == before.value):
        return None
    return Asked(
        value=value,
        result=requests.REPEATED,
        message=answers.ANSWERED_BEFORE,
        at=condition.timestamp(world.now),
    )


def remembered(world: World, last: Asked | None) -> tuple[str, ...]:
    """The answered requests with the last one; also with that of a status that has no such list yet."""
    before = world.status.last_request
    if last == before:
        return world.status.answered_requests
    values = [one.value for one in (before, last) if one]
    return requests.remember(world.status.answered_requests, *values)
