"""Problem documents (RFC 9457): every error a caller can get, with its status and meaning."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from penstock import errors

MEDIA_TYPE: Final = "application/problem+json"
_TYPES: Final = "https://penstock.dev/problems/"


@dataclass(frozen=True)
class Kind:
    """One kind of problem: the last part of its ``type``, its HTTP status, its title."""

    slug: str
    status: int
    title: str


def _by_slug(*kinds: Kind) -> Mapping[str, Kind]:
    return MappingProxyType({kind.slug: kind for kind in kinds})


KINDS: Final = _by_slug(
    Kind("invalid-body", 400, "The body cannot be used"),
    Kind("input-too-long", 400, "The input is longer than the agent accepts"),
    Kind("invalid-event-id", 400, "The event id cannot be used"),
    Kind("unauthorized", 401, "A valid bearer token is required"),
    Kind("agent-forbidden", 403, "The caller may not do this with the agent's tasks"),
    Kind("agent-not-found", 404, "There is no such agent"),
    Kind("task-not-found", 404, "There is no such task"),
    Kind("route-not-found", 404, "There is no such resource"),
    Kind("method-not-allowed", 405, "The resource does not know this method"),
    Kind("idempotency-key-reused", 409, "The idempotency key belongs to another task"),
    Kind("body-too-large", 413, "The body is too large"),
    Kind("unsupported-media-type", 415, "The body must be JSON"),
    Kind("internal-error", 500, "The gateway failed"),
    Kind("agent-suspended", 503, "The agent is suspended"),
    Kind("no-route", 503, "The agent serves nobody yet"),
    Kind("identity-unavailable", 503, "Nobody can say now who the caller is"),
    Kind("store-unavailable", 503, "The store does not answer"),
)
_UNKNOWN: Final = KINDS["internal-error"]


class Problem(errors.PenstockError):
    """An answer that is an error.

    Args:
        slug: the key of its kind.
        detail: one sentence for people.
        headers: what the answer carries besides, such as Retry-After.
    """

    def __init__(self, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.kind = KINDS.get(slug, _UNKNOWN)
        self.detail = detail
        self.headers = headers or {}

    def document(self, instance: str, trace_id: str) -> dict[str, Any]:
        """The problem as callers read it; ``instance`` is the path that was asked for."""
        return {
            "type": _TYPES + self.kind.slug,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "traceId": trace_id,
        }

    def body(self, instance: str, trace_id: str) -> bytes:
        """The document as bytes."""
        return json.dumps(self.document(instance, trace_id)).encode()


def refused(refusal: errors.AdmissionRefused, input_chars: int) -> Problem:
    """The problem of a task that was not admitted; its input had so many characters."""
    detail = f"{refusal.detail[:1].upper()}{refusal.detail[1:]}."
    if refusal.problem == "input-too-long":
        detail = f"The input has {input_chars:,} characters: {refusal.detail}."
    return Problem(refusal.problem, detail, _retry_after(refusal.retry_after_seconds))


def store_unavailable() -> Problem:
    """The problem while Redis does not answer."""
    return Problem(
        "store-unavailable",
        "Redis did not answer in time; nothing was accepted unless a task was returned.",
        _retry_after(2),
    )


def identity_unavailable(retry_after_seconds: int) -> Problem:
    """The problem while the API server does not review the caller's token or rights."""
    return Problem(
        "identity-unavailable",
        "The API server did not review this token or its rights in time; nothing was accepted.",
        _retry_after(retry_after_seconds),
    )


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}
