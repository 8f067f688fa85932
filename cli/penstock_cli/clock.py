"""How long a step, a ring or the final hold has lasted, and how long it must. Pure."""

from typing import Any, Final, NamedTuple

from penstock.api import condition
from penstock.api.rollout import Stage
from penstock.rollout import path
from penstock_cli.seen import Seen

_MINUTE: Final = 60
_HOUR: Final = 3600


class Clock(NamedTuple):
    """``seconds`` of ``whole`` have passed since a moment; it stands still while the operator is blind, as it is since ``blind``."""

    where: str
    since: str
    seconds: int
    whole: int
    blind: str | None

    def __str__(self) -> str:
        """As the picture has it."""
        still = ", stands still" if self.blind else ""
        return f"{self.where}: {_span(self.seconds)} of {_span(self.whole)}{still}"

    @property
    def document(self) -> dict[str, Any]:
        """For programs, which have a clock of their own."""
        return {"since": self.since, "holdSeconds": self.whole, "standsStillSince": self.blind}


def of(seen: Seen) -> Clock | None:
    """The one that runs; None where none does."""
    rings = seen.status.rings if seen.status.stage is Stage.RINGS else ()
    began = rings[-1].at if rings else seen.status.step_started_at
    if not began or not path.under_way(seen.status):
        return None
    final = seen.status.stage is Stage.FINAL_HOLD
    step = path.present_step(seen.spec.strategy, seen.status)
    whole = seen.spec.strategy.final_hold_seconds if final else step.hold_seconds
    if rings:
        declared = (ring for ring in seen.spec.strategy.rings or () if ring.name == rings[-1].name)
        whole = next((ring.hold_seconds for ring in declared), 0)
    blind = seen.status.blind_since
    now = condition.moment(blind) if blind else seen.now
    past = max(int((now - condition.moment(began)).total_seconds()), 0)
    label = path.label(seen.spec.strategy, seen.status)
    where = "final hold" if final else label if rings else f"step {label}"
    return Clock(where, began, past, whole, blind)


def _span(seconds: int) -> str:
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}:{seconds % _MINUTE:02d}"
    return f"{seconds // _HOUR}:{seconds % _HOUR // _MINUTE:02d}:{seconds % _MINUTE:02d}"
