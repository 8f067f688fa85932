"""``penstock erase``: a user is erased from what an agent keeps, on a person's word."""

from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import documents, gateway, listing, options, prompting
from penstock_cli.exits import Exit, Stopped

Document = dict[str, Any]
#: What is counted, and how one of it is called.
_KINDS: Final = (
    ("tasks", "ended task"),
    ("sessions", "session"),
    ("effects", "call"),
    ("answers", "cached answer"),
)


def erase(place: options.Place, agent: str, user: str, output: str, *, is_sure: bool) -> None:
    """Erase a user, and print how much that was.

    Args:
        is_sure: nobody is asked first.

    Raises:
        Stopped: the person does not stand by it, it was refused, nothing of the user was found, or tasks of his go on.
    """
    if not is_sure:
        prompting.stand_by(
            f"Erase user {user!r} from tasks, sessions and effects of agent {agent}? It cannot be taken back.",
            otherwise="nothing was erased",
            unasked="nothing was erased: nobody is at this terminal to ask; say --yes",
        )
    erased = listing.run_at(place, lambda http, namespace: _erased(http, namespace, agent, user))
    if output != "text":
        print(documents.printed(erased, output))
    if not any(erased[kind] for kind in (*dict(_KINDS), "goingOn")):
        sentence = f"nothing of a user {user} was found in {agent}; check the spelling"
        raise Stopped(Exit.REFUSED, sentence)
    if output == "text":
        print(_said(erased, agent, user))
    if going_on := erased["goingOn"]:
        tasks = "1 task goes on and is" if going_on == 1 else f"{going_on} tasks go on and are"
        sentence = (
            f"{tasks} there still: wait for the end or cancel (penstock tasks list {agent} --user {user!r}), "
            "and say it again"
        )
        raise Stopped(Exit.UNFINISHED, sentence)


async def _erased(http: httpx.AsyncClient, namespace: str, agent: str, user: str) -> Document:
    parts = (quote(part, safe="") for part in (namespace, agent, user))
    path = "/v1/namespaces/{}/agents/{}/users/{}".format(*parts)
    return await gateway.fetch(http, "DELETE", path)


def _said(erased: Document, agent: str, user: str) -> str:
    """What was erased, counted."""
    counted = ", ".join(
        f"{erased[kind]} {one}{'' if erased[kind] == 1 else 's'}" for kind, one in _KINDS
    )
    kept = "; calls keep digests, amount and time" if erased["effects"] else ""
    return f"{user} was erased from {agent}: {counted}{kept}"
