"""What is done about each kind of failure: one table, by what a rollout waits for.

Missing data is never a pass: no row raises a share. Only proof condemns: no row but that of a verdict
rejects. Whoever adds a wait says here whose users it takes and what ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock.api.reasons import WaitReason


class Cause(StrEnum):
    """What is behind a wait."""

    REGRESSION = "Regression"
    SUSPICION = "Suspicion"
    EVIDENCE = "TooFewTasks"
    MISSING_DATA = "MissingData"
    OUTAGE = "SharedOutage"
    WORKERS = "Workers"
    BUDGET = "Budget"
    PERSON = "Person"


class Users(StrEnum):
    """Who answers the canary's users meanwhile."""

    KEPT = "Kept"
    STABLE = "Stable"
    KEPT_OR_STABLE = "KeptOrStable"


class Ends(StrEnum):
    """What ends a wait."""

    ITSELF = "Itself"
    EITHER = "ItselfOrPersonsWord"  # what is wrong may pass, and nobody knows whether it does
    PERSON = "PersonsWord"
    ANOTHER = "Another"


@dataclass(frozen=True)
class Policy:
    """What is done about a failure."""

    cause: Cause
    users: Users
    ends: Ends


_KEPT, _OFF = Users.KEPT, Users.STABLE

POLICIES: Final[Mapping[WaitReason, Policy]] = {
    WaitReason.ROLLED_BACK: Policy(Cause.REGRESSION, _OFF, Ends.ANOTHER),
    WaitReason.ANALYSIS_UNCLEAR: Policy(Cause.SUSPICION, _KEPT, Ends.EITHER),
    WaitReason.EXTERNAL_GATE: Policy(Cause.SUSPICION, _KEPT, Ends.EITHER),
    WaitReason.AWAITING_EVIDENCE: Policy(Cause.EVIDENCE, _KEPT, Ends.ITSELF),
    WaitReason.DEADLINE_EXCEEDED: Policy(Cause.EVIDENCE, _KEPT, Ends.EITHER),
    WaitReason.NOT_COMPARABLE: Policy(Cause.EVIDENCE, _OFF, Ends.ITSELF),
    WaitReason.MEASUREMENT_MISSING: Policy(Cause.MISSING_DATA, _KEPT, Ends.ITSELF),
    WaitReason.STORE_UNAVAILABLE: Policy(Cause.MISSING_DATA, _KEPT, Ends.ITSELF),
    WaitReason.ROWS_LOST: Policy(Cause.MISSING_DATA, Users.KEPT_OR_STABLE, Ends.ITSELF),
    WaitReason.EXTERNAL_MISSING: Policy(Cause.MISSING_DATA, _KEPT, Ends.EITHER),
    WaitReason.SHARED_INCIDENT: Policy(Cause.OUTAGE, _OFF, Ends.ITSELF),
    WaitReason.LIMIT_DOES_NOT_FIT: Policy(Cause.OUTAGE, _KEPT, Ends.EITHER),
    WaitReason.CANARY_NOT_READY: Policy(Cause.WORKERS, _KEPT, Ends.ITSELF),
    WaitReason.CANARY_UNAVAILABLE: Policy(Cause.WORKERS, _OFF, Ends.ITSELF),
    WaitReason.AWAITING_CAPACITY: Policy(Cause.WORKERS, _KEPT, Ends.ITSELF),
    WaitReason.SPEND_CAP_REACHED: Policy(Cause.BUDGET, _OFF, Ends.PERSON),
    WaitReason.HARM_BUDGET_REACHED: Policy(Cause.BUDGET, _OFF, Ends.PERSON),
    WaitReason.BUDGET_SHARE_REACHED: Policy(Cause.BUDGET, _OFF, Ends.ITSELF),
    WaitReason.HOLD_FOR_APPROVAL: Policy(Cause.PERSON, _KEPT, Ends.PERSON),
    WaitReason.PAUSED: Policy(Cause.PERSON, _KEPT, Ends.PERSON),
    WaitReason.HELD_BY_SETPOINT: Policy(Cause.PERSON, _KEPT, Ends.PERSON),
    WaitReason.CEILING_REACHED: Policy(Cause.PERSON, _KEPT, Ends.PERSON),
    WaitReason.AGENT_SUSPENDED: Policy(Cause.PERSON, _KEPT, Ends.PERSON),
}
#: Waits that no failure is behind.
NO_FAILURE: Final = frozenset(
    {
        WaitReason.HOLDING,
        WaitReason.UNDOING,  # whoever goes back hears of that before all else
        WaitReason.DECIDING,
        WaitReason.NO_CANARY,
        WaitReason.NO_REVISION,
        WaitReason.FIRST_REVISION_NOT_READY,
    }
)
