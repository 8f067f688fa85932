"""A task's conversation as it is saved: whole at first, then only what is new.

A long conversation that is saved whole after each step writes the square of its length. So what
is appended is saved as a *piece* beside the whole text: how much of the text before it keeps, and
what comes after. Short texts are saved whole, and so is every one in which an irreversible call may be
open: a worker of a version that knows no pieces reads the whole text alone, and must see the call.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ALWAYS_WHOLE_BYTES: Final = 16_384
_MOST_PIECES: Final = 64


@dataclass(frozen=True)
class Saved:
    """What was saved last of a task. ``piece_bytes`` are those of all pieces since the whole text.

    ``words``: its usage and its open calls, as they were written with it.
    """

    state: bytes
    whole: str  # the digest of the whole text
    whole_bytes: int
    pieces: int = 0
    piece_bytes: int = 0
    intents: bool = False
    words: tuple[str, str] = ("{}", "-")


@dataclass(frozen=True)
class Writing:
    """What is to be written: the whole text, as piece 0, or a piece, and what is saved afterwards."""

    content: bytes
    piece: int
    saved: Saved


def whole(state: bytes, *, intents: bool) -> Writing:
    """Save the whole text."""
    return Writing(state, 0, Saved(state, digest(state), len(state), intents=intents))


def next_writing(before: Saved | None, state: bytes, *, intents: bool) -> Writing:
    """How to save a state, after what was saved last (None: nothing that is known)."""
    if before is None or intents or before.intents or len(state) < _ALWAYS_WHOLE_BYTES:
        return whole(state, intents=intents)
    kept = common_prefix(before.state, state)
    content = b"%d " % kept + state[kept:]
    written = before.piece_bytes + len(content)
    if before.pieces >= _MOST_PIECES or written > before.whole_bytes:
        return whole(state, intents=False)
    number = before.pieces + 1
    saved = Saved(state, before.whole, before.whole_bytes, number, written)
    return Writing(content, number, saved)


def read(stored: Mapping[str, bytes]) -> bytes | None:
    """The state that a task's hash holds; None when nothing was saved.

    Pieces that belong to another whole text are passed over: a worker that knows none wrote a newer one.
    """
    state = stored.get("checkpoint")
    if state is None or stored.get("whole", b"").decode(errors="replace") != digest(state):
        return state
    for number in range(1, int(stored.get("pieces", 0)) + 1):
        kept, _, appended = stored[f"piece{number}"].partition(b" ")
        state = state[: int(kept)] + appended
    return state


def digest(state: bytes) -> str:
    """What a whole text is known by."""
    return f"{len(state)}.{zlib.crc32(state):08x}"


def common_prefix(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common at their beginning."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
