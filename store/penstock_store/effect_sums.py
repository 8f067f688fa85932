"""What a revision's calls have done, from what `shared/effects.lua` and `shared/undoing.lua` add up."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from penstock.effects import Sums, Undoing

_NOT_UNDONE: Final = (Undoing.REFUSED, Undoing.NOT_MADE, Undoing.ENDED)


def read(users: int, stored: Mapping[str, bytes]) -> Sums:
    """The sums from the fields of their hash.

    Raises:
        ValueError: another hand has written it.
    """
    figures = {name: int(value) for name, value in stored.items()}
    micro = {
        name.partition(":")[2]: figure
        for name, figure in figures.items()
        if name.startswith("micro:")
    }
    undoing = {state: max(0, figures.get(f"undo:{state.value}", 0)) for state in Undoing}
    return Sums(
        figures.get("n", 0),
        max(0, figures.get("unknown", 0)),
        users,
        micro,
        undone=undoing[Undoing.DONE],
        undo_refused=sum(undoing[state] for state in _NOT_UNDONE),
        undo_asked=undoing[Undoing.ASKED] + undoing[Undoing.INTENDED],
    )


def read_or_none(said: Sequence[Any]) -> Sums | None:
    """The same of users and fields in turn, as `look.lua` says it; None where it says nothing that can be read."""
    try:
        users, flat = said
        names = (name.decode() for name in flat[::2])
        return read(users, dict(zip(names, flat[1::2], strict=True)))
    except (ValueError, TypeError):
        return None
