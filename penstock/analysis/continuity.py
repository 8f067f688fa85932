"""Whether the log goes on from what was counted, or has lost rows before anybody counted them."""

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.analysis.pending import Position, position


@dataclass
class Continuity:
    """What the log must hold so that nothing is lost; ``counted`` is the row that a status was counted up to.

    The ends of a log tell when it was cut. They do not tell of one that went back to an older file and
    has grown since: only a first reading can, which passes over the row that was counted last.
    """

    counted: Position = (0, 0)
    _needed: Position = (0, 0)  # from where on the first reading must find every row
    _unmet: bool = False  # the row counted last was not met yet

    def begin(self, needed: Position) -> None:
        """A first reading begins: it must find every row from there on."""
        self._needed = max(needed, (1, 0))
        self._unmet = self.counted > (0, 0)

    def lost(
        self, first: Position, last: Position, read: Position, *, trimmed: bool
    ) -> list[Position]:
        """Up to which positions rows are lost by the ends of the log; empty for none.

        Args:
            read: of the last row that was read; (0, 0) before the first reading.
            trimmed: rows before the first one are gone.
        """
        reached = max(read, self.counted)
        short = trimmed and read == (0, 0) < self._needed < first
        self._unmet = self._unmet and first <= self.counted
        before = [first] if short or (0, 0) < reached < first else []
        return before + ([reached] if (0, 0) < last < reached else [])

    def pass_over(self, unread: Iterable[str]) -> None:
        """Rows that cannot be read are in the log all the same."""
        self._unmet = self._unmet and self.counted not in map(position, unread)

    def breaks(self, at: Position) -> bool:
        """Whether rows before this one are lost: it is after the one counted last, which was not met."""
        if not self._unmet or at < self.counted:
            return False
        self._unmet = False
        return at != self.counted
