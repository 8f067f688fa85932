"""Problem documents (RFC 9457): every error a caller can get, with its status and meaning."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from penstock import errors
from penstock_runtime.gateway import plain

MEDIA_TYPE: Final = "application/problem+json"
MAX_DETAIL: Final = 1000  # characters
MAX_INSTANCE: Final = 256
_TYPES: Final = "https://penstock.dev/problems/"
# Redis' own codes, and the words behind those that its client takes away.
_CODES: Final = {
    "OOM": re.compile(r"\bOOM\b|used memory > 'maxmemory'"),
    "READONLY": re.compile(r"\bREADONLY\b|read only replica"),
    "LOADING": re.compile(r"\bLOADING\b|loading the dataset"),
    "MASTERDOWN": re.compile(r"\bMASTERDOWN\b|Link with MASTER is down"),
    "NOREPLICAS": re.compile(r"\bNOREPLICAS\b|Not enough good replicas"),
    "MISCONF": re.compile(r"\bMISCONF\b"),
    "BUSY": re.compile(r"\bBUSY\b"),
    "NOPERM": re.compile(r"\bNOPERM\b|has no permissions|can't run this command"),
}
_RETRY_SECONDS: Final = 2
_FULL_RETRY_SECONDS: Final = 30
_CALLER_RETRY_SECONDS: Final = 5
_OTHER_RIGHTS: Final = (
    "that user has the rights of another version, and gets those of this one with its ACL file"
)
_NOTHING_ACCEPTED: Final = "nothing was accepted unless a task was returned"


@dataclass(frozen=True)
class Kind:
    """One kind of problem: the last part of its ``type``, HTTP status, title, and what to do."""

    slug: str
    status: int
    title: str
    remedy: str


def _by_slug(*kinds: Kind) -> Mapping[str, Kind]:
    return MappingProxyType({kind.slug: kind for kind in kinds})


_LATER: Final = "Try again after Retry-After."
_SAME_KEY: Final = "Send the same request again after Retry-After, with its idempotency key."

KINDS: Final = _by_slug(
    Kind("malformed-request", 400, "The request is not HTTP/1.1", "Mend the client."),
    Kind("invalid-body", 400, "The body cannot be used", "Mend the field that the detail names."),
    Kind(
        "invalid-idempotency-key",
        400,
        "The idempotency key cannot be used",
        "Give one key, in the header Idempotency-Key or in the field idempotencyKey.",
    ),
    Kind(
        "input-too-long",
        400,
        "The input is longer than the agent accepts",
        "Shorten the input, or raise limits.inputChars of the Agent.",
    ),
    Kind(
        "invalid-event-id",
        400,
        "The event id cannot be used",
        "Send the id of the last event that was read, or no Last-Event-ID.",
    ),
    Kind(
        "invalid-query",
        400,
        "The query cannot be used",
        "Mend the parameter that the detail names.",
    ),
    Kind(
        "invalid-arguments",
        400,
        "The changed arguments do not fit the tool",
        "Mend what the detail names, or approve the model's own arguments.",
    ),
    Kind("unauthorized", 401, "A valid bearer token is required", "Send a token that is valid."),
    Kind(
        "agent-forbidden",
        403,
        "The caller may not do this with the agent's tasks",
        "Ask for the right that the detail names.",
    ),
    Kind(
        "approval-forbidden",
        403,
        "The caller may not decide on this call",
        "Have somebody decide who is in the groups that the detail names, and has not submitted the task.",
    ),
    Kind("agent-not-found", 404, "There is no such agent", "Check namespace and name."),
    Kind("task-not-found", 404, "There is no such task", "Check the id, and whose token is sent."),
    Kind(
        "task-expired",
        404,
        "The task is kept no longer",
        "Read a task within the time for which ended tasks are kept, or have it kept longer.",
    ),
    Kind(
        "escalation-not-found",
        404,
        "There is no such escalation",
        "Check the id, and whose token is sent; it is kept as long as its task.",
    ),
    Kind(
        "link-invalid",
        404,
        "The link opens nothing",
        "Open the newest link, or decide with a token of your own.",
    ),
    Kind("route-not-found", 404, "There is no such resource", "Check method and path."),
    Kind("method-not-allowed", 405, "The resource does not know this method", "See Allow."),
    Kind(
        "request-timeout",
        408,
        "The request did not come in time",
        "Send headers and body without a pause, on a new connection.",
    ),
    Kind(
        "idempotency-key-reused",
        409,
        "The idempotency key belongs to another task",
        "Use a new key for another content.",
    ),
    Kind(
        "session-of-another-revision",
        409,
        "The session is on another revision",
        "Preview without a session, or begin another one.",
    ),
    Kind(
        "preview-unavailable",
        409,
        "The revision takes no preview",
        "Do what the detail says, or choose another revision.",
    ),
    Kind(
        "session-of-another-user",
        409,
        "The session belongs to another user",
        "Begin another session, or begin it with sharedSession when several users share it.",
    ),
    Kind(
        "escalation-decided",
        409,
        "It was decided before",
        "Read it: it says who decided, and how.",
    ),
    Kind(
        "escalation-differs",
        409,
        "It does not fit an approval that was given before",
        "Read it: approve it with the same arguments, deny it, or leave it to somebody else.",
    ),
    Kind(
        "escalation-not-remembered",
        409,
        "An approval of this call holds for no further calls",
        "Approve it without remember.",
    ),
    Kind("task-not-ended", 409, "The task has not ended", "Wait for its end, or cancel it."),
    Kind(
        "task-acted",
        409,
        "The task has made calls that change something",
        "Look at its effects, and say evenIfActed where the new task may make them again.",
    ),
    Kind(
        "escalation-unconfirmed",
        409,
        "It is not certain that this is the call which is meant",
        "Read it, its doubt and its arguments, and send its digest with the decision.",
    ),
    Kind("link-expired", 410, "The link's time is over", "Decide with a token of your own."),
    Kind("body-too-large", 413, "The body is too large", "Send less."),
    Kind("url-too-long", 414, "The URL is too long", "Send a shorter path and query."),
    Kind("unsupported-media-type", 415, "The body must be JSON", "Send application/json."),
    Kind(
        "session-queue-full",
        429,
        "The session has as many tasks waiting as it may have",
        "Wait for the end of the session's tasks; " + _SAME_KEY[0].lower() + _SAME_KEY[1:],
    ),
    Kind(
        "budget-exceeded",
        429,
        "A budget of the agent, its user or its tenant is spent",
        "Wait as Retry-After says: until the window is over; or raise the budget that the detail names.",
    ),
    Kind(
        "rate-exceeded",
        429,
        "The user or the tenant submits more tasks than it may",
        "Wait as Retry-After says: until the minute ends; or raise the rate that the detail names.",
    ),
    Kind("too-many-sessions", 429, "The agent has as many sessions as it may have", _LATER),
    Kind(
        "too-many-streams",
        429,
        "The caller follows as many tasks as a caller may",
        "Close streams that nobody reads; then as Retry-After says.",
    ),
    Kind(
        "too-many-waits",
        429,
        "The caller waits for as many tasks as a caller may",
        "Submit without wait and follow the task, or try again after Retry-After.",
    ),
    Kind(
        "too-many-unknown-tokens",
        429,
        "Too many unknown tokens come from this address",
        "Send a token that is valid; one that was accepted lately is not held up.",
    ),
    Kind("headers-too-large", 431, "The headers are too large", "Send fewer or shorter headers."),
    Kind("internal-error", 500, "The gateway failed", "Report it with its trace id."),
    Kind(
        "store-refused",
        500,
        "What is stored of it cannot be used",
        "Look for the trace id in the gateway's log, and for who else writes to the agent's keys.",
    ),
    Kind("agent-suspended", 503, "The agent is suspended", "Wait until it is resumed."),
    Kind("no-route", 503, "The agent serves nobody yet", _LATER),
    Kind(
        "not-assigned",
        503,
        "The agent's first revision does not serve this user yet",
        "Wait as Retry-After says, or longer: it is given to more users step by step, or to nobody any more.",
    ),
    Kind("queue-full", 503, "The agent's queue is full", _SAME_KEY),
    Kind("identity-unavailable", 503, "Nobody can say now who the caller is", _LATER),
    Kind("store-unavailable", 503, "The store does not answer", _SAME_KEY),
    Kind("store-full", 503, "The store has no memory left", _SAME_KEY),
    Kind("gateway-busy", 503, "The gateway holds as much as it can", _LATER),
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
            "detail": plain.shortened(self.detail, MAX_DETAIL),
            "instance": plain.shortened(instance, MAX_INSTANCE),
            "traceId": trace_id,
        }

    def body(self, instance: str, trace_id: str) -> bytes:
        """The document as bytes."""
        return plain.encoded(self.document(instance, trace_id))


def refused(refusal: errors.AdmissionRefused, input_chars: int) -> Problem:
    """The problem of a task that was not admitted; its input had so many characters."""
    detail = f"{refusal.detail[:1].upper()}{refusal.detail[1:].rstrip('.')}."
    if refusal.problem == "input-too-long":
        detail = f"The input has {input_chars:,} characters: {refusal.detail}."
    return Problem(refusal.problem, detail, _retry_after(refusal.retry_after_seconds))


def store_unavailable(error: errors.StoreUnavailable) -> Problem:
    """The problem while Redis does not answer, or answers that it cannot do it now."""
    code = next((code for code, words in _CODES.items() if words.search(str(error))), "")
    if code == "OOM":
        detail = f"Redis has reached its memory limit; {_NOTHING_ACCEPTED}."
        return Problem("store-full", detail, _retry_after(_FULL_RETRY_SECONDS))
    if code == "NOPERM":
        detail = f"Redis does not allow the gateway's user to do this: {_OTHER_RIGHTS}; {_NOTHING_ACCEPTED}."
        return Problem("store-unavailable", detail, _retry_after(_FULL_RETRY_SECONDS))
    said = f"answered that it cannot do this now ({code})" if code else "did not answer in time"
    detail = f"Redis {said}; {_NOTHING_ACCEPTED}."
    return Problem("store-unavailable", detail, _retry_after(_RETRY_SECONDS))


def store_refused() -> Problem:
    """The problem of one task or agent of which Redis holds something that cannot be used."""
    return Problem(
        "store-refused",
        "What Redis holds of this task or agent cannot be used; the trace id finds it in the log.",
    )


def too_many(slug: str, doing: str, most: int) -> Problem:
    """The problem of a caller who does something as often as he may at a time."""
    detail = f"This caller {doing} {most:,} tasks at this gateway already, as many as a caller may."
    return Problem(slug, detail, _retry_after(_CALLER_RETRY_SECONDS))


def unknown_tokens() -> Problem:
    """The problem of an address that has sent too many tokens which nobody knows."""
    detail = "Too many tokens from this address were refused lately; this one was not looked at."
    return Problem("too-many-unknown-tokens", detail, _retry_after(_RETRY_SECONDS))


def identity_unavailable(retry_after_seconds: int) -> Problem:
    """The problem while the API server does not review the caller's token or rights."""
    return Problem(
        "identity-unavailable",
        "The API server did not review this token or its rights in time; nothing was accepted.",
        _retry_after(retry_after_seconds),
    )


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}
