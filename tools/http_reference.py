"""The reference pages of the HTTP API and of the ends of a task, made from the gateway's own description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from penstock import meanings
from penstock.task import Counting, OutcomeReason, TaskStatus, counting
from penstock_runtime.gateway import (
    bodies,
    compensating,
    connections,
    description,
    effecting,
    erasing,
    escalating,
    listing,
    modelling,
    places,
    problems,
    retrying,
    routes,
    rowing,
    spending,
)
from reference import HEADER, bounds_of, table, type_of

Described = Mapping[str, Any]

INTRODUCTION = """\
Every call is described in OpenAPI at `/openapi.json` of each gateway; who may call: [callers](gateway-auth.md).
An answer with a task's id means that the task is stored. Send an idempotency key with each submission, in the
header `Idempotency-Key` or in the field `idempotencyKey`: the same request again is then the same task.
"""
BOUNDS = f"""\
Every answer that is refused is a problem document (RFC 9457) whose `type` is `https://penstock.dev/problems/<problem>`. Where
trying again helps, `Retry-After` says after how many seconds.

| bound | value | beyond it |
| --- | --- | --- |
| URL | {connections.MAX_URL_BYTES:,} bytes | 414 `url-too-long` |
| headers, or trailers, of a request | {connections.MAX_HEADER_BYTES:,} bytes, {connections.MAX_HEADERS} lines | 431 `headers-too-large` |
| time to the end of the headers | {connections.HEADERS_SECONDS:g} s | 408 `request-timeout` |
| time from there to the end of the body | {connections.BODY_SECONDS:g} s | 408 `request-timeout` |
| body | {bodies.MAX_BODY_BYTES:,} bytes, {bodies.MAX_DEPTH} levels | 413 `body-too-large`, 400 `invalid-body` |
| time between two requests of a connection | {connections.KEEP_ALIVE_SECONDS:g} s | closed |
| an answer that is not read | {connections.LEAST_READ_BYTES:,} bytes must be read in {connections.STALLED_SECONDS:g} s | closed |
| requests under way, together | {connections.MAX_REQUEST_BYTES:,} bytes | 503 `gateway-busy`; first those are closed that are not whole |
| connections of a gateway | `PENSTOCK_MAX_CONNECTIONS`, 4,096 | the one that asks nothing for longest is closed; else 503 `gateway-busy`, probes excepted |
| connections of an address | `PENSTOCK_MAX_CONNECTIONS_PER_ADDRESS`, 2,048 | the same, among that address |
| streams of a caller at a gateway | `PENSTOCK_STREAMS_PER_CALLER`, {places.STREAMS_PER_CALLER:,} | 429 `too-many-streams` |
| calls of a caller that wait, at a gateway | `PENSTOCK_WAITS_PER_CALLER`, {places.WAITS_PER_CALLER:,} | 429 `too-many-waits` |

A caller is a name of a tenant. Behind an ingress or a load balancer all connections come from few addresses: then raise the bound
of an address to that of the gateway.

A stream that was read to its end is resumed with 204: the task has ended, and no event is left.
`/metrics` and the probes are on the address in `PENSTOCK_METRICS_LISTEN`; while that is empty, `/metrics` is where callers come.
`/healthz`, `/readyz` and `/openapi.json` are there in any case, and say nothing of agents.
"""
PLANNED = """\
An escalation for `Approval`, `Budget`, `Person` or `Restricted` was planned and does not count. An outcome can say itself that it counts for no
revision.

## What an end user reads

`spec.template.messages` has the words that stand in `output` instead of an answer: `escalated` where a task ended `Escalated` (in place
of a part of an answer, too), `blocked` where that was for a `Refusal`, and `unavailable` where it ended `Failed`, `Expired` or
`LimitExceeded` without a part of an answer. `status`, `reason` and `message` are the same with them and without. Words that are absent
leave `output` as it is.
"""


def documents() -> Described:
    """The gateway's own description of its routes."""
    app = FastAPI(title="Penstock gateway", version="v1")
    app.include_router(routes.router)
    app.include_router(listing.router)
    app.include_router(spending.router)
    app.include_router(modelling.router)
    app.include_router(escalating.router)
    app.include_router(effecting.router)
    app.include_router(rowing.router)
    app.include_router(erasing.router)
    app.include_router(retrying.router)
    app.include_router(compensating.router)
    return description.document(app)


def resolved(schema: Described, schemas: Described) -> Described:
    """A schema without references and without the choice of null."""
    if "$ref" in schema:
        return resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return resolved(schema["anyOf"][0], schemas)
    if "items" in schema:
        return {**schema, "items": resolved(schema["items"], schemas)}
    return schema


def field_rows(schema: Described, schemas: Described, path: str = "") -> Iterator[list[str]]:
    """A row for each field of a document, a block before its own fields."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        found, here = resolved(field, schemas), f"{path}{name}"
        kind = type_of(found) + (", required" if not path and name in required else "")
        words = field.get("description") or found.get("description", "")
        yield [f"`{here}`", kind, bounds_of(found), words]
        yield from field_rows(found, schemas, f"{here}.")
        yield from field_rows(found.get("items", {}), schemas, f"{here}[].")


def call_section(method: str, path: str, operation: Described) -> str:
    """One call: what it does, what it reads besides the body, what it answers."""
    headers = [
        [f"`{parameter['name']}`", parameter["in"], parameter["description"]]
        for parameter in operation.get("parameters", ())
    ]
    answers = [
        [str(status), each["description"]]
        for status, each in sorted(operation["responses"].items())
    ]
    return "\n".join(
        [
            f"### `{method.upper()} {path}`\n",
            f"{' '.join(operation['description'].split())}\n",
            table(["parameter", "in", "meaning"], iter(headers)),
            table(["status", "meaning"], iter(answers)),
        ]
    )


def http_page() -> str:
    """docs/reference/http-api.md: every call, document, bound and problem."""
    described = documents()
    schemas = described["components"]["schemas"]
    calls = [
        call_section(method, path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    heads = ["field", "type", "bounds", "meaning"]
    shown = (
        "TaskRequest",
        "Task",
        "EventList",
        "TaskList",
        "DecisionRequest",
        "Escalation",
        "EscalationList",
        "EffectList",
        "ModelList",
    )
    parts = [f"### {name}\n\n{table(heads, field_rows(schemas[name], schemas))}" for name in shown]
    kinds = (
        [f"`{kind.slug}`", str(kind.status), kind.title, kind.remedy]
        for kind in problems.KINDS.values()
    )
    return HEADER + "\n".join(
        [
            "# HTTP API of the gateway\n",
            INTRODUCTION,
            "## Calls\n",
            *calls,
            "## Documents\n",
            *parts,
            "## Bounds\n",
            BOUNDS,
            "## Problems\n",
            table(["problem", "status", "meaning", "what to do"], kinds),
        ]
    )


def counted(status: TaskStatus, reason: OutcomeReason) -> str:
    """How an end counts in a rollout, in words."""
    return {
        Counting.GOOD: "good",
        Counting.ERROR: "an error",
        Counting.ESCALATION: "an escalation",
        Counting.LEFT_OUT: "not at all",
    }[counting(status, reason)]


def status_rows() -> Iterator[list[str]]:
    """A row for each status of a task."""
    for status in TaskStatus:
        counts = counted(status, OutcomeReason.NONE) if status.ended else "–"
        yield [f"`{status.value}`", meanings.STATUSES[status], counts]


def reason_rows() -> Iterator[list[str]]:
    """A row for each reason, the absent one last."""
    for reason in sorted(OutcomeReason, key=lambda reason: not reason.value):
        meaning = meanings.REASONS[reason]
        yield [f"`{reason.value}`" if reason.value else "(empty)", meaning.means, meaning.remedy]


def outcomes_page() -> str:
    """docs/reference/outcomes.md: how a task ends, why, and what to do about it."""
    return HEADER + "\n".join(
        [
            "# How a task ends\n",
            "`status` says where a task is in its life, `outcome.reason` why it ended so, `outcome.message` the details.\n",
            "## Status\n",
            table(["status", "meaning", "counts in a rollout as"], status_rows()),
            PLANNED,
            "## Reason\n",
            table(["reason", "meaning", "what to do"], reason_rows()),
        ]
    )
