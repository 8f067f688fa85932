"""What must not leave the worker, and the filter through which everything goes that leaves it.

Each credential is made known here where it is read. Its value, and the forms in which libraries
and servers repeat it, are replaced in outcomes, events, results for the model and log lines. A
credential that was replaced by a newer one stays known: it may still be valid.
"""

import base64
import binascii
import html
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

SHORTEST: Final = 8  # characters; shorter values are words that mean something else elsewhere
INSTEAD: Final = "[redacted]"

_known: set[str] = set()
_forms: list[str] = []  # all forms of what is known, the longest first


def learn(value: str) -> None:
    """Make a credential known, with its lines and parts."""
    if value in _known:
        return
    _known.add(value)
    found = {form for part in _parts(value) for form in _written(part)}
    _forms[:] = sorted({*_forms, *found}, key=len, reverse=True)


def redact(text: str) -> str:
    """The text with every known credential replaced."""
    for form in _forms:
        if form in text:
            text = text.replace(form, INSTEAD)
    return text


def redact_cut(text: str) -> str:
    """The same for text that was cut at its end: half a credential there is replaced as well."""
    text = redact(text)
    longest = max((_overlap(text, form) for form in _forms), default=0)
    return text[: len(text) - longest] + INSTEAD if longest else text


def shortened(text: str, most_characters: int) -> str:
    """The beginning of a text, filtered before it is cut."""
    text = redact(text)
    return text if len(text) <= most_characters else text[: most_characters - 1] + "…"


def redact_all(value: Any) -> Any:
    """The same JSON value with every known credential replaced, in keys as well."""
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {redact_all(key): redact_all(inner) for key, inner in value.items()}
        case list() | tuple():
            return [redact_all(inner) for inner in value]
        case _:
            return value


def in_log_line(_logger: Any, _method: str, line: Any) -> Any:
    """The last processor of a log: filters the line as it is written."""
    return redact(line) if isinstance(line, str) else line


def _parts(value: str) -> Iterator[str]:
    """A credential, each of its lines, what follows its scheme, and what that encodes."""
    yield from _password(value)
    for part in (value, *value.splitlines()):
        yield part
        yield part.strip()
        _, space, told = part.strip().partition(" ")
        if space:
            yield told.strip()
            yield "".join(told.split())
        for encoded in (part, told):
            if decoded := _decoded("".join(encoded.split())):
                yield decoded
                yield decoded.partition(":")[2]
    yield "".join(value.split())


def _password(value: str) -> Iterator[str]:
    """The password in an address, as it is written there and as it is meant."""
    _, address, rest = value.partition("://")
    who, at, _ = rest.partition("/")[0].rpartition("@")
    if address and at:
        written = who.partition(":")[2]
        yield from (written, unquote(written))


def _decoded(text: str) -> str:
    """What a text is the base64 of; empty when it is of none that people could read."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=None, validate=True)
        decoded = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return decoded if decoded.isprintable() else ""


def _written(part: str) -> Iterator[str]:
    """How a text looks where it is repeated, leaving out what is too short to be looked for."""
    if len(part) < SHORTEST:
        return
    raw = part.encode("utf-8", "surrogatepass")
    yield from _encoded(raw)
    for form in {part, part.replace("\n", "\r\n"), *_quoted(repr(part)), *_quoted(repr(raw)[1:])}:
        yield form
        for escaped in (_in_json(form), _in_json(form).replace("/", "\\/")):
            yield escaped
            yield _in_json(escaped)
        yield json.dumps(form, ensure_ascii=False)[1:-1]
    yield from _in_html(part)


def _encoded(raw: bytes) -> Iterator[str]:
    """A text in forms of few characters."""
    quoted = quote(raw, safe="")
    yield from (quoted, quoted.replace("%2F", "/"), _lower_escapes(quoted), quote_plus(raw))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        yield from (_within(encode, raw, before) for before in range(3))
    yield from (raw.hex(), raw.hex().upper())


def _within(encode: Callable[[bytes], bytes], raw: bytes, before: int) -> str:
    """What the base64 of a longer text has of this one, which begins so many bytes after a third.

    Six bits are a character: only those count that stand for nothing else.
    """
    first, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
    return encode(bytes(before) + raw).decode()[first:end]


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_html(text: str) -> Iterator[str]:
    """A text as pages repeat it; how the two quotes are written differs."""
    for quotes in (('"', "'"), ("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&#34;", "&#39;")):
        escaped = html.escape(text, quote=False)
        yield escaped.replace('"', quotes[0]).replace("'", quotes[1])


def _quoted(literal: str) -> Iterator[str]:
    """What a Python literal says between its quotes, whichever quotes a longer one needs."""
    body = literal[1:-1].replace("\\'", "'")
    yield from (body, body.replace("'", "\\'"))


def _lower_escapes(quoted: str) -> str:
    head, *rest = quoted.split("%")
    return "".join((head, *(f"%{part[:2].lower()}{part[2:]}" for part in rest)))


def _overlap(text: str, form: str) -> int:
    """How many characters at the end of a text are the beginning of a form; 0 for a few."""
    tail = text[-(len(form) - 1) :]
    begin = tail.find(form[:SHORTEST])
    while begin >= 0 and not form.startswith(tail[begin:]):
        begin = tail.find(form[:SHORTEST], begin + 1)
    return len(tail) - begin if begin >= 0 else 0
