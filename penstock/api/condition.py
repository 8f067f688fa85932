"""Conditions: the only place that builds and sets one (kstatus-friendly, with all six fields)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from penstock.api.fields import Block, Message, Timestamp
from penstock.api.reasons import ConditionType


class Status(StrEnum):
    """Truth of a condition as Kubernetes spells it."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Block):
    """One aspect of an object's state, with the reason for programs and the message for people."""

    type: Annotated[str, Field(max_length=64, description="Aspect of the state, e.g. Ready.")]
    status: Annotated[Status, Field(description="True, False or Unknown.")]
    reason: Annotated[str, Field(max_length=64, description="One word for programs, CamelCase.")]
    message: Annotated[Message, Field(description="One or two sentences for people.")]
    observed_generation: Annotated[
        int, Field(ge=0, description="metadata.generation this was observed at.")
    ]
    last_transition_time: Annotated[
        Timestamp, Field(description="When status last changed (RFC 3339).")
    ]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime:
    """A Kubernetes timestamp as an aware datetime."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def find(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of that type, if it is there."""
    return next((c for c in conditions if c.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition of that type is there and True."""
    found = find(conditions, kind)
    return found is not None and found.status is Status.TRUE


def set_condition(
    conditions: tuple[Condition, ...],
    kind: ConditionType,
    status: Status | bool,  # noqa: FBT001 - setting it is what the call is about
    reason: str,
    message: str,
    *,
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions with one replaced or added; its transition time moves only with its status."""
    if isinstance(status, bool):
        status = Status.TRUE if status else Status.FALSE
    old = find(conditions, kind)
    since = old.last_transition_time if old and old.status == status else timestamp(now)
    new = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message[:2048],
        observed_generation=generation,
        last_transition_time=since,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if c.type == kind else c for c in conditions)


def drop_condition(conditions: tuple[Condition, ...], kind: ConditionType) -> tuple[Condition, ...]:
    """The conditions without that type."""
    return tuple(c for c in conditions if c.type != kind)
