"""A tool of an agent: what it is called, what it does to the world, and how it is reached."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from penstock.api.fields import Block, ObjectName, Opaque
from penstock.api.oversight import RULES_GO_WITH_WHEN, WHEN_HAS_RULES, Approval, ApprovalMode


class Effect(StrEnum):
    """What calling a tool does to the world; decides whether a call may be repeated."""

    READ_ONLY = "ReadOnly"
    IDEMPOTENT = "Idempotent"
    IRREVERSIBLE = "Irreversible"


class ToolShadow(StrEnum):
    """Whether copies of tasks, on which a canary is tried unseen, may call a tool that is ReadOnly."""

    AUTO = "Auto"
    DISABLED = "Disabled"


class HTTPMethod(StrEnum):
    """How a tool's endpoint is called."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class SecretRef(Block):
    """A Secret in the Agent's namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]


class HTTPEndpoint(Block):
    """An HTTP endpoint that carries out a tool: the input goes out as JSON, the body comes back."""

    method: Annotated[
        HTTPMethod, Field(description="HTTP method; GET and DELETE send the input as query.")
    ] = HTTPMethod.POST
    url: Annotated[
        str,
        Field(max_length=2048, pattern=r"^https?://[^\s/]\S*$", description="Address to call."),
    ]
    headers_from_secret_ref: Annotated[
        SecretRef | None,
        Field(description="Secret whose keys and values are sent as headers with each call."),
    ] = None


#: Where an argument of a compensation comes from: an argument of the call, or what its tool answered.
Source = Annotated[str, Field(max_length=256, pattern=r"^(arguments|result)(\.[^.]+)+$")]


class Compensation(Block):
    """How a call of a tool is undone: by a call of another one."""

    tool: Annotated[
        str,
        Field(
            pattern=r"^[a-zA-Z0-9_-]{1,64}$",
            max_length=64,
            description="The tool that undoes it, as the stable revision declares it.",
        ),
    ]
    arguments: Annotated[
        dict[str, Source],
        Field(
            max_length=16,
            description="Its arguments, each from an argument of the call (arguments.NAME) or from what the tool "
            "has answered in JSON (result.NAME). They are kept in clear with each effect, within 1 KiB.",
        ),
    ] = {}


class Tool(Block):
    """Something the model may ask to be done."""

    name: Annotated[
        str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$", max_length=64, description="Name of the tool.")
    ]
    description: Annotated[
        str, Field(max_length=4096, description="What the tool does, for the model.")
    ] = ""
    input_schema: Annotated[
        dict[str, Any],
        Opaque(),
        Field(description="JSON Schema of the input, at most 16 KiB; checked before each call."),
    ]
    effect: Annotated[
        Effect,
        Field(
            description="ReadOnly calls of one reply are made at the same time, others one by one; "
            "ReadOnly and Idempotent calls may be repeated after a crash; "
            "an Irreversible call whose result is unknown is not, the task escalates."
        ),
    ] = Effect.IRREVERSIBLE
    approval: Annotated[
        Approval | None,
        WHEN_HAS_RULES,
        RULES_GO_WITH_WHEN,
        Field(description="Whether a person must agree; Irreversible tools: Always when absent."),
    ] = None
    amount_from: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=256,
            description="The argument that says how much a call is worth, a number; a dot leads into an "
            "object. It is written down in clear with each effect. Absent: nothing is.",
        ),
    ] = None
    compensate: Annotated[
        Compensation | None,
        Field(
            description="How a call is undone after a rollback, where a person asks for it. Absent: it is not."
        ),
    ] = None
    shadow: Annotated[
        ToolShadow | None,
        Field(
            description="Auto: a copy of a task (strategy.shadow) calls it where it is ReadOnly. Disabled: no copy "
            "does, whichever of both revisions says so; it hears what stable's task was told by the same call, else it "
            "ends there. Absent: Auto."
        ),
    ] = None
    timeout_seconds: Annotated[
        int, Field(ge=1, le=600, description="Longest wait for one call, in seconds.")
    ] = 10
    max_output_bytes: Annotated[
        int,
        Field(ge=1, le=1048576, description="Longer output is cut, and the model is told."),
    ] = 65536
    http: Annotated[HTTPEndpoint, Field(description="The HTTP endpoint that does it.")]

    @property
    def approval_mode(self) -> ApprovalMode:
        """When a person must agree: as declared, else before each call of an Irreversible tool."""
        if self.approval is not None:
            return self.approval.mode
        return ApprovalMode.ALWAYS if self.effect is Effect.IRREVERSIBLE else ApprovalMode.NONE

    @property
    def is_kept_from_copies(self) -> bool:
        """Whether no copy of a task may call it, though it be ReadOnly."""
        return self.shadow is ToolShadow.DISABLED

    @property
    def headers_secret(self) -> SecretRef | None:
        """The Secret whose keys and values go out as headers with each call."""
        return self.http.headers_from_secret_ref
