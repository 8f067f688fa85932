"""The body of a message: a JSON document in which ``${escalation.tool}`` and the like are filled in.

Nothing is computed. What is filled in is one JSON value, or a part of one text: however a model
words its arguments, they add no field, and they are no text of another length than is allowed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock_runtime.gateway import documents, plain

MAX_BODY_BYTES: Final = 16_384  # of a body as it is declared
MOST_PLACEHOLDERS: Final = 100
MAX_TEXT: Final = 2000  # characters of what is filled in; Slack takes 3,000 in a block
MAX_DEPTH: Final = 32
_PLACEHOLDER: Final = re.compile(r"\$(?:\$|\{([^{}]*)\})")
_LINK: Final = "link"
_KNOWN: Final = {
    "event": (),
    "delivery": (),
    "installation": (),
    "command": (),
    _LINK: ("url", "approver", "expiresAt"),
    "escalation": tuple(
        field.alias or name for name, field in documents.EscalationItem.model_fields.items()
    ),
}


def check(body: Mapping[str, Any], *, linked: bool) -> None:
    """Refuse a body that could not be filled in.

    Args:
        body: as it is declared.
        linked: whether the target has an approver, for whom a link is made.

    Raises:
        ValueError: a placeholder is not known, or the body is too large or too deep.
    """
    if len(plain.encoded(body)) > MAX_BODY_BYTES:
        raise ValueError(f"body: it has more than {MAX_BODY_BYTES:,} bytes")
    paths = [
        path for text in _texts(body, MAX_DEPTH) for path in _PLACEHOLDER.findall(text) if path
    ]
    if len(paths) > MOST_PLACEHOLDERS:
        raise ValueError(f"body: it has more than {MOST_PLACEHOLDERS} placeholders")
    for path in paths:
        _check_path(path, linked=linked)


def _check_path(path: str, *, linked: bool) -> None:
    root, _, rest = path.partition(".")
    fields = _KNOWN.get(root)
    if fields is None or (rest and rest.split(".")[0] not in fields) or (fields and not rest):
        raise ValueError(f"body: there is no ${{{plain.shortened(path, 64)}}}")
    if root == _LINK and not linked:
        raise ValueError("body: a link is made for the approver, and the target names none")


def _texts(value: Any, levels: int) -> Iterator[str]:
    if not levels:
        raise ValueError(f"body: it is nested more than {MAX_DEPTH} levels deep")
    match value:
        case str():
            yield value
        case dict():
            for key, each in value.items():
                yield str(key)
                yield from _texts(each, levels - 1)
        case list():
            for each in value:
                yield from _texts(each, levels - 1)


def filled(body: Any, message: Mapping[str, Any]) -> Any:
    """A body with everything filled in that it asks for; what is absent is an empty text."""
    match body:
        case str():
            return _filled_text(body, message)
        case dict():
            return {key: filled(each, message) for key, each in body.items()}
        case list():
            return [filled(each, message) for each in body]
    return body


def _filled_text(text: str, message: Mapping[str, Any]) -> Any:
    alone = _PLACEHOLDER.fullmatch(text)
    if alone and alone[1]:
        return bounded(_value(alone[1], message))
    return _PLACEHOLDER.sub(
        lambda found: _as_text(_value(found[1], message)) if found[1] else "$", text
    )


def _value(path: str, message: Mapping[str, Any]) -> Any:
    value: Any = message
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else value


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return plain.shortened(text, MAX_TEXT)


def bounded(value: Any) -> Any:
    """A value no longer than a message may hold: a long text is cut, what is long otherwise is a text."""
    if isinstance(value, str) or len(json.dumps(value, default=str)) > MAX_TEXT:
        return _as_text(value)
    return value
