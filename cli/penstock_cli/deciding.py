"""What waits for a person, as the terminal shows it, and the person's word on it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import documents, gateway, listing, options, prompting, tables
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
    """What a person says; ``arguments`` is JSON, empty for the model's own.

    ``digest`` is that of the call which he means, empty where he has not said it. ``remember``: for what else an
    approval holds, Session, or nothing.
    """

    decision: str
    note: str = ""
    answer: str = ""
    arguments: str = ""
    digest: str = ""
    remember: str = ""

    def body(self) -> Document:
        """The same as the gateway takes it.

        Raises:
            Stopped: the arguments are no JSON object.
        """
        said: Document = {"decision": self.decision}
        said |= {"note": self.note} if self.note else {}
        said |= {"answer": self.answer} if self.answer else {}
        said |= {"digest": self.digest} if self.digest else {}
        said |= {"remember": self.remember} if self.remember else {}
        if not self.arguments:
            return said
        try:
            arguments = json.loads(self.arguments)
        except ValueError as error:
            raise Stopped(Exit.USAGE, f"--arguments is no JSON: {error}") from None
        if not isinstance(arguments, dict):
            raise Stopped(Exit.USAGE, "--arguments must be a JSON object")
        return said | {"arguments": arguments}


def show_list(place: options.Place, wanted: Wanted, output: str) -> None:
    """Print what waits, the first to lapse first.

    Raises:
        Stopped: it could not be read.
    """
    page = listing.run_at(place, lambda http, namespace: _listed(http, namespace, wanted))
    if output != "text":
        print(documents.printed(page, output))
    else:
        print(tables.table([*_rows(page["items"])]))
    if not page["items"]:
        print("penstock: no call that waits fits", file=sys.stderr)
    if page["continue"]:
        print(
            f"penstock: the first {len(page['items'])}; there may be more: --limit 0 shows all",
            file=sys.stderr,
        )


def show(place: options.Place, identifier: str, output: str) -> None:
    """Print one, with the conversation before it.

    Raises:
        Stopped: there is none of this id, or it could not be read.
    """
    found = listing.run_at(
        listing.of_its_agent(place, identifier, of_what="escalation"),
        lambda http, _: gateway.fetch(http, "GET", _path(identifier)),
    )
    if output != "text":
        print(documents.printed(found, output))
        return
    print("\n".join(_described(found)))
    print("conversation:")
    for said in found["conversation"]:
        first, *more = said["text"].split("\n")
        print(f"  {said['role']}: {tables.one_line(first)}")
        for line in more:
            print(f"      {tables.one_line(line)}")


def decide(place: options.Place, identifier: str, word: Word, output: str) -> None:
    """Say a person's word, and print what became of it.

    Raises:
        Stopped: it was refused, or the person does not stand by it.
    """
    word.body()
    found = listing.run_at(
        listing.of_its_agent(place, identifier, of_what="escalation"),
        lambda http, _: _decided_by(http, identifier, word),
    )
    if output != "text":
        print(documents.printed(found, output))
    elif found["status"] == "Open":
        still = found["minApprovals"] - len(found["approvedBy"])
        print(f"{found['id']} is approved by {', '.join(found['approvedBy'])}; {still} more must")
    else:
        more = (
            f", and in this session also: {found['remember']['calls']}"
            if found.get("remembered")
            else ""
        )
        print(f"{found['id']} is {found['status']}{more}")


async def _decided_by(http: httpx.AsyncClient, identifier: str, word: Word) -> Document:
    """The escalation after a person's word; where it may have been made before he is asked first."""
    if not word.digest:
        found = await gateway.fetch(http, "GET", _path(identifier))
        word = replace(word, digest=_confirmed(found, word.decision))
    return await gateway.fetch(http, "POST", f"{_path(identifier)}/decision", body=word.body())


def _confirmed(found: Document, decision: str) -> str:
    """The digest of a call that is in doubt, once the person stands by it; empty where there is no doubt.

    Raises:
        Stopped: he does not, or nobody can be asked.
    """
    if not found["doubt"]:
        return ""
    print("\n".join(_described(found)), file=sys.stderr)
    prompting.stand_by(
        f"It may have been made already. {decision} this call all the same?",
        otherwise="nothing was decided",
        unasked="it may have been made already, and nobody is at this terminal to ask: look at it, and "
        "say --digest with the digest of the call that is meant",
    )
    digest: str = found["digest"]
    return digest


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
    doubts = any(item["doubt"] for item in items)
    several = any(item["minApprovals"] > 1 for item in items)
    titles = ["ID", "TOOL", "ARGUMENTS", "DEADLINE", "USER", "AGENT"]
    previews = any(map(tables.is_preview, items))
    more = [*["TENANT"] * tenants, *["PREVIEW"] * previews]
    more += [*["APPROVED"] * several, *["MADE-ALREADY"] * doubts]
    yield [*titles, *more, "REASON"]
    for item in items:
        arguments = _shortened(json.dumps(item["arguments"], ensure_ascii=False))
        row = [item["id"], item["tool"], arguments, item["deadline"], item["user"], item["agent"]]
        doubt = "perhaps" if item["doubt"] else "no"
        more = [
            *[item.get("tenant", "")] * tenants,
            *["yes" * tables.is_preview(item)] * previews,
            *[_approvals(item)] * several,
            *[doubt] * doubts,
        ]
        yield [*row, *more, item["reason"]]


def _approvals(item: Document) -> str:
    return f"{len(item['approvedBy'])} of {item['minApprovals']}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def _described(found: Document) -> Iterator[str]:
    """One line by line, without the conversation; each argument on a line of its own."""
    told = {
        "id": found["id"],
        "task": found["taskId"],
        "agent": f"{found['namespace']}/{found['agent']}",
        "revision": found["revision"]
        + (", a preview, whose calls are really made" if tables.is_preview(found) else ""),
        "status": found["status"],
        "tool": found["tool"],
        "arguments": found["arguments"],
        "digest": found["digest"],
        "reason": found["reason"],
        "user": found["user"],
        "session": found["session"],
        "submitter": found["submitter"],
        "asked": found["askedAt"],
        "deadline": f"{found['deadline']}, then {found['onTimeout']}",
        "cost so far": f"${found['costUSD']}",
        "in doubt": f"what became of it {found['doubt']} is lost: it may have been made already"
        if found["doubt"]
        else "",
        "approvers": " and ".join(" or ".join(groups) for groups in found["approvers"]),
        "approvals": _approvals(found)
        + (f": {', '.join(found['approvedBy'])}" if found["approvedBy"] else ""),
        "sign-in": found.get("signIn", ""),
        "changed to": found["changedArguments"] or "",
        "remember": _remembering(found),
        "decided": _decided(found),
        "notes": "; ".join(_noted(said) for said in found["notes"]) or found["note"],
        "answer": found["answer"],
    }
    for name, value in told.items():
        if not isinstance(value, dict):
            yield f"{name + ':':<12} {tables.one_line(value) or '-'}"
            continue
        yield f"{name}:"
        for argument, given in value.items():
            yield tables.one_line(f"  {argument}: {json.dumps(given, ensure_ascii=False)}")


def _remembering(found: Document) -> str:
    """For which further calls an approval holds, or may."""
    may = found.get("remember")
    if not may:
        return ""
    if found["status"] == "Open":
        return f"with --remember session also, in this session, however many: {may['calls']}"
    return f"in this session, {'also' if found['remembered'] else 'not'}: {may['calls']}"


def _noted(said: Document) -> str:
    return f"{said['by']} ({said['decision']}): {said['note'] or '-'}"


def _decided(found: Document) -> str:
    if found["status"] == "Void":
        return f"by nobody: its task ended before, {found['decidedAt']}"
    by = " and ".join(found["decidedBy"]) or "time"
    return f"{found['decidedAt']} by {by}" if found["decidedAt"] else ""


def _path(identifier: str) -> str:
    return f"/v1/escalations/{quote(identifier, safe='')}"
