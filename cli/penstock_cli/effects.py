"""``penstock effects``: what an agent's calls have done to the world, as the terminal shows it."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import documents, gateway, listing, options, tables

_PAGE: Final = 200
#: How far compensations are, in words.
_UNDONE: Final = {
    "Done": "undone",
    "Asked": "asked for, not called yet",
    "Intended": "of which nobody knows whether they are undone",
    "Refused": "refused by the tool that undoes them",
    "NotMade": "not undone, for the call was called off",
    "Ended": "not undone, for the task that should do it has ended before",
    "": "open",
}

Document = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Whose effects are looked for; what is empty fits all."""

    agent: str
    revision: str = ""
    task: str = ""
    user: str = ""


def show(place: options.Place, wanted: Wanted, output: str) -> None:
    """Print them: those of which nobody knows whether they were made first, and what they sum up to.

    Raises:
        Stopped: they could not be read.
    """
    found = listing.run_at(place, lambda http, namespace: _all(http, namespace, wanted))
    if output != "text":
        print(documents.printed(found, output))
        return
    print(tables.table([*_rows([*found["unknown"], *found["items"]])]))
    print("\n".join(_summed(found)))
    if not (found["unknown"] or found["items"]):
        print(f"penstock: no call of an agent {wanted.agent} fits; check its name", file=sys.stderr)


async def _all(http: httpx.AsyncClient, namespace: str, wanted: Wanted) -> Document:
    path = (
        f"/v1/namespaces/{quote(namespace, safe='')}/agents/{quote(wanted.agent, safe='')}/effects"
    )
    unknown: list[Document] = []
    items: list[Document] = []
    more = ""
    while True:
        query = {
            "revision": wanted.revision,
            "task": wanted.task,
            "user": wanted.user,
            "limit": str(_PAGE),
            "continue": more,
        }
        page = await gateway.fetch(http, "GET", path, [pair for pair in query.items() if pair[1]])
        unknown += page["unknown"]
        items += page["items"]
        more = page["continue"]
        if not more:
            return {"unknown": unknown, "items": items}


def _rows(found: Sequence[Document]) -> Iterator[list[str]]:
    earlier = any(one.get("approvedEarlier") for one in found)
    titles = ["STATE", "AT", "TOOL", "AMOUNT", "USER", "REVISION", "UNDONE", "CALL"]
    yield [*titles, *["APPROVED-EARLIER"] * earlier]
    for one in found:
        state = "Unknown" if one["state"] == "Intended" else one["state"]
        amount = _short(Decimal(one["amount"])) if one["amount"] else ""
        row = [state, one["at"], one["tool"], amount, one["user"], one["revision"]]
        call = f"{one['taskId']}.{one['step']}.{one['position']}"
        yield [*row, _undone(one), call, *[_approved(one)] * earlier]


def _undone(one: Document) -> str:
    """How far its compensation is, or which call it undoes itself."""
    return f"undoes {one['compensates']}" if one["compensates"] else str(one.get("undone", ""))


def _approved(one: Document) -> str:
    """By whom, together with which earlier call."""
    by = one.get("approvedEarlier")
    return f"by {' and '.join(by['by'])}, escalation {by['escalation']}" if by else ""


def _summed(found: Document) -> Iterator[str]:
    """How many were done for how many users, of how much; and how many may have been, and of how much."""
    done = [one for one in found["items"] if one["state"] == "Done"]
    users = {one["user"] for one in [*done, *found["unknown"]] if one["user"]}
    plural = "" if len(users) == 1 else "s"
    much = _much(done) + _much(found["unknown"], " unknown")
    yield f"{len(done)} done, {len(found['unknown'])} unknown, for {len(users)} user{plural}{much}"
    own = [one for one in [*found["unknown"], *done] if not one["compensates"]]
    states = Counter(one.get("undone", "") for one in own)
    if states.keys() - {""}:
        told = (f"{count} {_UNDONE[state]}" for state in _UNDONE if (count := states[state]))
        yield f"of those {len(own)}: {', '.join(told)}"


def _much(calls: Sequence[Document], whether: str = "") -> str:
    """Of how much the calls of each tool are."""
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for one in calls:
        if one["amount"]:
            amounts[one["tool"]] += Decimal(one["amount"])
    return "".join(
        f"; {tool} {_short(amount)}{whether}" for tool, amount in sorted(amounts.items())
    )


def _short(amount: Decimal) -> str:
    """Without the zeros that say nothing."""
    return f"{amount.normalize():f}"
