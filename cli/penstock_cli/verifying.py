"""``penstock verify``: each recorded decision on a revision is made again from the outcome rows, and compared."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock import names
from penstock.analysis.pending import position
from penstock.outcomes import Row, RowKind
from penstock.rollout.recorded import Head
from penstock.rollout.verify import Checked, Outcome, Verification
from penstock.task import Counting, OutcomeReason
from penstock.traffic import Arm
from penstock_cli import documents, gateway, history, looking, options, places, tables
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_cli.seen import Seen

_SECONDS: Final = 600.0  # how long a token is needed: a log of a million rows is read
_PAGE: Final = 5000
_LONGEST: Final = 120  # of a value that is shown

Document = dict[str, Any]


def verify(place: options.Place, rollout: str, revision: str, output: str) -> None:
    """Print what is said of each decision.

    Raises:
        Stopped: something could not be read; else where not all of them are equal.
    """
    name, found = asyncio.run(_verify(place, rollout, revision))
    if output == "text":
        print("\n".join(lines(name, found)))
    else:
        print(documents.printed(document(name, found), output))
    said = {one.outcome for one in found}
    if Outcome.DIFFERS in said:
        raise Stopped(Exit.FAILED, f"the record of {name} does not follow from the outcome rows")
    if said - {Outcome.EQUAL}:
        sentence = f"the record of {name} could be checked only in part{_absent(found)}"
        raise Stopped(Exit.UNFINISHED, sentence)


def _absent(found: Iterable[Checked]) -> str:
    absent = [str(one.number) for one in found if one.outcome is Outcome.MISSING]
    return f": it has no entry {', '.join(absent)}" if absent else ""


async def _verify(
    place: options.Place, rollout: str, revision: str
) -> tuple[str, tuple[Checked, ...]]:
    kubectl = places.cluster(place)
    seen = await looking.Looker(kubectl, place.namespace).look(rollout)
    record = _record(seen, revision)
    name = record["metadata"]["name"]
    texts = await _texts(kubectl, seen.namespace, name)
    async with (
        places.reach(place, _SECONDS, sees_all=True) as found,
        gateway.client(found.url, found.token) as http,
    ):
        path = f"/v1/namespaces/{quote(seen.namespace)}/agents/{quote(seen.agent_name)}/rows"
        kept = await gateway.fetch(http, "GET", path, [("limit", "1")])
        looked = Verification(texts, head_of(record), kept["first"] if kept["trimmed"] else "")
        last = position(looked.through)
        async for page in _pages(http, path, looked.after):
            rows = [row_of(item) for item in page]
            looked.add(row for row in rows if position(row.id) <= last)
            if rows and position(rows[-1].id) > last:
                break
    return name, looked.finish()


def _record(seen: Seen, revision: str) -> Mapping[str, Any]:
    """The ControllerRevision that is meant: named, else the canary's, else the newest of which something was decided."""
    if revision or seen.canary:
        return history.named(seen, revision or seen.canary)
    for record in history.records(seen):
        if head_of(record):
            return record
    raise Stopped(Exit.REFUSED, f"no decision on a revision of {seen.name} is on record")


async def _texts(kubectl: Kubectl, namespace: str, revision: str) -> dict[str, str]:
    name = names.decisions_name(revision)
    try:
        found = await kubectl.read_json("get", "configmap", name, f"--namespace={namespace}")
    except KubectlFailed as failed:
        sentence = f"the record of {revision} cannot be read: {failed}"
        raise Stopped(Exit.REFUSED, sentence) from None
    return dict(found.get("data") or {})


async def _pages(http: httpx.AsyncClient, path: str, after: str) -> AsyncIterator[list[Document]]:
    """The rows after an id, in pages, to the end of the log."""
    more = after
    while True:
        query = [("limit", str(_PAGE)), *([("continue", more)] if more else [])]
        page = await gateway.fetch(http, "GET", path, query)
        yield page["items"]
        more = page["continue"]
        if not more:
            return


def head_of(record: Mapping[str, Any]) -> Head | None:
    """The end of the chain, as the annotation of a ControllerRevision has it; None where there is none."""
    told = (record["metadata"].get("annotations") or {}).get(names.ANNOTATION_DECISIONS, "")
    number, _, digest = told.partition(" ")
    return Head(int(number), digest) if number.isascii() and number.isdigit() else None


def row_of(item: Document) -> Row:
    """A row as the gateway tells it."""
    return Row(
        id=item["id"],
        kind=RowKind(item["kind"]),
        task=item["task"],
        arm=Arm(item["side"]),
        revision=item["revision"],
        route_version=item["routeVersion"],
        begin_version=item["beginVersion"],
        bucket=item["bucket"],
        counting=Counting(item["counting"]),
        latency_ms=item["latencyMs"],
        cost_micro_usd=item["costMicroUsd"],
        reason=None if item["reason"] is None else OutcomeReason(item["reason"]),
    )


# --------------------------------------------------------------------------------- what is shown


def document(name: str, found: tuple[Checked, ...]) -> Document:
    """The same for programs; ``outcome`` is the worst."""
    worst = max((list(Outcome).index(one.outcome) for one in found), default=0)
    return {
        "revision": name,
        "outcome": list(Outcome)[worst].value,
        "decisions": [{**asdict(one), "outcome": one.outcome.value} for one in found],
    }


def lines(name: str, found: tuple[Checked, ...]) -> Iterator[str]:
    """A row for each decision, then where the first one differs, then how many are equal."""
    rows = [
        (
            str(one.number),
            one.at or "-",
            one.rule or "-",
            one.verdict or one.move or "-",
            _said(one),
        )
        for one in found
    ]
    yield tables.table([("NUMBER", "AT", "RULE", "MOVE", "SAYS"), *rows])
    first = next((one for one in found if one.difference), None)
    if first and first.difference:
        yield f"\ndecision {first.number} differs first at {first.difference.field}:"
        yield f"  recorded  {_shown(first.difference.recorded)}"
        yield f"  found     {_shown(first.difference.found)}"
    equal = sum(one.outcome is Outcome.EQUAL for one in found)
    yield f"\n{name}: {equal} of {len(found)} decisions are equal"


def _said(one: Checked) -> str:
    return f"{one.outcome.value}: {one.why}" if one.why else one.outcome.value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return tables.one_line(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
