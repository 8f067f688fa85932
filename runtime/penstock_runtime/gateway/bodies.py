"""The body of a submission: read within bounds, checked field by field, refused in one sentence.

``TaskRequest`` is both the check and the schema in /openapi.json, so the two cannot differ.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from penstock.task import Priority, Submission
from penstock_runtime.gateway import plain
from penstock_runtime.gateway.problems import Problem

MAX_BODY_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_WAIT_SECONDS: Final = 300
MAX_METADATA_ENTRIES: Final = 32
MAX_NAME_LENGTH: Final = 256
MAX_KEY_LENGTH: Final = 255
MAX_SHOWN: Final = 100  # characters of what was sent, in the words about it

# What some reader on the way (a header, a terminal, YAML) refuses or takes for the end of a line.
_NONCHARACTERS: Final = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17)
)
_NO_NAME: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_NONCHARACTERS}]")
_NO_PROSE: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f{_NONCHARACTERS}]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


def _refuse(pattern: re.Pattern[str], text: str) -> str:
    if found := pattern.search(text):
        code, at = f"U+{ord(found[0]):04X}", found.start()
        kind = "control" if ord(found[0]) < 0xA0 else "unusable"
        raise PydanticCustomError(
            "control_character",
            "contains the {kind} character {code} at position {at}",
            {"kind": kind, "code": code, "at": at},
        )
    return text


def _one_line(text: str) -> str:
    return _refuse(_NO_NAME, text)


def _prose(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be empty or blank")
    return _refuse(_NO_PROSE, text)


_OneLine = AfterValidator(_one_line)
Prose = Annotated[str, AfterValidator(_prose)]
_Body = TypeVar("_Body", bound=BaseModel)
Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH), _OneLine]
Key = Annotated[str, Field(max_length=MAX_KEY_LENGTH), _OneLine]


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
        Field(
            description="A conversation: its tasks share a history and run one after another. Begun "
            "with a user, it belongs to that user: others are refused with 409."
        ),
    ] = ""
    shared_session: Annotated[
        bool,
        Field(
            description="In the first task of a session: other users may go on with it. Not together with revision."
        ),
    ] = False
    type: Annotated[Name, Field(description="A label of the caller's own kind of task.")] = ""
    priority: Annotated[Priority, Field(description="Lane of the queue.")] = Priority.NORMAL
    idempotency_key: Annotated[
        Key,
        Field(
            description="The same key with the same input, user, session, type, revision and metadata "
            "returns the first task; with others it is refused with 409. The header "
            "Idempotency-Key says the same.",
        ),
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
    revision: Annotated[
        Name,
        Field(
            description="A preview: the task goes to the revision of this name, hash (or its beginning) or declared version, whoever serves "
            "its user by now, and counts for no comparison. It takes the verb preview. Its tools are really called."
        ),
    ] = ""

    def submission(
        self, tenant: str, trace_id: str, submitter: str = "", revision: str = ""
    ) -> Submission:
        """The request as the store takes it; ``submitter`` is who asks, ``revision`` the hash of the one that is chosen."""
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
            shared_session=self.shared_session,
            submitter=submitter,
            revision=revision,
            chosen=self.revision,
        )

    @model_validator(mode="after")
    def _shared_by_no_preview(self) -> "TaskRequest":
        """Others who go on with a session would be asked of a revision that they have not chosen."""
        if self.revision and self.shared_session:
            raise PydanticCustomError(
                "shared_preview",
                "sharedSession does not go with revision: others who go on with the session would be answered by "
                "a revision that somebody else has chosen",
            )
        return self


_KEY: Final = TypeAdapter(Key)


def with_key(wanted: TaskRequest, headers: Sequence[str]) -> TaskRequest:
    """The request with the idempotency key of its headers, where there are any.

    Args:
        headers: every value of Idempotency-Key, as Latin-1 of the bytes that were sent.

    Raises:
        Problem: invalid-idempotency-key; it cannot be used, or header and field differ.
    """
    if not headers:
        return wanted
    keys = {_header_key(value) for value in headers}
    if wanted.idempotency_key:
        keys.add(wanted.idempotency_key)
    if len(keys) > 1:
        where = "header and field" if wanted.idempotency_key else "the headers"
        raise _invalid_key(f"The idempotency keys in {where} differ.")
    return wanted.model_copy(update={"idempotency_key": keys.pop()})


def _header_key(value: str) -> str:
    try:
        key = value.encode("latin-1").decode().strip()
    except UnicodeDecodeError:
        raise _invalid_key("The header Idempotency-Key is not UTF-8.") from None
    if not key:
        raise _invalid_key("The header Idempotency-Key is empty.")
    try:
        return _KEY.validate_python(key)
    except ValidationError as error:
        sentence = _sentence(error.errors(include_url=False)[0], TaskRequest)
    raise _invalid_key(f"The header Idempotency-Key{sentence.removeprefix(':')}")


def _invalid_key(detail: str) -> Problem:
    return Problem("invalid-idempotency-key", detail)


async def read_body(chunks: AsyncIterator[bytes], content_length: str | None) -> bytes:
    """The whole body; no more of it is read than is allowed.

    Raises:
        Problem: body-too-large.
    """
    if content_length and content_length.isdecimal() and int(content_length[:20]) > MAX_BODY_BYTES:
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
        shown = plain.one_line(content_type or "", MAX_SHOWN)
        said = f"it says {shown!r}" if content_type else "it says nothing"
        raise Problem(
            "unsupported-media-type",
            f"The header Content-Type must be application/json; {said}.",
            {"Accept-Post": "application/json"},
        )


def parse(body: bytes) -> TaskRequest:
    """The submission in a body; see ``parsed``."""
    return parsed(TaskRequest, body)


def parsed(kind: type[_Body], body: bytes) -> _Body:
    """The request in a body, whose first field is required.

    Raises:
        Problem: invalid-body; the detail names the field and what is wrong with it.
    """
    if not body.strip():
        first = fields_of(kind)[0]
        raise _invalid(f"The body is empty; it must be a JSON object with the field {first}.")
    if is_deeper_than(body, MAX_DEPTH):
        raise _invalid(
            f"The body is nested more than {MAX_DEPTH} levels deep, or its brackets do not match."
        )
    _check_count(kind, body)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=True)[0]
    raise _invalid(_not_utf8(body) or _sentence(problem, kind))


def fields_of(kind: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a body, as they are written."""
    return tuple(str(field.alias) for field in kind.model_fields.values())


def _check_count(kind: type[BaseModel], body: bytes) -> None:
    """Refuse more members than there are, before a complaint is made about each of them."""
    try:
        document = from_json(body)
    except ValueError:
        return  # said below, in words
    if not isinstance(document, dict):
        return
    known = fields_of(kind)
    if unknown := next((name for name in document if name not in known), None):
        raise _invalid(_unknown(unknown, kind))
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and len(metadata) > MAX_METADATA_ENTRIES:
        raise _invalid(_too_long("metadata", len(metadata), MAX_METADATA_ENTRIES, "entries"))


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


def _sentence(error: ErrorDetails, kind: type[BaseModel]) -> str:
    parts = (str(part) for part in error["loc"] if part != "[key]")
    field = plain.one_line(".".join(parts), MAX_SHOWN)
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "json_invalid":
            return f"The body is not JSON: {context['error']}."
        case "model_type" | "model_attributes_type":
            return "The body must be a JSON object."
        case "missing":
            return f"The field {field} is required."
        case "extra_forbidden":
            return _unknown(field, kind)
        case "string_too_long" | "too_long" as what:
            unit = "entries" if what == "too_long" else "characters"
            return _too_long(field, len(error["input"]), context["max_length"], unit)
    message = error["msg"].removeprefix("Input ").replace("should", "must", 1).rstrip(".")
    return f"{field}: {message[0].lower()}{message[1:]}." if field else f"{message}."


def _unknown(field: str, kind: type[BaseModel]) -> str:
    shown = plain.one_line(field, MAX_SHOWN)
    return f"The field {shown} is not known; known are {', '.join(fields_of(kind))}."


def _too_long(field: str, has: int, allowed: int, unit: str) -> str:
    return f"{field}: has {has:,} {unit}, at most {allowed:,} are allowed."
