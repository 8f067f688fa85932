"""A task's events as server-sent events, resumable, ended by the task's end or the gateway's."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from penstock import errors
from penstock_runtime.gateway import metrics, wire
from penstock_runtime.gateway.stopping import Stopping
from penstock_store.records import Event
from penstock_store.store import Store

MEDIA_TYPE: Final = "text/event-stream"
PING_SECONDS: Final = 15.0
_FIRST: Final = b"retry: 1000\n\n"
_PING: Final = b": ping\n\n"
_STOPPING: Final = b": this gateway stops; resume with Last-Event-ID\n\n"
_AWAY: Final = b": the store does not answer; resume with Last-Event-ID\n\n"


async def documents(
    store: Store, identifier: str, tenant: str, events: list[Event]
) -> list[dict[str, Any]]:
    """Events as callers read them. The last one carries the task, which is read after it."""
    ended = None
    if any(event.type == wire.FINISHED for event in events):
        ended = await store.task(identifier, tenant)
    return [wire.event_document(event, identifier, ended) for event in events]


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
        while True:
            try:
                events = await stopping.unless_stopped(store.wait(identifier, after, ping_seconds))
                if events is None:
                    yield _STOPPING
                    return
                if not events and await store.task(identifier, tenant) is None:
                    return  # kept no longer
                for document in await documents(store, identifier, tenant, events):
                    yield _frame(document)
            except errors.StoreUnavailable:
                yield _AWAY
                return
            if not events:
                yield _PING
            elif events[-1].type == wire.FINISHED:
                return
            else:
                after = events[-1].id


def _frame(document: dict[str, Any]) -> bytes:
    return f"id: {document['id']}\nevent: {document['type']}\ndata: {json.dumps(document)}\n\n".encode()
