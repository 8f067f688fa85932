"""What /openapi.json says beyond the routes: schemas of bodies and problems, security, streams."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from penstock_runtime.gateway import (
    bodies,
    compensation_documents,
    copy_documents,
    decisions,
    documents,
    effect_documents,
    event_documents,
    log_documents,
    model_documents,
    problems,
    searching,
    seeking,
    streams,
)

OVERVIEW: Final = (
    "Submit tasks to agents, follow them, and read their results. Every error is a problem "
    "document (RFC 9457) whose `type` is stable. 202 means that the task survives a crash of "
    "every process."
)
_SCHEMAS: Final = "#/components/schemas/"
_EVERY_CALL: Final = (
    "unauthorized",
    "too-many-unknown-tokens",
    "identity-unavailable",
    "store-unavailable",
    "internal-error",
    "store-refused",
)
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of the gateway's tokens file or, where the gateway reviews tokens of "
    "the cluster, one that the API server issued for the gateway's audience. Its holder then needs "
    "a verb on `agents/tasks` of `penstock.dev`: `create` to submit, `get` to read, `delete` to "
    "cancel, `list` for the tasks of all tenants, `approve` to decide on calls that wait.",
}
_STREAM: Final = {
    "description": "Server-sent events; the data of each is an Event. Ends after `finished`.",
    "schema": {"type": "string"},
}


def _in_path(name: str, meaning: str) -> dict[str, Any]:
    place = {"name": name, "in": "path", "required": True, "description": meaning}
    return {**place, "schema": {"type": "string"}}


# Handlers read these from the path themselves: FastAPI's way costs a fifth of the whole request.
_AGENT: Final = [
    _in_path("namespace", "Namespace of the Agent."),
    _in_path("agent", "Name of the Agent."),
]
_TASK: Final = [_in_path("task", "Id of the task.")]

TASK_REQUEST: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"At most {bodies.MAX_BODY_BYTES:,} bytes, nested at most "
        f"{bodies.MAX_DEPTH} levels deep.",
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}TaskRequest"}}},
    },
    "parameters": [
        *_AGENT,
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same as the field idempotencyKey; where both are given, they must "
            "be equal.",
            "schema": {"type": "string", "minLength": 1, "maxLength": bodies.MAX_KEY_LENGTH},
        },
        {
            "name": "traceparent",
            "in": "header",
            "description": "W3C trace context that the task belongs to.",
            "schema": {"type": "string"},
        },
    ],
}
RESUME: Final[dict[str, Any]] = {
    "parameters": [
        *_TASK,
        {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "Only events after the one with this id.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,20}(-[0-9]{1,20})?$"},
        },
    ]
}
TASK: Final[dict[str, Any]] = {"parameters": _TASK}
SEARCH: Final[dict[str, Any]] = {
    "parameters": [
        *_AGENT,
        *(
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
            for name, meaning in searching.PARAMETERS.items()
        ),
    ]
}

BUDGET: Final[dict[str, Any]] = {
    "parameters": [
        *_AGENT,
        {
            "name": "user",
            "in": "query",
            "description": "Adds the windows of this user of the caller's tenant; empty: those of "
            "tasks without a user.",
            "schema": {"type": "string"},
        },
    ]
}
MODELS: Final[dict[str, Any]] = {"parameters": _AGENT}
_ESCALATION: Final = [_in_path("escalation", "Id of the escalation.")]
ESCALATION: Final[dict[str, Any]] = {"parameters": _ESCALATION}
ESCALATIONS: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
        for name, meaning in seeking.PARAMETERS.items()
    ]
}
DECISION: Final[dict[str, Any]] = {
    "parameters": _ESCALATION,
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}DecisionRequest"}}},
    },
}

TAKE_OVER: Final[dict[str, Any]] = {
    "parameters": _TASK,
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}TakeOverRequest"}}},
    },
}
RETRY: Final[dict[str, Any]] = {
    "parameters": _TASK,
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}RetryRequest"}}},
    },
}
COMPENSATIONS: Final[dict[str, Any]] = {
    "parameters": _AGENT,
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"{_SCHEMAS}CompensationRequest"}}},
    },
}
USER: Final[dict[str, Any]] = {
    "parameters": [*_AGENT, _in_path("user", "The user, as tasks were submitted for him.")]
}
EFFECTS: Final[dict[str, Any]] = {
    "parameters": [
        *_AGENT,
        *(
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
            for name, meaning in seeking.EFFECT_PARAMETERS.items()
        ),
    ]
}

ROWS: Final[dict[str, Any]] = {
    "parameters": [
        *_AGENT,
        *(
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
            for name, meaning in seeking.ROW_PARAMETERS.items()
        ),
    ]
}
COPIES: Final[dict[str, Any]] = {
    "parameters": [
        *_AGENT,
        *(
            {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
            for name, meaning in seeking.COPY_PARAMETERS.items()
        ),
    ]
}

Responses = dict[int | str, dict[str, Any]]


def answer(description: str, schema: str, *, streamed: bool = False) -> dict[str, Any]:
    """A successful answer: a JSON document of a named schema, or a stream of events too."""
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _SCHEMAS + schema}}}
    if streamed:
        content[streams.MEDIA_TYPE] = _STREAM
    return {"description": description, "content": content}


def refusals(*slugs: str) -> Responses:
    """The problems a call can answer with, by status, beside those of every call."""
    found: dict[int | str, list[problems.Kind]] = {}
    for slug in (*slugs, *_EVERY_CALL):
        kind = problems.KINDS[slug]
        found.setdefault(kind.status, []).append(kind)
    return {status: _refusal(kinds) for status, kinds in found.items()}


def _refusal(kinds: list[problems.Kind]) -> dict[str, Any]:
    schema = {"$ref": f"{_SCHEMAS}Problem"}
    return {
        "description": "; ".join(f"`{kind.slug}`: {kind.title}" for kind in kinds),
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, built once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    described = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    described["components"] = {
        "schemas": _schemas(),
        "securitySchemes": {"bearer": _BEARER},
    }
    for path, operations in described["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # bodies are checked here, with a 400
            if path.startswith("/v1/"):
                operation["security"] = [{"bearer": []}]
    return described


def _schemas() -> dict[str, Any]:
    _, schemas = models_json_schema(
        [
            (bodies.TaskRequest, "validation"),
            (decisions.DecisionRequest, "validation"),
            (decisions.TakeOverRequest, "validation"),
            (decisions.RetryRequest, "validation"),
            (decisions.CompensationRequest, "validation"),
            (documents.Task, "serialization"),
            (documents.Escalation, "serialization"),
            (documents.EscalationList, "serialization"),
            (effect_documents.EffectList, "serialization"),
            (log_documents.RowList, "serialization"),
            (copy_documents.DifferingCopyList, "serialization"),
            (model_documents.ModelList, "serialization"),
            (compensation_documents.CompensationList, "serialization"),
            (documents.Erased, "serialization"),
            (event_documents.EventList, "serialization"),
            (documents.TaskList, "serialization"),
            (documents.Budget, "serialization"),
            (documents.Problem, "serialization"),
        ],
        ref_template=_SCHEMAS + "{model}",
    )
    definitions: dict[str, Any] = schemas["$defs"]
    return definitions
