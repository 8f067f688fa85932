"""Signatures: who receives a message can tell that this installation has sent it, and when.

``Penstock-Signature: v1=HEX`` is HMAC-SHA256 of ``TIMESTAMP.BODY``, of the bytes as they are sent.
While a key is replaced there are two of them, ``v1=NEW,v1=FORMER``: a receiver takes either.
"""

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.errors import PenstockError

TIMESTAMP: Final = "Penstock-Timestamp"
SIGNATURE: Final = "Penstock-Signature"
SHORTEST_KEY: Final = 32


class SecretUnusable(PenstockError):
    """A Secret lacks a key, or holds one that can be guessed. The message shows nothing of it."""


def keys_in(folder: Path, name: str) -> tuple[bytes, ...]:
    """The key of a name, then the one before it, where there is one. Read anew each time.

    Raises:
        SecretUnusable: there is none, or one is shorter than 32 bytes.
    """
    found = [text for each in (name, f"former-{name}") if (text := word_in(folder, each))]
    if not word_in(folder, name):
        raise SecretUnusable(f"the Secret has no {name}")
    if any(len(text) < SHORTEST_KEY for text in found):
        raise SecretUnusable(f"{name} has fewer than {SHORTEST_KEY} bytes")
    return tuple(text.encode() for text in found)


def word_in(folder: Path, name: str) -> str:
    """What a key of a Secret holds, without blanks around it; "" where there is none.

    Raises:
        SecretUnusable: it is no text.
    """
    try:
        return (folder / name).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError):
        raise SecretUnusable(f"{name} of the Secret cannot be read") from None


def signature(keys: Sequence[bytes], timestamp: int, body: bytes) -> str:
    """The header's value, by each of the keys. ``timestamp``: seconds since 1970."""
    signed = f"{timestamp}.".encode() + body
    return ",".join(f"v1={hmac.new(key, signed, hashlib.sha256).hexdigest()}" for key in keys)
