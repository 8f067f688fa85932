"""``penstock copies``: on which calls copies went another way than stable's task, as the terminal shows it."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from penstock_cli import documents, gateway, listing, looking, options, places, tables
from penstock_cli.exits import Exit, Stopped

Document = dict[str, Any]
_DIGITS: Final = 12  # of a digest; all of it is in JSON
_WORDS: Final = {
    "Same": "same",
    "OtherArguments": "other arguments",
    "OnlyStable": "only stable",
    "OnlyCanary": "only canary",
    "Unknown": "not known",
}


def show(place: options.Place, agent: str, revision: str, output: str) -> None:
    """Print the copies of a revision that went another way, the newest first, call by call.

    Args:
        revision: its name or hash; empty: the canary of the AgentRollout, which kubectl reads.

    Raises:
        Stopped: they could not be read, or no revision was named and there is no canary.
    """
    revision = revision or _canary(place, agent)

    async def fetch(http: Any, namespace: str) -> list[Document]:
        path = f"/v1/namespaces/{quote(namespace, safe='')}/agents/{quote(agent, safe='')}/copies"
        page = await gateway.fetch(http, "GET", path, [("revision", revision)])
        items: list[Document] = page["items"]
        return items

    items = listing.run_at(place, fetch, sees_all=True)
    if output != "text":
        print(documents.printed({"items": items}, output))
        return
    print(tables.table([*_rows(items)]))
    print("\n".join(_summed(items)))
    if not items:
        told = f"penstock: no copy of {revision} is kept that went another way"
        print(told, file=sys.stderr)


def _canary(place: options.Place, agent: str) -> str:
    """The name of an Agent's canary."""
    looker = looking.Looker(places.cluster(place), place.namespace)
    seen = asyncio.run(looker.look(agent))
    if seen.canary:
        return seen.canary
    there = ", ".join(seen.reported) or "none"
    raise Stopped(
        Exit.USAGE, f"Agent {agent} has no canary now; say --revision with one of: {there}"
    )


def _rows(items: Sequence[Document]) -> Iterator[list[str]]:
    yield ["TASK", "STABLE", "CANARY", "CALL", "SAYS", "STABLE'S ARGUMENTS", "CANARY'S"]
    for one in items:
        stop = one["stoppedAt"]
        end = one["canaryEnd"] or (f"stopped at {stop['tool']}" if stop else "stopped")
        ends = [one["taskId"], one["stableEnd"], end]
        for call in one["calls"] or [{}]:
            says = _WORDS.get(call.get("says", ""), call.get("says", ""))
            digests = [call.get(side, "")[:_DIGITS] for side in ("stable", "canary")]
            yield [*ends, call.get("tool", ""), says, *digests]


def _summed(items: Sequence[Document]) -> Iterator[str]:
    """How many calls of each tool differ, and how."""
    counted = Counter(
        (call["tool"], _WORDS.get(call["says"], call["says"]))
        for one in items
        for call in one["calls"]
        if call["says"] != "Same"
    )
    told = (f"{tool} {count} {says}" for (tool, says), count in sorted(counted.items()))
    yield f"{len(items)} copies went another way: {', '.join(told) or 'their ends differ alone'}"
