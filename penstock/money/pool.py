"""How much a vendor lets one account ask of a model in a minute, and what one call takes of that."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class PerMinute:
    """The most that may be asked in a minute, together by all who come with the same credential.

    0: it is not bounded; None: nobody has said, and what the vendor says of it holds.
    """

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def figures(self) -> tuple[int | None, int | None, int | None]:
        """Requests, tokens of the input, tokens of the output."""
        return self.requests, self.input_tokens, self.output_tokens


UNSAID: Final = PerMinute()


@dataclass(frozen=True)
class Share:
    """What calls take of a minute: requests, tokens of the input and of the output."""

    requests: float = 0
    input_tokens: float = 0
    output_tokens: float = 0

    @property
    def figures(self) -> tuple[float, float, float]:
        """Requests, tokens of the input, tokens of the output."""
        return self.requests, self.input_tokens, self.output_tokens

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __sub__(self, other: "Share") -> "Share":
        return self + other.times(-1)

    def times(self, factor: float) -> "Share":
        """So many times as much."""
        return Share(
            self.requests * factor, self.input_tokens * factor, self.output_tokens * factor
        )

    def holds(self, other: "Share") -> bool:
        """Whether the other one is in it."""
        pairs = zip(self.figures, other.figures, strict=True)
        return all(own >= wanted for own, wanted in pairs)


NO_SHARE: Final = Share()
