"""The words that programs read: types of conditions, what a rollout waits for, reasons of Events.

The strings are part of the API: they stand in statuses that are stored, in alerts and in scripts.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """An aspect of the state of an Agent or an AgentRollout."""

    ACCEPTED = "Accepted"
    ANALYSIS_PASSING = "AnalysisPassing"
    CREDENTIALS_VALID = "CredentialsValid"
    MANUAL_SETPOINT = "ManualSetpoint"
    NAME_CONFLICT = "NameConflict"
    NO_ELIGIBLE_USERS = "NoEligibleUsers"
    PROGRESSING = "Progressing"
    PROMOTED = "Promoted"
    READY = "Ready"
    RECONCILING = "Reconciling"
    RECORD_UNREADABLE = "RecordUnreadable"
    REDIS_USER_MISSING = "RedisUserMissing"
    REFERENCES_RESOLVED = "ReferencesResolved"
    REVISION_TAMPERED = "RevisionTampered"
    ROLLED_BACK = "RolledBack"
    ROLLOUT_MISSING = "RolloutMissing"
    RUNTIME_TOO_OLD = "RuntimeTooOld"
    STALLED = "Stalled"
    SUSPENDED = "Suspended"
    UP_TO_DATE = "UpToDate"


class WaitReason(StrEnum):
    """What a rollout waits for: the reason of Progressing, and ``status.waiting``."""

    AGENT_SUSPENDED = "AgentSuspended"
    ANALYSIS_UNCLEAR = "AnalysisUnclear"
    AWAITING_CAPACITY = "AwaitingCapacity"
    AWAITING_EVIDENCE = "AwaitingEvidence"
    CANARY_NOT_READY = "CandidateNotReady"
    CANARY_UNAVAILABLE = "CandidateUnavailable"
    CEILING_REACHED = "CeilingReached"
    DECIDING = "Deciding"
    FIRST_REVISION_NOT_READY = "FirstRevisionNotReady"
    HELD_BY_SETPOINT = "HeldBySetpoint"
    HOLDING = "Holding"
    HOLD_FOR_APPROVAL = "HoldForApproval"
    MEASUREMENT_MISSING = "MeasurementMissing"
    NOT_COMPARABLE = "NotComparable"
    NO_CANARY = "NoCandidate"
    NO_REVISION = "NoRevision"
    PAUSED = "Paused"
    ROLLED_BACK = "RolledBack"
    ROWS_LOST = "RowsLost"
    SHARED_INCIDENT = "SharedIncident"
    STORE_UNAVAILABLE = "StoreUnavailable"
    UNDOING = "Undoing"


class EventReason(StrEnum):
    """What has happened, in one word: the reason of a Kubernetes Event."""

    AGENT_RESUMED = "AgentResumed"
    AGENT_SUSPENDED = "AgentSuspended"
    ANALYSIS_FAILED = "AnalysisFailed"
    ANALYSIS_UNCLEAR = "AnalysisUnclear"
    APPROVED_BY_SETPOINT = "ApprovedBySetpoint"
    CANARY_STARTED = "CandidateStarted"
    HOLD_FOR_APPROVAL = "HoldForApproval"
    MEASUREMENT_MISSING = "MeasurementMissing"
    NAME_CONFLICT = "NameConflict"
    PERCENT_CHANGED = "PercentChanged"
    PERCENT_REFUSED = "PercentRefused"
    PERCENT_SET_MANUALLY = "PercentSetManually"
    PROMOTED = "Promoted"
    RELEASED = "Released"
    REQUEST_ACCEPTED = "RequestAccepted"
    REQUEST_REFUSED = "RequestRefused"
    RESUMED = "Resumed"
    REVISION_CREATED = "RevisionCreated"
    REVISION_TAMPERED = "RevisionTampered"
    ROLLED_BACK = "RolledBack"
    STALLED = "Stalled"
    STATUS_UNREADABLE = "StatusUnreadable"
    STEP_PASSED = "StepPassed"
    STEP_STARTED = "StepStarted"
    SUPERSEDED = "Superseded"
    SUSPENDED = "Suspended"
