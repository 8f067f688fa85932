"""``penstock compensate``: have calls undone, as the terminal shows it."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx

from penstock import naming
from penstock_cli import documents, gateway, listing, options, tables
from penstock_cli.exits import Exit, Stopped

Document = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which calls are undone: those of a revision, or one."""

    agent: str
    revision: str = ""
    effect: str = ""
    dry_run: bool = False
    was_made: bool = False

    def body(self, revision: str, following: str) -> Document:
        """As the gateway reads it."""
        given = {"revision": revision, "effect": self.effect, "continue": following}
        flags = {"dryRun": self.dry_run, "wasMade": self.was_made}
        return {name: value for name, value in (given | flags).items() if value}


def compensate(place: options.Place, wanted: Wanted, output: str) -> None:
    """Ask for the compensations, and print how far each is.

    Raises:
        Stopped: they could not be asked for.
    """
    revision, items = listing.run_at(place, lambda http, namespace: _all(http, namespace, wanted))
    if output != "text":
        print(documents.printed({"revision": revision, "items": items}, output))
        return
    if revision != wanted.revision:
        print(f"penstock: {wanted.revision} is {revision}", file=sys.stderr)
    print(tables.table([*_rows(items)]))
    counts = Counter(one["state"] for one in items)
    print(", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "0 calls")
    if not items:
        print(f"penstock: no call of an agent {wanted.agent} fits; check its name", file=sys.stderr)


async def _all(
    http: httpx.AsyncClient, namespace: str, wanted: Wanted
) -> tuple[str, list[Document]]:
    """The revision that is meant, by its name, and the calls.

    Raises:
        Stopped: it is not named in full, and calls would be made.
    """
    agent = quote(wanted.agent, safe="")
    path = f"/v1/namespaces/{quote(namespace, safe='')}/agents/{agent}/compensations"
    if (
        wanted.revision
        and not wanted.dry_run
        and not naming.is_whole(wanted.agent, wanted.revision)
    ):
        look = replace(wanted, dry_run=True)
        page = await gateway.fetch(http, "POST", path, body=look.body(wanted.revision, ""))
        raise _not_whole(namespace, wanted, page.get("revision") or "REVISION")
    items: list[Document] = []
    revision, following = wanted.revision, ""
    while True:
        page = await gateway.fetch(http, "POST", path, body=wanted.body(revision, following))
        items += page["items"]
        # The next page is of the same revision, whatever the text means by then.
        revision, following = page.get("revision", revision), page["continue"]
        if not following:
            return revision, items


def _not_whole(namespace: str, wanted: Wanted, found: str) -> Stopped:
    """Which revision is meant, and how to go on: what is undone stays so."""
    command = f"penstock compensate {wanted.agent} -n {namespace} --revision {found}"
    sentence = (
        f"{wanted.revision} is {found} now, and another one may have declared it before: calls are undone of a "
        f"revision that is named in full. See what would be called: {command} --dry-run; then: {command}"
    )
    return Stopped(Exit.USAGE, sentence)


def _rows(items: Sequence[Document]) -> Iterator[list[str]]:
    yield ["STATE", "CALL", "AMOUNT", "USER", "UNDONE BY", "TASK", "WHY"]
    for one in items:
        amount = one["amount"].rstrip("0").rstrip(".") if "." in one["amount"] else one["amount"]
        call = f"{one['effectTool']} {one['effect']}"
        undo = f"{one['tool']} {json.dumps(one['arguments'], ensure_ascii=False)}"
        undone_by = undo if one["tool"] else ""
        yield [one["state"], call, amount, one["user"], undone_by, one["taskId"], one["message"]]
