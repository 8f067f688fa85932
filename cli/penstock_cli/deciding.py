"""What waits for a person, as the terminal shows it, and the person's word on it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import gateway, listing, options, tables
from penstock_cli.exits import Exit, Stopped

_PAGE: Final = 200
_SHOWN_CHARACTERS: Final = 40  # of the arguments, in a row

Document = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """Which calls are looked for; ``limit`` 0: all."""

    agent: str = ""
    tool: str = ""
    user: str = ""
    limit: int = 50


@dataclass(frozen=True)
class Word:
    """What a person says; ``arguments`` is JSON, empty for the model's own."""

    decision: str
    note: str = ""
    answer: str = ""
    arguments: str = ""

    def body(self) -> Document:
        """The same as the gateway takes it.

        Raises:
            Stopped: the arguments are no JSON object.
        """
        said: Document = {"decision": self.decision}
        said |= {"note": self.note} if self.note else {}
        said |= {"answer": self.answer} if self.answer else {}
        if not self.arguments:
            return said
        try:
            arguments = json.loads(self.arguments)
        except ValueError as error:
            raise Stopped(Exit.USAGE, f"--arguments is no JSON: {error}") from None
        if not isinstance(arguments, dict):
            raise Stopped(Exit.USAGE, "--arguments must be a JSON object")
        return said | {"arguments": arguments}


def show_list(place: options.Place, wanted: Wanted, *, as_json: bool) -> None:
    """Print what waits, the first to lapse first.

    Raises:
        Stopped: it could not be read.
    """
    page = listing.run_at(place, lambda http, namespace: _listed(http, namespace, wanted))
    if as_json:
        print(json.dumps(page, indent=2, ensure_ascii=False))
    else:
        print(tables.table([*_rows(page["items"])]))
    if page["continue"]:
        print(
            f"penstock: the first {len(page['items'])}; there may be more: --limit 0 shows all",
            file=sys.stderr,
        )


def show(place: options.Place, identifier: str, *, as_json: bool) -> None:
    """Print one, with the conversation before it.

    Raises:
        Stopped: there is none of this id, or it could not be read.
    """
    found = listing.run_at(
        listing.of_its_agent(place, identifier),
        lambda http, _: gateway.fetch(http, "GET", _path(identifier)),
    )
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print("\n".join(_described(found)))
    print("conversation:")
    for said in found["conversation"]:
        first, *more = said["text"].split("\n")
        print(f"  {said['role']}: {tables.one_line(first)}")
        for line in more:
            print(f"      {tables.one_line(line)}")


def decide(place: options.Place, identifier: str, word: Word, *, as_json: bool) -> None:
    """Say a person's word, and print what became of it.

    Raises:
        Stopped: it was refused.
    """
    body = word.body()
    path = f"{_path(identifier)}/decision"
    found = listing.run_at(
        listing.of_its_agent(place, identifier),
        lambda http, _: gateway.fetch(http, "POST", path, body=body),
    )
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif found["status"] == "Open":
        still = found["minApprovals"] - len(found["approvedBy"])
        print(f"{found['id']} is approved by {', '.join(found['approvedBy'])}; {still} more must")
    else:
        print(f"{found['id']} is {found['status']}")


async def _listed(http: httpx.AsyncClient, namespace: str, wanted: Wanted) -> Document:
    """As many as were asked for, of as many pages as that takes, as one page."""
    items: list[Document] = []
    more = ""
    while True:
        limit = min(_PAGE, wanted.limit - len(items)) if wanted.limit else _PAGE
        query = {
            "namespace": namespace,
            "agent": wanted.agent,
            "tool": wanted.tool,
            "user": wanted.user,
            "limit": str(limit),
            "continue": more,
        }
        given = [pair for pair in query.items() if pair[1]]
        page = await gateway.fetch(http, "GET", "/v1/escalations", given)
        items += page["items"]
        more = page["continue"]
        if not more or (wanted.limit and len(items) >= wanted.limit):
            return {"items": items, "continue": more}


def _rows(items: list[Document]) -> Iterator[list[str]]:
    tenants = any("tenant" in item for item in items)
    yield ["ID", "TOOL", "ARGUMENTS", "DEADLINE", "USER", "AGENT", *["TENANT"] * tenants, "REASON"]
    for item in items:
        arguments = _shortened(json.dumps(item["arguments"], ensure_ascii=False))
        row = [item["id"], item["tool"], arguments, item["deadline"], item["user"], item["agent"]]
        yield [*row, *[item.get("tenant", "")] * tenants, item["reason"]]


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _described(found: Document) -> Iterator[str]:
    """One line by line, without the conversation; each argument on a line of its own."""
    told = {
        "id": found["id"],
        "task": found["taskId"],
        "agent": f"{found['namespace']}/{found['agent']}",
        "revision": found["revision"],
        "status": found["status"],
        "tool": found["tool"],
        "arguments": found["arguments"],
        "reason": found["reason"],
        "user": found["user"],
        "submitter": found["submitter"],
        "asked": found["askedAt"],
        "deadline": f"{found['deadline']}, then {found['onTimeout']}",
        "cost so far": f"${found['costUSD']}",
        "in doubt": f"what became of it {found['doubt']} is lost: it may have been made already"
        if found["doubt"]
        else "",
        "approvers": " and ".join(" or ".join(groups) for groups in found["approvers"]),
        "approvals": f"{len(found['approvedBy'])} of {found['minApprovals']}"
        + (f": {', '.join(found['approvedBy'])}" if found["approvedBy"] else ""),
        "changed to": found["changedArguments"] or "",
        "decided": _decided(found),
        "note": found["note"],
        "answer": found["answer"],
    }
    for name, value in told.items():
        if not isinstance(value, dict):
            yield f"{name + ':':<12} {tables.one_line(value) or '-'}"
            continue
        yield f"{name}:"
        for argument, given in value.items():
            yield tables.one_line(f"  {argument}: {json.dumps(given, ensure_ascii=False)}")


def _decided(found: Document) -> str:
    if found["status"] == "Void":
        return f"by nobody: its task ended before, {found['decidedAt']}"
    by = " and ".join(found["decidedBy"]) or "time"
    return f"{found['decidedAt']} by {by}" if found["decidedAt"] else ""


def _path(identifier: str) -> str:
    return f"/v1/escalations/{quote(identifier, safe='')}"
