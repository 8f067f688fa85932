"""The outcome log of one agent as evidence: what was routed where, and that it ended once."""

from collections import Counter
from dataclasses import dataclass

from penstock.outcomes import Row, RowKind
from penstock.traffic import Arm


@dataclass(frozen=True)
class OutcomeLog:
    """All rows of an agent, oldest first."""

    rows: tuple[Row, ...]

    def of(self, kind: RowKind) -> list[Row]:
        """The rows of a kind."""
        return [row for row in self.rows if row.kind is kind]

    @property
    def finished(self) -> Counter[str]:
        """How often each task ended; once each, if all is well."""
        return Counter(row.task for row in self.of(RowKind.FINISHED))

    @property
    def routed(self) -> set[str]:
        """All tasks that were ever admitted."""
        return {row.task for row in self.of(RowKind.ROUTED)}

    @property
    def open(self) -> set[str]:
        """Tasks that were admitted and have not ended."""
        return self.routed - set(self.finished)

    @property
    def rehomed(self) -> set[str]:
        """Tasks that were moved to another revision."""
        return {row.task for row in self.of(RowKind.REHOMED)}

    def ended_on(self, revision: str) -> set[str]:
        """Tasks that ended on a revision, by its hash."""
        return {row.task for row in self.of(RowKind.FINISHED) if row.revision == revision}

    def routed_to(self, arm: Arm) -> int:
        """How many tasks were routed to an arm."""
        return sum(row.arm is arm for row in self.of(RowKind.ROUTED))
