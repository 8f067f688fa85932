"""``penstock compensate``: have calls undone, as the terminal shows it."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from penstock_cli import gateway, listing, options, tables

Document = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which calls are undone: those of a revision, or one."""

    agent: str
    revision: str = ""
    effect: str = ""
    dry_run: bool = False
    was_made: bool = False

    def body(self, following: str) -> Document:
        """As the gateway reads it."""
        given = {"revision": self.revision, "effect": self.effect, "continue": following}
        flags = {"dryRun": self.dry_run, "wasMade": self.was_made}
        return {name: value for name, value in (given | flags).items() if value}


def compensate(place: options.Place, wanted: Wanted, *, as_json: bool) -> None:
    """Ask for the compensations, and print how far each is.

    Raises:
        Stopped: they could not be asked for.
    """
    items = listing.run_at(place, lambda http, namespace: _all(http, namespace, wanted))
    if as_json:
        print(json.dumps({"items": items}, indent=2, ensure_ascii=False))
        return
    print(tables.table([*_rows(items)]))
    counts = Counter(one["state"] for one in items)
    print(", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "0 calls")
    if not items:
        print(f"penstock: no call of an agent {wanted.agent} fits; check its name", file=sys.stderr)


async def _all(http: httpx.AsyncClient, namespace: str, wanted: Wanted) -> list[Document]:
    agent = quote(wanted.agent, safe="")
    path = f"/v1/namespaces/{quote(namespace, safe='')}/agents/{agent}/compensations"
    items: list[Document] = []
    following = ""
    while True:
        page = await gateway.fetch(http, "POST", path, body=wanted.body(following))
        items += page["items"]
        following = page["continue"]
        if not following:
            return items


def _rows(items: Sequence[Document]) -> Iterator[list[str]]:
    yield ["STATE", "CALL", "AMOUNT", "USER", "UNDONE BY", "TASK", "WHY"]
    for one in items:
        amount = one["amount"].rstrip("0").rstrip(".") if "." in one["amount"] else one["amount"]
        call = f"{one['effectTool']} {one['effect']}"
        undo = f"{one['tool']} {json.dumps(one['arguments'], ensure_ascii=False)}"
        undone_by = undo if one["tool"] else ""
        yield [one["state"], call, amount, one["user"], undone_by, one["taskId"], one["message"]]
