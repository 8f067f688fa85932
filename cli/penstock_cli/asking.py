"""``penstock run``: ask an agent, tell what happens, print the answer."""

import asyncio
import sys
import uuid
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx

from penstock_cli import documents, gateway, options, places
from penstock_cli.exits import Exit, Stopped

_LONGEST_NAME: Final = 253


@dataclass(frozen=True)
class Question:
    """What an agent is asked."""

    agent: str
    text: str
    user: str = ""
    session: str = ""
    revision: str = ""

    @property
    def begins_there(self) -> bool:
        """Whether its session is on the chosen revision from now on."""
        return bool(self.revision and self.session)

    def following(self, namespace: str) -> gateway.Following:
        """The task of this question to an agent of the namespace, none of it done yet.

        Raises:
            Stopped: a name is longer than any can be.
        """
        for what, name in (("the agent", self.agent), ("the namespace", namespace)):
            if len(name) > _LONGEST_NAME:
                sentence = f"the name of {what} has {len(name):,} characters; Kubernetes allows 253"
                raise Stopped(Exit.USAGE, sentence)
        namespace, agent = quote(namespace, safe=""), quote(self.agent, safe="")
        body = {
            "input": self.text,
            "user": self.user,
            "session": self.session,
            "idempotencyKey": uuid.uuid4().hex,
        }
        if self.revision:  # a gateway of the version before refuses what it does not know
            body["revision"] = self.revision
        return gateway.Following(f"/v1/namespaces/{namespace}/agents/{agent}/tasks", body)


def ask(place: options.Place, question: Question, wait_seconds: float, output: str) -> None:
    """Ask, and print the answer (or for programs the task) on standard output.

    Raises:
        Stopped: it did not come to an answer.
    """
    task = asyncio.run(_ask(place, question, wait_seconds))
    if output != "text":
        print(documents.printed(task, output))
    elif task["status"] == "Succeeded":
        print(task["output"])
    elif not wait_seconds:
        print(task["id"])
    if question.begins_there and task["status"] != "Cancelled":  # its revision may be taken off
        stays = f"session {question.session} is on {task['revision']}"
        then = "what follows in it goes there too, also without --revision, as ordinary tasks"
        print(f"penstock: {stays}: {then}", file=sys.stderr)
    if failure := _failure(task):
        raise failure


async def _ask(place: options.Place, question: Question, wait_seconds: float) -> dict[str, Any]:
    async with (
        places.reach(place, wait_seconds) as found,
        gateway.client(found.url, found.token) as http,
    ):
        following = question.following(found.namespace)
        if not wait_seconds:
            return await gateway.submit(http, following)
        try:
            async with asyncio.timeout(wait_seconds):
                return await _to_the_end(http, following)
        except TimeoutError:
            where = f"; it goes on: {following.place}" if following.place else ""
            sentence = f"the task has not ended within {wait_seconds:g} s{where}"
            raise Stopped(Exit.UNFINISHED, sentence) from None


async def _to_the_end(http: httpx.AsyncClient, following: gateway.Following) -> dict[str, Any]:
    task: dict[str, Any] = {}
    async for event in gateway.follow(http, following):
        print(line(event), file=sys.stderr)
        task = event["data"]
    return task


def line(event: dict[str, Any]) -> str:
    """One event in one line."""
    data = event["data"]
    match event["type"]:
        case "queued" | "started":
            said = data.get("revision", "") + (", a preview" if data.get("preview") else "")
        case "model":
            said = f"{data.get('inputTokens', 0)} tokens in, {data.get('outputTokens', 0)} out"
            said += ", out of the cache" if data.get("cached") else ""
        case "tool":
            said = f"{data.get('name', '')} {'answered' if data.get('ok') else 'failed'}"
        case "waiting":
            said = f"{data.get('tool', '')}: penstock escalations show {data.get('escalation', '')}"
        case "decided":
            said = f"{data.get('decision', '')} by {data.get('by') or 'time'}"
        case "moved":
            said = f"to {data.get('to', '')}"
        case gateway.FINISHED:
            usage = data["usage"]
            said = f"{data['status']} in {usage['wallSeconds']} s for ${usage['costUSD']}"
        case _:
            said = ""
    return f"  {event['type']:<9} {said}".rstrip()


def _failure(task: dict[str, Any]) -> Stopped | None:
    """Why the command does not end with 0; a task that was only to be submitted is no failure."""
    status, outcome = task["status"], task["outcome"]
    if status in ("Succeeded", "Queued", "Running", "Halted", "WaitingForApproval"):
        return None
    why = ": ".join(part for part in (outcome["reason"], outcome["message"]) if part)
    code = Exit.ESCALATED if status == "Escalated" else Exit.FAILED
    return Stopped(code, f"the task ended as {status} ({why or 'no reason'}): {task['id']}")
