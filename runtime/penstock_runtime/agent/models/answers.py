"""What the response cache is to a model call."""

from typing import Protocol


class Answers(Protocol):
    """What models have answered to the tasks of one tenant, as far as it is kept.

    It is never in the way: where the store is away nothing is found, and nothing kept.
    """

    async def find(self, digest: str) -> bytes | None:
        """What is kept under a digest; None of none."""
        ...

    async def keep(self, digest: str, answer: bytes, seconds: int) -> None:
        """Keep an answer for so many seconds."""
        ...
