"""A task's events as server-sent events, resumable, ended by the task's end or the gateway's."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from penstock import errors
from penstock_runtime import logs
from penstock_runtime.gateway import metrics, plain, wire
from penstock_runtime.gateway.stopping import Stopping
from penstock_store.records import Event
from penstock_store.store import Store

MEDIA_TYPE: Final = "text/event-stream"
PING_SECONDS: Final = 15.0
MAX_EVENTS: Final = 1000  # in one list
MAX_PAGE_BYTES: Final = 4 << 20
_FIRST: Final = b"retry: 1000\n\n"
_PING: Final = b": ping\n\n"
_STOPPING: Final = b": this gateway stops; resume with Last-Event-ID\n\n"
_REFUSED: Final = b": what is stored of this task cannot be used\n\n"
_TYPE_CHARACTERS: Final = 64
_AWAY: Final = b": the store does not answer; resume with Last-Event-ID\n\n"


async def documents(
    store: Store, identifier: str, tenant: str, events: list[Event]
) -> list[dict[str, Any]]:
    """Events as callers read them. The last one carries the task, which is read after it."""
    ended = None
    if any(event.type == wire.FINISHED for event in events):
        ended = await store.tasks.get(identifier, tenant)
    return [wire.event_document(event, identifier, ended) for event in events]


def page(items: list[dict[str, Any]]) -> dict[str, Any]:
    """As many events as an answer may hold, at least one, and the id after which the rest is."""
    size_bytes = 0
    for number, item in enumerate(items):
        size_bytes += len(plain.encoded(item))
        if number and (number >= MAX_EVENTS or size_bytes > MAX_PAGE_BYTES):
            return {"items": items[:number], "continue": items[number - 1]["id"]}
    return {"items": items, "continue": ""}


class Stream(StreamingResponse):
    """A stream that gives back what it holds when it has ended, however it does."""

    def __init__(
        self, content: AsyncIterator[bytes], headers: dict[str, str], held: contextlib.ExitStack
    ) -> None:
        super().__init__(content, headers=headers, media_type=MEDIA_TYPE)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        with self._held:
            await super().__call__(scope, receive, send)


async def resumable(store: Store, identifier: str, after: str) -> str:
    """Where a stream goes on: after the last event that was read, or after the last there is.

    A reader may have read more than there is: after a failover the end of a log can be lost.
    """
    place = wire.event_place(after)
    if place is None or await store.notifications.events(identifier, after):
        return after
    known = await store.notifications.events(identifier)
    last = wire.event_place(known[-1].id) if known else None
    if last is None:
        return ""
    return known[-1].id if last < place else after


async def frames(
    store: Store,
    identifier: str,
    tenant: str,
    after: str,
    *,
    stopping: Stopping,
    ping_seconds: float = PING_SECONDS,
) -> AsyncIterator[bytes]:
    """The stream of a task's events after an event id (empty: all), until it has ended."""
    yield _FIRST
    with metrics.STREAMS.track_inprogress():
        try:
            while True:
                events = await stopping.unless_stopped(
                    store.notifications.wait(identifier, after, ping_seconds)
                )
                if events is None:
                    yield _STOPPING
                    return
                if not events:
                    if await _is_over(store, identifier, tenant, after):
                        return
                    yield _PING
                    continue
                for document in await documents(store, identifier, tenant, events):
                    yield _frame(document)
                if events[-1].type == wire.FINISHED or wire.event_place(events[-1].id) is None:
                    return
                after = events[-1].id
        except errors.StoreUnavailable:
            yield _AWAY
        except errors.StoreRefused as error:
            logs.get().warning("a task cannot be followed", task=identifier, reason=str(error))
            yield _REFUSED


async def _is_over(store: Store, identifier: str, tenant: str, after: str) -> bool:
    """Whether no event can follow: the task is kept no longer, or has ended and all is read."""
    task = await store.tasks.get(identifier, tenant)
    if task is None:
        return True
    return task.status.ended and not await store.notifications.events(identifier, after)


def _frame(document: dict[str, Any]) -> bytes:
    fields = {"id": document["id"], "event": document["type"]}
    lines = [f"{name}: {plain.one_line(value, _TYPE_CHARACTERS)}" for name, value in fields.items()]
    return "\n".join(lines).encode() + b"\ndata: " + plain.encoded(document) + b"\n\n"
