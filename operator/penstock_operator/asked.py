"""What a person asks of an Agent without an AgentRollout, by the annotation `penstock.dev/request`.

`undo/<revision or version>/<nonce>` goes back to a revision; `retry/<revision or version>/<nonce>`
releases a rejected one again. Each value is answered once, in `status.lastRequest`.
"""

from dataclasses import dataclass
from enum import StrEnum

from penstock import names
from penstock.api import condition
from penstock.api.agent import Asked
from penstock.api.rollout import Reason, Result, Verdict
from penstock_operator.resources import annotations_of, name_of
from penstock_operator.stock import Known, Stock
from penstock_operator.world import World


class Verb(StrEnum):
    """What can be asked of an Agent."""

    UNDO = "undo"
    RETRY = "retry"


@dataclass(frozen=True)
class Goal:
    """The revision that shall serve, and for what reason."""

    verb: Verb
    known: Known


def open_request(world: World) -> str:
    """The annotation's value while it is not answered; empty otherwise."""
    value = annotations_of(world.agent).get(names.ANNOTATION_REQUEST, "")[:256]
    before = world.status.last_request
    return "" if before and value == before.value else value


def read(world: World, stock: Stock) -> Goal | str | None:
    """What is asked: a goal, or in one sentence why it is refused; None when nothing is."""
    value = open_request(world)
    if not value:
        return None
    verb, _, rest = value.partition("/")
    if world.rollout is not None:
        governed = f"AgentRollout {name_of(world.rollout)} governs this Agent"
        if verb == Verb.UNDO:
            return f"{governed}: to go back to a revision, apply its template again"
        return f"{governed}: put the request there"
    revision, _, nonce = rest.partition("/")
    if verb not in tuple(Verb) or not (revision and nonce):
        return "a request of an Agent is undo/REVISION/NONCE or retry/REVISION/NONCE"
    found = named(stock, revision)
    if len(found) != 1:
        there = ", ".join(sorted(stock.known))
        what = "is the version of several revisions" if found else "is no revision on record"
        return f"{revision} {what}; there are: {there}"
    return _undo(stock, found[0]) if verb == Verb.UNDO else _retry(stock, found[0])


def named(stock: Stock, text: str) -> list[Known]:
    """The revisions that a person may mean: by name or hash one, by version all that have it."""
    exact = [item for item in stock.known.values() if text in (item.name, item.cut.hash)]
    return exact or [item for item in stock.known.values() if item.cut.template.version == text]


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


def verdict(world: World, stock: Stock, goal: Goal) -> Verdict | None:
    """The verdict that a request is: on who is undone, or on who is released again."""
    retried = goal.verb is Verb.RETRY
    about = goal.known if retried else stock.get(stock.stable)
    if about is None:
        return None
    attempt = about.verdict.attempt if about.verdict else 0
    words = "released again" if retried else f"undone: back to {goal.known.name}"
    return Verdict(
        revision=about.name,
        attempt=attempt + 1,
        result=Result.PROMOTED if retried else Result.REJECTED,
        reason=Reason.REQUESTED if retried else Reason.ABORTED,
        message=f"{words}, by request",
        at=condition.timestamp(world.now),
    )


def answer(world: World, message: str, *, accepted: bool) -> Asked:
    """The answer to the open request."""
    return Asked(
        value=open_request(world),
        result="Accepted" if accepted else "Refused",
        message=message[:2048],
        at=condition.timestamp(world.now),
    )
