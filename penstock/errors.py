"""Every error Penstock raises on purpose.

PenstockError
├── InvalidResource      a declared object that cannot be honoured as it is written
├── UnknownSchema        a document written by a newer Penstock than this one
├── RevisionTampered     a revision document whose content is not what its name promises
├── StoreUnavailable     Redis did not answer in time
├── StoreRefused         Redis answered that it cannot do it with what it holds
├── NotReplicated        a write that too few replicas of Redis confirmed in time
├── WorthUnknown         a call of which nobody knows what it is worth, where a bound counts that
├── StaleWrite           a fenced write that lost against a newer one
└── AdmissionRefused     a task that was not accepted (carries the problem for the caller)
"""


class PenstockError(Exception):
    """The root of all errors that Penstock raises on purpose."""


class InvalidResource(PenstockError):
    """A declared object cannot be honoured; the message says which field and what to write."""


class UnknownSchema(PenstockError):
    """A document carries a schemaVersion that this version does not know."""


class RevisionTampered(PenstockError):
    """A revision document does not hash to the name under which it was found."""


class StoreUnavailable(PenstockError):
    """Redis could not be reached or did not answer before its deadline."""


class StoreRefused(PenstockError):
    """Redis answered with an error about the call itself: waiting for Redis does not help.

    What it holds is not what Penstock writes there (``WRONGTYPE``, an error inside a script), or
    it does not know a command.
    """


class WorthUnknown(PenstockError):
    """A call was not made: what it is worth is counted, and it does not say that."""


class NotReplicated(PenstockError):
    """It is written, but fewer replicas than were asked for confirmed it in time."""


class StaleWrite(PenstockError):
    """A fenced write was refused, because a newer one is already in force."""


class AdmissionRefused(PenstockError):
    """A task was not accepted.

    Args:
        problem: the stable last part of the problem type, e.g. ``idempotency-key-reused``.
        detail: one sentence for people.
        retry_after_seconds: when to try again; None when trying again does not help.
        scope: whose budget refused it, ``user`` or ``tenant``; empty where none did.
    """

    def __init__(
        self,
        problem: str,
        detail: str,
        retry_after_seconds: int | None = None,
        *,
        scope: str = "",
    ) -> None:
        super().__init__(detail)
        self.scope = scope
        self.problem = problem
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
