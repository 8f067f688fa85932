"""Events of a task as callers read them."""

from typing import Annotated, Any

from pydantic import Field

from penstock_runtime.gateway.documents import Document, Timestamp


class Event(Document):
    """Something that happened to a task; ``id`` resumes a stream after it."""

    id: str
    task_id: str
    type: Annotated[
        str,
        Field(
            description="queued, started, condensed, model, tool, waiting, decided, moved or "
            "finished."
        ),
    ]
    at: Timestamp
    data: Annotated[
        dict[str, Any],
        Field(
            description="Of model: tokens and costUSD of the call that was answered, and stepCostUSD with "
            "its attempts that failed before; with fallbacks also model, who answered. Of finished: the "
            "task as it ended."
        ),
    ]


class EventList(Document):
    """The events of a task, oldest first."""

    items: list[Event]
    continue_: Annotated[
        str,
        Field(
            alias="continue",
            description="Empty: the list is whole. Else the id to send as Last-Event-ID for the rest.",
        ),
    ]
