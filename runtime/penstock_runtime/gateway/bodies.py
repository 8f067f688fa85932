"""The body of a submission: read within bounds, checked field by field, refused in one sentence.

``TaskRequest`` is both the check and the schema in /openapi.json, so the two cannot differ.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from penstock.task import Priority, Submission
from penstock_runtime.gateway.problems import Problem

MAX_BODY_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_WAIT_SECONDS: Final = 300
MAX_METADATA_ENTRIES: Final = 32

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES_AND_TABS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def _refuse(pattern: re.Pattern[str], text: str) -> str:
    if found := pattern.search(text):
        code, at = f"U+{ord(found[0]):04X}", found.start()
        raise PydanticCustomError(
            "control_character",
            "contains the control character {code} at position {at}",
            {"code": code, "at": at},
        )
    return text


def _one_line(text: str) -> str:
    return _refuse(_CONTROL, text)


def _prose(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be empty or blank")
    return _refuse(_CONTROL_BUT_LINES_AND_TABS, text)


_OneLine = AfterValidator(_one_line)
Name = Annotated[str, Field(max_length=256), _OneLine]


class TaskRequest(BaseModel):
    """What a caller asks an agent to do."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        title="TaskRequest",
        json_schema_extra={"example": {"input": "Where is my order?", "user": "u-17", "wait": 30}},
    )

    input: Annotated[
        str,
        Field(
            description="What the agent is asked. Not blank; at most the agent's limits.inputChars "
            "characters; no control characters but line feed, carriage return and tab.",
        ),
        AfterValidator(_prose),
    ]
    user: Annotated[
        Name, Field(description="For whom the task is; each user stays on one revision.")
    ] = ""
    session: Annotated[
        Name,
        Field(description="A conversation: its tasks share a history and run one after another."),
    ] = ""
    type: Annotated[Name, Field(description="A label of the caller's own kind of task.")] = ""
    priority: Annotated[Priority, Field(description="Lane of the queue.")] = Priority.NORMAL
    idempotency_key: Annotated[
        str,
        Field(
            max_length=255,
            description="The same key with the same input, user, session, type and metadata "
            "returns the first task; with others it is refused with 409.",
        ),
        _OneLine,
    ] = ""
    wait: Annotated[
        float,
        Field(
            ge=0,
            le=MAX_WAIT_SECONDS,
            allow_inf_nan=False,
            description="How many seconds to wait for the task's end before answering.",
        ),
    ] = 0
    metadata: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=64), _OneLine],
            Annotated[str, Field(max_length=512), _OneLine],
        ],
        Field(max_length=MAX_METADATA_ENTRIES, description="The caller's own notes on the task."),
    ] = {}

    def submission(self, tenant: str, trace_id: str) -> Submission:
        """The request as the store takes it."""
        return Submission(
            input=self.input,
            tenant=tenant,
            user=self.user,
            session=self.session,
            type=self.type,
            priority=self.priority,
            idempotency_key=self.idempotency_key,
            metadata=self.metadata,
            trace_id=trace_id,
        )


async def read_body(chunks: AsyncIterator[bytes], content_length: str | None) -> bytes:
    """The whole body; no more of it is read than is allowed.

    Raises:
        Problem: body-too-large.
    """
    if content_length and content_length.isdecimal() and int(content_length) > MAX_BODY_BYTES:
        raise _too_large()
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    # What is left of the body stays unread, so the connection cannot be used again.
    detail = f"The body may have at most {MAX_BODY_BYTES:,} bytes."
    return Problem("body-too-large", detail, {"Connection": "close"})


def check_media_type(content_type: str | None) -> None:
    """Refuse a body that does not say that it is JSON (in UTF-8).

    Raises:
        Problem: unsupported-media-type.
    """
    media_type, _, parameters = (content_type or "").lower().partition(";")
    charset = parameters.replace('"', "").partition("charset=")[2].strip()
    if media_type.strip() != "application/json" or charset not in ("", "utf-8"):
        said = f"it says {content_type!r}" if content_type else "it says nothing"
        raise Problem(
            "unsupported-media-type",
            f"The header Content-Type must be application/json; {said}.",
            {"Accept-Post": "application/json"},
        )


def parse(body: bytes) -> TaskRequest:
    """The request in a body.

    Raises:
        Problem: invalid-body; the detail names the field and what is wrong with it.
    """
    if not body.strip():
        raise _invalid("The body is empty; it must be a JSON object with the field input.")
    if is_deeper_than(body, MAX_DEPTH):
        raise _invalid(
            f"The body is nested more than {MAX_DEPTH} levels deep, or its brackets do not match."
        )
    try:
        return TaskRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=True)[0]
    raise _invalid(_not_utf8(body) or _sentence(first))


def is_deeper_than(body: bytes, levels: int) -> bool:
    """Whether JSON text nests its arrays and objects deeper, or its brackets do not match.

    Brackets in strings do not count. Each step is linear: no text makes it slow.
    """
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(_ONE_KIND, _NO_BRACKETS)
    for _ in range(levels):
        outer = brackets.replace(b"[]", b"")  # without the innermost level
        if len(outer) == len(brackets):
            break
        brackets = outer
    return bool(brackets)


def _invalid(detail: str) -> Problem:
    return Problem("invalid-body", detail)


def _not_utf8(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not UTF-8: byte {error.start} cannot be decoded."
    return ""


def _sentence(error: ErrorDetails) -> str:
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "json_invalid":
            return f"The body is not JSON: {context['error']}."
        case "model_type" | "model_attributes_type":
            return "The body must be a JSON object."
        case "missing":
            return f"The field {field} is required."
        case "extra_forbidden":
            return f"The field {field} is not known; known are {_known_fields()}."
        case "string_too_long" | "too_long" as what:
            unit = "entries" if what == "too_long" else "characters"
            has, allowed = len(error["input"]), context["max_length"]
            return f"{field}: has {has:,} {unit}, at most {allowed:,} are allowed."
    message = error["msg"].removeprefix("Input ").replace("should", "must", 1).rstrip(".")
    return f"{field}: {message[0].lower()}{message[1:]}."


def _known_fields() -> str:
    return ", ".join(str(field.alias) for field in TaskRequest.model_fields.values())
