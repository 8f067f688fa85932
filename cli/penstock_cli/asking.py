"""``penstock run``: ask an agent, tell what happens, print the answer."""

import asyncio
import json
import sys
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from penstock_cli import gateway
from penstock_cli.exits import Exit, Stopped
from penstock_dev import state


@dataclass(frozen=True)
class Place:
    """Where the gateway is, as far as the person said; empty: that of the local environment."""

    url: str
    token: str
    state_dir: str


@dataclass(frozen=True)
class Question:
    """What an agent is asked."""

    agent: str
    text: str
    namespace: str
    user: str = ""
    session: str = ""

    def following(self) -> gateway.Following:
        """The task of this question, none of it done yet."""
        namespace, agent = quote(self.namespace, safe=""), quote(self.agent, safe="")
        body = {
            "input": self.text,
            "user": self.user,
            "session": self.session,
            "idempotencyKey": uuid.uuid4().hex,
        }
        return gateway.Following(f"/v1/namespaces/{namespace}/agents/{agent}/tasks", body)


def ask(place: Place, question: Question, wait_seconds: float, *, as_json: bool) -> None:
    """Ask, and print the answer (or the task as JSON) on standard output.

    Raises:
        Stopped: it did not come to an answer.
    """
    url, token = resolve(place)
    task = asyncio.run(_ask(url, token, question, wait_seconds))
    if as_json:
        print(json.dumps(task, indent=2, ensure_ascii=False))
    elif task["status"] == "Succeeded":
        print(task["output"])
    elif not wait_seconds:
        print(task["id"])
    if failure := _failure(task):
        raise failure


def resolve(place: Place) -> tuple[str, str]:
    """URL and token of the gateway: what was said, else those of the local environment.

    Raises:
        Stopped: neither is known.
    """
    url, token = place.url, place.token
    if not url:
        local = state.read_json(state.StateDirectory.at(place.state_dir).environment_file) or {}
        url, token = local.get("gatewayURL") or "", token or local.get("token", "")
    if not url:
        raise Stopped(
            Exit.USAGE,
            f"no gateway is known: none runs in {place.state_dir}. Start one (penstock dev up), "
            "or say where it is: --gateway and --token, or PENSTOCK_GATEWAY_URL and PENSTOCK_TOKEN.",
        )
    if not token:
        raise Stopped(Exit.USAGE, "no token is known: give --token, or set PENSTOCK_TOKEN.")
    return url, token


async def _ask(url: str, token: str, question: Question, wait_seconds: float) -> dict[str, Any]:
    following = question.following()
    async with gateway.client(url, token) as http:
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
            said = data.get("revision", "")
        case "model":
            said = f"{data.get('inputTokens', 0)} tokens in, {data.get('outputTokens', 0)} out"
        case "tool":
            said = f"{data.get('name', '')} {'answered' if data.get('ok') else 'failed'}"
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
    if status in ("Succeeded", "Queued", "Running", "Halted"):
        return None
    why = ": ".join(part for part in (outcome["reason"], outcome["message"]) if part)
    return Stopped(Exit.FAILED, f"the task ended as {status} ({why or 'no reason'}): {task['id']}")
