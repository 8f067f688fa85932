"""A person's decision: its body, who may make it, and why it is refused."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from penstock import escalation
from penstock.api.oversight import Remember
from penstock.escalation import Escalation, EscalationStatus, Verdict
from penstock_runtime.gateway import plain, searching
from penstock_runtime.gateway.access import Caller
from penstock_runtime.gateway.bodies import Prose
from penstock_runtime.gateway.identities import ClusterCaller
from penstock_runtime.gateway.problems import Problem
from penstock_store.escalations import Decided

MAX_NOTE = 4096
MAX_ANSWER = 65_536
MAX_DIGEST = 64
MAX_NAMED = 256
_ID_CHARACTERS = 220


class DecisionRequest(BaseModel):
    """What a person decides of a call."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        title="DecisionRequest",
        json_schema_extra={"example": {"decision": "Approve", "note": "as agreed by phone"}},
    )

    decision: Annotated[
        Verdict,
        Field(
            description="Approve: the call is made. Deny: it is not, and the model hears why. Answer: it "
            "is not, and the model reads the answer as its result."
        ),
    ]
    note: Annotated[
        Prose | None,
        Field(max_length=MAX_NOTE, description="Why; of a denied call the model reads it."),
    ] = None
    answer: Annotated[
        Prose | None,
        Field(max_length=MAX_ANSWER, description="With Answer: what the model reads."),
    ] = None
    arguments: Annotated[
        dict[str, Any] | None,
        Field(
            description="With Approve: other arguments than the model's, which fit the tool's schema. "
            "The model is told of them."
        ),
    ] = None
    remember: Annotated[
        Remember | None,
        Field(
            description="With Approve: Session has it hold for those further calls of the session too that the "
            "escalation shows under `remember`; where it shows none that is refused. Where two persons must approve, it holds once both have chosen it."
        ),
    ] = None
    digest: Annotated[
        str | None,
        Field(
            max_length=MAX_DIGEST,
            description="The `digest` of the call that is meant, as its escalation shows it: another call is "
            "refused. It must be given where the escalation shows a `doubt`.",
        ),
    ] = None

    @property
    def is_remembered(self) -> bool:
        """Whether it is to hold for further calls."""
        return self.remember is Remember.SESSION

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.decision is Verdict.ANSWER) != (self.answer is not None):
            raise PydanticCustomError(
                "answer", "answer: goes with the decision Answer, and it alone"
            )
        if self.arguments is not None and self.decision is not Verdict.APPROVE:
            raise PydanticCustomError("arguments", "arguments: go with the decision Approve alone")
        if self.is_remembered and (self.decision, self.arguments) != (Verdict.APPROVE, None):
            raise PydanticCustomError(
                "remember",
                "remember: goes with the decision Approve alone, of the model's own arguments",
            )
        return self


class TakeOverRequest(BaseModel):
    """Why a person takes a task over."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, title="TakeOverRequest"
    )

    note: Annotated[
        Prose | None,
        Field(max_length=MAX_NOTE, description="Why; it stands in the task's outcome."),
    ] = None


class RetryRequest(BaseModel):
    """How a task is tried again."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, title="RetryRequest"
    )

    even_if_acted: Annotated[
        bool,
        Field(
            description="Also where it has made calls that change something: the new task may make them again."
        ),
    ] = False


class CompensationRequest(BaseModel):
    """Which calls are undone."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        title="CompensationRequest",
        json_schema_extra={"example": {"revision": "refunds-1a2b3c4d", "dryRun": True}},
    )

    revision: Annotated[
        Prose | None,
        Field(
            max_length=MAX_NAMED,
            description=f"All its calls. {searching.A_REVISION} Without dryRun, and with continue, its whole name or "
            "hash alone.",
        ),
    ] = None
    effect: Annotated[
        Prose | None,
        Field(
            max_length=MAX_NAMED,
            description="One call, by its idempotency key: task, reply, position. Also again, where "
            "the compensation has ended and the call was not undone.",
        ),
    ] = None
    dry_run: Annotated[bool, Field(description="Tell what would be called, and call nothing.")] = (
        False
    )
    was_made: Annotated[
        bool,
        Field(description="With effect: a person says that a call of which nobody knows was made."),
    ] = False
    continue_: Annotated[
        Prose | None,
        Field(
            alias="continue",
            max_length=MAX_NAMED,
            description="With revision: what the answer before said under the same name.",
        ),
    ] = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (self.revision is None) == (self.effect is None):
            raise PydanticCustomError("effect", "give revision or effect, and not both")
        if self.was_made and self.effect is None:
            raise PydanticCustomError("wasMade", "wasMade: goes with effect alone")
        return self


def check_person(caller: Caller, found: Escalation, *, signed_in: bool = True) -> None:
    """Let a caller who may approve decide on this call.

    Args:
        caller: who decides.
        found: on what.
        signed_in: whether he has shown a token; a link is none.

    Raises:
        Problem: approval-forbidden; he is in none of the groups that the rule asks for, it is
            his own call, or it takes another token than he has shown.
    """
    if why := why_not_by_link(found) if not signed_in else _why_not_by_token(caller, found):
        raise Problem("approval-forbidden", why)
    if "\n" in caller.person:
        raise Problem("approval-forbidden", "The name of this caller cannot be written down.")
    if _is_his_own(caller, found):
        detail = (
            f"{caller.person!r} has submitted the task, or it is for him; somebody else decides."
        )
        raise Problem("approval-forbidden", detail)
    for groups in found.ask.approvers:
        if not set(groups) & set(caller.groups):
            detail = f"{caller.person!r} is in none of the groups {', '.join(groups)}, which decide on this call."
            raise Problem("approval-forbidden", detail)


def why_not_by_link(found: Escalation) -> str:
    """Why a link does not decide on a call; empty where it does."""
    if found.ask.sign_in:
        return "A rule asks for a token of the cluster, so a link does not decide on this call."
    if found.ask.min_approvals > 1:
        return "Two persons must approve this call, each with a token of his own; a link is none."
    return ""


def _why_not_by_token(caller: Caller, found: Escalation) -> str:
    if found.ask.sign_in and not isinstance(caller, ClusterCaller):
        return "A rule asks for a token of the cluster; a static one does not decide on this call."
    return ""


def _is_his_own(caller: Caller, found: Escalation) -> bool:
    """Whether a caller has submitted the task, or it is for him, however his name is written.

    A gateway of a release before kept no submitter: of a caller of the cluster his tenant tells.
    """
    person = escalation.same_person(caller.person)
    if person in map(escalation.same_person, (found.submitter, found.user)):
        return True
    known_by_tenant = isinstance(caller, ClusterCaller) and not found.submitter
    return known_by_tenant and caller.tenant == found.tenant


def missing(identifier: str) -> Problem:
    """The problem of an escalation that is not there."""
    named = repr(plain.shortened(identifier, _ID_CHARACTERS))
    return Problem("escalation-not-found", f"There is no escalation {named}.")


def refused(became: Decided, after: Escalation) -> Problem:
    """The problem of a decision that came too late, differs from the first of two, or leaves a doubt."""
    if became is Decided.DOUBT:
        detail = (
            f"What became of it {after.doubt} is lost: it may have been decided, and made, before. Look at it "
            "again, ask the tool's service, and decide with its digest."
        )
        return Problem("escalation-unconfirmed", detail)
    if became is Decided.OTHER:
        detail = "The digest is that of another call than the one which waits under this id."
        return Problem("escalation-unconfirmed", detail)
    if became is Decided.FORGETS:
        detail = (
            "Its rules do not all allow that, or its task has no session. "
            "Nothing was decided; approve it alone."
        )
        return Problem("escalation-not-remembered", detail)
    if became is Decided.DIFFERS:
        whose = "those under changedArguments" if after.changed else "the model's own"
        detail = f"{' and '.join(after.approved_by)} approved it with other arguments: {whose}."
        return Problem("escalation-differs", detail)
    if after.status is EscalationStatus.OPEN:
        detail = "This person has approved it already; another one decides now."
        return Problem("escalation-differs", detail)
    who = " and ".join(after.decided_by) or "time"
    if after.status is EscalationStatus.VOID:
        return Problem("escalation-decided", "Its task has ended before anybody decided.")
    return Problem("escalation-decided", f"{after.status}, by {who}.")
