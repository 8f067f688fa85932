"""Text and JSON that every reader can take, whatever was stored or sent."""

import json
import math
from typing import Any, Final

MAX_DEPTH: Final = 64  # of a document that is not acceptable as it is
# Ends of lines for some readers of text, though not for JSON: they stand in answers as escapes.
_ESCAPED: Final = str.maketrans({code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)})


def encoded(document: Any) -> bytes:
    """A document as JSON in UTF-8, in one line, that a strict reader accepts.

    Half a surrogate pair becomes U+FFFD; null stands for a number that JSON does not know, and for
    what is nested deeper than a reader goes.
    """
    try:
        return _json(document).encode()
    except (ValueError, RecursionError):  # the first for both: UnicodeEncodeError is a ValueError
        return _json(_acceptable(document, MAX_DEPTH)).encode()


def text(value: str) -> str:
    """A text without halves of surrogate pairs: pairs are joined, what is left is U+FFFD."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def shortened(value: str, most: int) -> str:
    """A text of at most so many characters, the last an ellipsis where it was cut."""
    return value if len(value) <= most else f"{value[: most - 1]}…"


def one_line(value: str, most: int) -> str:
    """A text as a field of a line: nothing in it ends the line, and it has an end."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in value[: most + 1])
    return shortened(printable, most)


def _json(document: Any) -> str:
    made = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return made.translate(_ESCAPED) if not made.isascii() else made


def _acceptable(value: Any, levels: int) -> Any:
    match value:
        case str():
            return text(value)
        case float() if not math.isfinite(value):
            return None
        case dict() | list() | tuple() if not levels:
            return None
        case dict():
            return {text(str(key)): _acceptable(each, levels - 1) for key, each in value.items()}
        case list() | tuple():
            return [_acceptable(each, levels - 1) for each in value]
    return value
