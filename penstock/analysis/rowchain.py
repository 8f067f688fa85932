"""A digest of the rows that were counted: whoever has the same rows, in the same order, gets the same one."""

import hashlib
from dataclasses import dataclass
from typing import Final

from penstock.api.decisions import RowGap, RowsSeen
from penstock.outcomes import Row

#: So many gaps are told of, the last ones.
MOST_GAPS: Final = 8


@dataclass
class RowChain:
    """The rows so far. Rows are added in the order of the log, each once."""

    since: str = ""
    count: int = 0
    digest: str = ""
    gaps: tuple[RowGap, ...] = ()
    _gap: str = ""
    _last: str = ""  # the last row that was counted

    @classmethod
    def resume(cls, kept: RowsSeen | None, counted_through: str) -> "RowChain":
        """The chain as status has it; without one it begins after the rows that are counted."""
        if kept is None:
            return cls(since=counted_through, _last=counted_through)
        return cls(kept.since, kept.count, kept.digest, kept.gaps or (), _last=counted_through)

    def row(self, row: Row, *, counted: bool = True) -> None:
        """One more row; one that does not enter the counts is none."""
        if counted:
            self.count += 1
            self._last = row.id
            self._link(text_of(row))

    def gap(self, at: str, *, counted: bool = True) -> None:
        """Rows are lost, nobody knows how many: those before this one, or all after it. Said again, it is one gap."""
        if counted and at != self._gap:
            self._gap = at
            self.gaps = (*self.gaps, RowGap(after=self._last, at=at))[-MOST_GAPS:]
            self._link(f"gap|{at}")

    def _link(self, text: str) -> None:
        self.digest = hashlib.sha256(f"{self.digest}\n{text}".encode()).hexdigest()

    @property
    def seen(self) -> RowsSeen:
        """The chain as status keeps it."""
        return RowsSeen(
            since=self.since, count=self.count, digest=self.digest, gaps=self.gaps or None
        )


def text_of(row: Row) -> str:
    """A row as it enters the digest: its values in a fixed order, parted by bars."""
    reason = row.reason if row.reason is not None else ""
    return (
        f"{row.id}|{row.kind}|{row.task}|{row.arm}|{row.revision}|{row.route_version}|{row.begin_version}"
        f"|{row.bucket}|{row.counting}|{row.latency_ms}|{row.cost_micro_usd}|{reason}"
    )
