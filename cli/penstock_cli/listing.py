"""Tasks as the terminal shows them: found, read with their events, cancelled."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from penstock.task import TaskStatus, agent_of
from penstock_cli import asking, documents, gateway, options, places, tables
from penstock_cli.exits import Exit, Stopped

_SECONDS: Final = 60.0  # how long a token is needed
_PAGE: Final = 200
_SHOWN: Final = 50
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_AS_IT_SHOULD: Final = (TaskStatus.SUCCEEDED, TaskStatus.CANCELLED)

Document = dict[str, Any]
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Wanted:
    """Which tasks are looked for, in the words of the command line."""

    agent: str
    revision: str = ""
    statuses: tuple[str, ...] = ()
    failed: bool = False
    reasons: tuple[str, ...] = ()
    user: str = ""
    since: str = ""
    limit: int | None = None

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters of the call."""
        statuses = self.statuses
        if self.failed:
            bad = [status for status in TaskStatus if status.ended and status not in _AS_IT_SHOULD]
            statuses = tuple(status for status in bad if not statuses or status in statuses)
            if not statuses:
                sentence = "--failed and --status fit no task together: give one of them"
                raise Stopped(Exit.USAGE, sentence)
        return [
            ("revision", self.revision),
            *(("status", status) for status in statuses),
            *(("reason", reason) for reason in self.reasons),
            ("user", self.user),
            ("since", _since(self.since)),
        ]


@dataclass(frozen=True)
class Shown:
    """How tasks are shown: counted by a field, with their messages, and in which form."""

    by: str = ""
    wide: bool = False
    output: str = "text"


def show_list(place: options.Place, wanted: Wanted, shown: Shown, now: datetime) -> None:
    """Print an agent's tasks, newest first.

    Args:
        now: by which the age of a task is told.

    Raises:
        Stopped: they could not be read.
    """
    if shown.by and shown.by not in tables.FIELDS:
        raise Stopped(Exit.USAGE, f"--by takes one of {', '.join(tables.FIELDS)}")
    most = wanted.limit if wanted.limit is not None else 0 if shown.by else _SHOWN
    page = run_at(place, lambda http, namespace: _listed(http, namespace, wanted, most))
    if shown.output != "text":
        print(documents.printed(page, shown.output))
    else:
        items = page["items"]
        rows = (
            tables.counted(items, shown.by)
            if shown.by
            else tables.rows(items, now, wide=shown.wide)
        )
        print(tables.table(rows))
    for remark in _remarks(page):
        print(f"penstock: {remark}", file=sys.stderr)


def show(place: options.Place, identifier: str, output: str) -> None:
    """Print a task and its events.

    Raises:
        Stopped: there is no such task, or it could not be read.
    """
    task, events = run_at(of_its_agent(place, identifier), lambda http, _: _task(http, identifier))
    if output != "text":
        print(documents.printed({"task": task, "events": events}, output))
        return
    print("\n".join(tables.described(task)))
    print("events:")
    for event in events:
        print(f"  {event['at']}{asking.line(event)}")
    if task["output"]:
        print(f"output:\n{task['output']}")


def cancel(place: options.Place, identifier: str, output: str) -> None:
    """Cancel a task, and print how it is afterwards.

    Raises:
        Stopped: there is no such task, or it could not be cancelled.
    """
    path = _path(identifier)
    task = run_at(
        of_its_agent(place, identifier), lambda http, _: gateway.fetch(http, "DELETE", path)
    )
    if output != "text":
        print(documents.printed(task, output))
        return
    later = " and ends at its next step" if task["status"] in ("Running", "Halted") else ""
    print(f"{task['id']} is {task['status']}{later}")


def retry(place: options.Place, identifier: str, output: str, *, even_if_acted: bool) -> None:
    """Try an ended task again, and print which task that is; said again, it is the same one.

    Raises:
        Stopped: there is no such task, it has not ended, or it has made calls that change something.
    """
    body = {"evenIfActed": even_if_acted}
    path = f"{_path(identifier)}/retry"
    task = run_at(
        of_its_agent(place, identifier),
        lambda http, _: gateway.fetch(http, "POST", path, body=body),
    )
    if output != "text":
        print(documents.printed(task, output))
        return
    chosen = f", a preview on {task['revision']}" if tables.is_preview(task) else ""
    print(f"{task['id']} is {task['status']}, in place of {identifier}{chosen}")


# ----------------------------------------------------------------------------------- the calls


def run_at(
    place: options.Place,
    call: Callable[[httpx.AsyncClient, str], Awaitable[_Found]],
    *,
    sees_all: bool = False,
) -> _Found:
    """What a call at the gateway gives, which is told the namespace of the Agents; ``sees_all`` as ``places.reach`` has it."""

    async def carried_out() -> _Found:
        async with (
            places.reach(place, _SECONDS, sees_all=sees_all) as found,
            gateway.client(found.url, found.token) as http,
        ):
            return await call(http, found.namespace)

    return asyncio.run(carried_out())


async def _listed(http: httpx.AsyncClient, namespace: str, wanted: Wanted, most: int) -> Document:
    """As many tasks as were asked for, of as many pages as that takes, as one page."""
    path = f"/v1/namespaces/{quote(namespace, safe='')}/agents/{quote(wanted.agent, safe='')}/tasks"
    items: list[Document] = []
    unreadable, more, page = 0, "", {}
    while True:
        limit = min(_PAGE, most - len(items)) if most else _PAGE
        query = [*wanted.query, ("limit", str(limit)), ("continue", more)]
        page = await gateway.fetch(http, "GET", path, [pair for pair in query if pair[1]])
        items += page["items"]
        unreadable += page["unreadable"]
        more = page["continue"]
        if not more or (most and len(items) >= most):
            return {**page, "items": items, "unreadable": unreadable}


async def _task(http: httpx.AsyncClient, identifier: str) -> tuple[Document, list[Document]]:
    task = await gateway.fetch(http, "GET", _path(identifier))
    return task, [event async for event in _events(http, identifier)]


async def _events(http: httpx.AsyncClient, identifier: str) -> AsyncIterator[Document]:
    after = ""
    while True:
        headers = {"Last-Event-ID": after} if after else {}
        page = await gateway.fetch(http, "GET", f"{_path(identifier)}/events", headers=headers)
        for event in page["items"]:
            yield event
        after = page["continue"]
        if not after:
            return


def _path(identifier: str) -> str:
    return f"/v1/tasks/{quote(identifier, safe='')}"


def of_its_agent(place: options.Place, identifier: str, *, of_what: str = "task") -> options.Place:
    """The same place, with the namespace that the id of ``of_what`` carries where none was said."""
    agent = agent_of(identifier)
    if agent is None:
        raise Stopped(Exit.USAGE, f"{identifier[:200]!r} is no {of_what}'s id")
    return place if place.namespace else replace(place, namespace=agent.namespace)


# ------------------------------------------------------------------------------------ in words


def _since(text: str) -> str:
    """A time as the gateway reads it: a duration in seconds, anything else as it is."""
    found = _DURATION.fullmatch(text)
    return str(int(found[1]) * _UNITS[found[2]]) if found else text


def _remarks(page: Mapping[str, Any]) -> list[str]:
    """What a reader must know of a list besides its tasks."""
    remarks = []
    if not page["items"]:
        remarks.append("no task fits")
    if page["continue"]:
        remarks.append(f"the newest {len(page['items'])}; there may be more: --limit 0 shows all")
    if page["unreadable"]:
        remarks.append(f"{page['unreadable']} more cannot be read")
    if page["tenant"]:
        remarks.append(
            f"only tasks of the tenant {page['tenant']}: a token of the cluster with the verb list "
            "on agents/tasks shows those of all tenants"
        )
    return remarks
