"""Money as the terminal shows it: what agents have spent, and a lift of a budget."""

import asyncio
import shlex
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from penstock import names
from penstock.money import lifts
from penstock_cli import documents, gateway, options, places, tables
from penstock_cli.exits import Exit, Stopped
from penstock_cli.kubectl import Kubectl, KubectlFailed
from penstock_cli.tables import Row

_SECONDS: Final = 60.0  # how long a token is needed
_LOOK_SECONDS: Final = 0.5
_AGENTS: Final = "agents.penstock.dev"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Top:
    """Which agents are listed, and how."""

    everywhere: bool
    limit: int
    output: str


@dataclass(frozen=True)
class Wanted:
    """A lift in the words of the command line, and for how many seconds its answer is awaited."""

    agent: str
    of: str
    amount: str
    wait: float

    def request(self) -> str:
        """The value of the annotation, one of its own each time.

        Raises:
            Stopped: it has another form than a lift has.
        """
        value = f"{lifts.VERB}/{self.of}/{self.amount}/{uuid.uuid4().hex[:12]}"
        if lifts.parse(value) is None:
            sentence = f"{self.of[:64]!r} {self.amount[:64]!r} is no lift: {lifts.FORM}"
            raise Stopped(Exit.USAGE, sentence)
        return value


def show(place: options.Place, agent: str, user: str | None, output: str) -> None:
    """Print an agent's budget as the gateway tells it.

    Raises:
        Stopped: it could not be read.
    """
    found = asyncio.run(_budget(place, agent, user))
    if output != "text":
        print(documents.printed(found, output))
        return
    print("\n\n".join(_described(found)))
    if not (found["windows"] or found["lifts"] or found["revisions"]):
        print(f"penstock: if {agent} should have a budget, check its name", file=sys.stderr)


async def _budget(place: options.Place, agent: str, user: str | None) -> Document:
    async with (
        places.reach(place, _SECONDS) as found,
        gateway.client(found.url, found.token) as http,
    ):
        where = f"{quote(found.namespace, safe='')}/agents/{quote(agent, safe='')}"
        query = [] if user is None else [("user", user)]
        return await gateway.fetch(http, "GET", f"/v1/namespaces/{where}/budget", query)


def _described(found: Document) -> Iterator[str]:
    if found["windows"]:
        yield tables.table(_windows(found["windows"]))
    else:
        yield "no budget: nothing is limited"
    if found["lifts"]:
        head = ["LIFT", "AMOUNT", "BY", "AT", "UNTIL"]
        yield tables.table([head, *(_lift(one) for one in found["lifts"])])
    costs = [[one["revision"], _short(one["costUSD"])] for one in found["revisions"]]
    yield (
        tables.table([["REVISION", "COST-TODAY"], *costs])
        if costs
        else "no task of today has cost anything"
    )


def _windows(windows: Sequence[Document]) -> list[Row]:
    head = ["BUDGET", "UNIT", "LIMIT", "SPENT", "USED", "RESERVED", "LEFT", "RESETS-AT", "REFUSES"]
    return [
        head,
        *(
            [
                f"{one['scope']}/{one['window']}",
                one["unit"],
                *(_short(one[name]) for name in ("limit", "spent")),
                f"{one['percent']}%",
                *(_short(one[name]) for name in ("reserved", "left")),
                _moment(one["resetsAt"]) or "never",
                "yes" if one["refuses"] else "no",
            ]
            for one in windows
        ),
    ]


def _lift(one: Document) -> Row:
    amount = f"{_short(one['amount'])} {one['unit']}"
    return [
        f"{one['scope']}/{one['window']}",
        amount,
        one["by"],
        _moment(one["at"]),
        _moment(one["endsAt"]),
    ]


def _moment(at: str) -> str:
    """A time as kubectl shows it, where it is a whole second."""
    return at.replace(".000Z", "Z")


def _short(amount: str) -> str:
    """A decimal number without the zeros that say nothing."""
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


# ------------------------------------------------------------------------------------------- top


def top(place: options.Place, shown: Top) -> None:
    """Print the agents that have cost most today, those first.

    Raises:
        Stopped: they could not be read.
    """
    kubectl = places.cluster(place)
    where = ["--all-namespaces"] if shown.everywhere else _in(place)
    try:
        listed = asyncio.run(kubectl.read_json("get", _AGENTS, *where))
    except KubectlFailed as failed:
        raise Stopped(Exit.REFUSED, f"no agent can be listed: {failed}") from None
    found = sorted((_spender(one) for one in listed["items"]), key=_order)
    kept = found[: shown.limit] if shown.limit else found
    if shown.output != "text":
        print(documents.printed({"items": kept}, shown.output))
    else:
        head = ["NAMESPACE", "AGENT", "COST-TODAY", "BUDGET", "STATUS"]
        print(tables.table([head, *([*one.values()] for one in kept)]))
    if len(kept) < len(found):
        print(f"penstock: {len(found) - len(kept)} more: --limit 0 shows all", file=sys.stderr)


def _spender(agent: Document) -> dict[str, str]:
    status = agent.get("status") or {}
    summary = status.get("summary") or {}
    ready = [one for one in status.get("conditions") or () if one["type"] == "Ready"]
    return {
        "namespace": agent["metadata"]["namespace"],
        "agent": agent["metadata"]["name"],
        "costToday": summary.get("costToday", ""),
        "budget": summary.get("budget", ""),
        "status": ready[0]["reason"] if ready else "",
    }


def _order(one: Mapping[str, str]) -> tuple[float, str, str]:
    told = one["costToday"].removeprefix("<")
    return -float(told or 0), one["namespace"], one["agent"]


def _in(place: options.Place) -> list[str]:
    return [f"--namespace={place.namespace}"] if place.namespace else []


# ------------------------------------------------------------------------------------------ lift


def lift(place: options.Place, wanted: Wanted, output: str) -> None:
    """Ask the operator for a lift, and print its answer.

    Raises:
        Stopped: it was refused, or nobody has answered in time.
    """
    request = wanted.request()
    answer = asyncio.run(_lifted(place, wanted, request))
    if output != "text":
        print(documents.printed(answer, output))
    elif answer["result"] == "Accepted":
        print(answer["message"])
    if answer["result"] != "Accepted":
        raise Stopped(Exit.REFUSED, f"the operator refused the lift: {answer['message']}")


async def _lifted(place: options.Place, wanted: Wanted, request: str) -> Document:
    kubectl = places.cluster(place)
    agent = [_AGENTS, wanted.agent, *_in(place)]
    try:
        whoami = "jsonpath={.status.userInfo.username}"
        by = (await kubectl.read("auth", "whoami", "-o", whoami)).strip()
        notes = [f"{names.ANNOTATION_REQUEST}={request}", f"{names.ANNOTATION_REQUESTED_BY}={by}"]
        command = ["annotate", *agent, "--overwrite", *notes]
        print(f"$ {shlex.join(['kubectl', *command])}", file=sys.stderr)
        await kubectl.read(*command)
        return await _answered(kubectl, agent, request, wanted.wait)
    except KubectlFailed as failed:
        raise Stopped(Exit.REFUSED, f"the lift cannot be asked for: {failed}") from None


async def _answered(kubectl: Kubectl, agent: list[str], request: str, seconds: float) -> Document:
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = await kubectl.read_json("get", *agent)
                last: Document = (found.get("status") or {}).get("lastRequest") or {}
                if last.get("value") == request:
                    return last
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        sentence = (
            f"the operator has not answered within {seconds:g} s. It is asked for all the same; the answer "
            "will be in status.lastRequest of the Agent"
        )
        raise Stopped(Exit.UNFINISHED, sentence) from None
