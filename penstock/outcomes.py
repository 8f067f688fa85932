"""Rows of the outcome log: what was routed, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from penstock import rings
from penstock.task import Counting, OutcomeReason, TaskStatus
from penstock.traffic import Arm


class RowKind(StrEnum):
    """What a row says of a task."""

    ROUTED = "r"  # admitted to a revision
    FINISHED = "f"  # ended
    REHOMED = "m"  # moved to another revision: no sample for either side
    STARTED = "s"  # claimed for the first time: its processing clock runs


@dataclass(frozen=True)
class Row:
    """One row. ``at_ms`` is Redis time of the row, ``id`` its stream id ``<ms>-<n>``.

    arm, bucket, route_version: as the task was routed; ``begin_version`` is the route version
    under which its session began (its own without a session). Of a user who was chosen, and not drawn, the
    bucket is the number of his ring, from ``penstock.rings.FIRST`` on, and ``begin_version`` 0: no
    reader of a version before takes it for a sample. Latency is first claim to end in
    ms; cost is the list price in millionths of a US dollar. The last four are set on FINISHED;
    ``reason`` is None where the row's layout does not tell it.
    """

    id: str
    kind: RowKind
    task: str
    arm: Arm
    revision: str
    route_version: int
    begin_version: int
    bucket: int
    counting: Counting = Counting.GOOD
    latency_ms: int = 0
    cost_micro_usd: int = 0
    reason: OutcomeReason | None = None

    @property
    def is_chosen(self) -> bool:
        """Whether the task was given to the canary because of its ring."""
        return self.arm is Arm.CANARY and self.bucket >= rings.FIRST

    @property
    def at_ms(self) -> int:
        """When the row was written, Redis time in ms."""
        return int(self.id.partition("-")[0])


@dataclass(frozen=True)
class End:
    """How a task ended, in the words of the closed lists alone."""

    status: TaskStatus
    reason: OutcomeReason = OutcomeReason.NONE
