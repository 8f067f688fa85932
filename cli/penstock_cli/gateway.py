"""The gateway's API as the terminal uses it: one task, followed to its end."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from penstock.api import addresses
from penstock_cli.exits import Exit, Stopped

FINISHED: Final = "finished"
_SILENCE_SECONDS: Final = 40.0  # the gateway says something every 15 s
_RECONNECT_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_PASSING: Final = frozenset({408, 429, 502, 503, 504})  # for a task that it has: they pass
_WHAT_THEN: Final = {  # what is typed after a refusal, by the kind of the problem
    "task-acted": " Look at them (penstock effects AGENT --task ID), then say --even-if-acted."
}
_STREAM: Final = {"Accept": "text/event-stream"}

Document = dict[str, Any]


@dataclass
class Following:
    """One task: how it is asked for, and how far its events have been read."""

    path: str
    body: Mapping[str, Any]  # with an idempotency key: asked again, it is the same task
    place: str = ""  # of the task, once the gateway has taken it
    seen: str = ""  # id of the last event that was read
    pause_seconds: float = _RECONNECT_SECONDS  # before it is asked for again


def client(url: str, token: str) -> httpx.AsyncClient:
    """A connection to the gateway at ``url``, past any proxy when it is on this machine.

    Raises:
        Stopped: the address or the token cannot be used.
    """
    if not (token.isascii() and token.isprintable()):
        sentence = "the token cannot be sent: it has characters beyond visible ASCII; check it"
        raise Stopped(Exit.USAGE, sentence)
    try:
        local = httpx.URL(url).host in ("127.0.0.1", "::1", "localhost")
    except httpx.InvalidURL as error:
        sentence = f"the gateway's address {url[:200]!r} cannot be used: {error}"
        raise Stopped(Exit.USAGE, sentence) from error
    return httpx.AsyncClient(
        base_url=url.rstrip("/"),
        headers={"Authorization": f"Bearer {token}"},
        timeout=httpx.Timeout(_SILENCE_SECONDS, connect=10.0),
        trust_env=not local,
    )


async def submit(http: httpx.AsyncClient, following: Following) -> Document:
    """Submit the task and return its document at once.

    Raises:
        Stopped: the gateway refused it or could not be reached.
    """
    try:
        response = await http.post(following.path, json=following.body)
    except httpx.TransportError as error:
        raise _unreachable(http, error) from error
    _check(response)
    document: Document = response.json()
    return document


async def fetch(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Document:
    """The document that one call answers; ``body`` is sent as JSON.

    Raises:
        Stopped: the gateway refused it or could not be reached.
    """
    try:
        response = await http.request(method, path, params=list(query), headers=headers, json=body)
    except httpx.TransportError as error:
        raise _unreachable(http, error) from error
    _check(response, "the request")
    document: Document = response.json()
    return document


async def follow(http: httpx.AsyncClient, following: Following) -> AsyncIterator[Document]:
    """The task's events as they happen, to the last; a broken stream is resumed.

    Raises:
        Stopped: the gateway refused the task or could not be reached for it.
    """
    while True:
        try:
            async for event in _stream(http, following):
                following.seen = event["id"]
                yield event
                if event["type"] == FINISHED:
                    return
        except httpx.TransportError as error:
            if not following.place:
                raise _unreachable(http, error) from error
        await asyncio.sleep(following.pause_seconds)


async def _stream(http: httpx.AsyncClient, following: Following) -> AsyncIterator[Document]:
    if following.place:
        resume = {"Last-Event-ID": following.seen} if following.seen else {}
        opened = http.stream("GET", f"{following.place}/events", headers=_STREAM | resume)
    else:
        opened = http.stream("POST", following.path, json=following.body, headers=_STREAM)
    async with opened as response:
        following.pause_seconds = _pause(response)
        if following.place and response.status_code in _PASSING:
            return  # it has the task; what is away comes back
        if response.status_code == httpx.codes.NO_CONTENT:
            yield await _end(http, following)  # no event is left, not even the last
            return
        if response.is_error:
            await response.aread()
        _check(response)
        following.place = response.headers.get("location", following.place)
        async for line in response.aiter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


async def _end(http: httpx.AsyncClient, following: Following) -> Document:
    response = await http.get(following.place)
    _check(response)
    return {"id": following.seen, "type": FINISHED, "data": response.json()}


def _pause(response: httpx.Response) -> float:
    told = response.headers.get("retry-after", "")
    seconds = float(told) if told.isascii() and told.isdecimal() else _RECONNECT_SECONDS
    return min(max(seconds, _RECONNECT_SECONDS), _LONGEST_PAUSE_SECONDS)


def _check(response: httpx.Response, what: str = "the task") -> None:
    if not response.is_error:
        return
    try:
        problem = response.json()
        said = f"{problem['title']}: {problem['detail']}"
        said += _WHAT_THEN.get(problem["type"].rpartition("/")[2], "")
    except (ValueError, KeyError, TypeError, AttributeError):
        said = f"it answered {response.status_code}, and not as a gateway of Penstock does"
    again = response.headers.get("retry-after")
    later = f" Try again in {again} s." if again else ""
    raise Stopped(Exit.REFUSED, f"the gateway refused {what}. {said}{later}")


def _unreachable(http: httpx.AsyncClient, error: httpx.TransportError) -> Stopped:
    why = str(error) or type(error).__name__
    return Stopped(
        Exit.REFUSED,
        f"the gateway at {addresses.shown(str(http.base_url))} cannot be reached: {why}. "
        "Check its address and that it runs (a local one: penstock dev status).",
    )
