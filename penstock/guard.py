"""Whether a write may be made: asked before each one, by whatever writes."""

from collections.abc import Callable

#: Raises where the write must not be made.
Guard = Callable[[], None]


def unguarded() -> None:
    """The guard of a writer that need not lead: a gateway, a worker, the election itself."""
