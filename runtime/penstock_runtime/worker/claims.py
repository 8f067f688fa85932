"""Where a claimed task goes on, and what it leaves to its session."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.api import tiers
from penstock.api.tiers import Tier
from penstock_runtime.agent import session, undoing
from penstock_runtime.agent.history import History, without_thinking
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import Transcript
from penstock_store.records import Claim


def beginning(claim: Claim, declared: Sequence[Tier] = ()) -> Run:
    """Where a claimed task stands: its checkpoint, or its input after the session's history.

    The first tier that fits the task answers it. What another revision's model thought is left out: it is signed over another prompt.
    """
    tier = tiers.matching(declared, len(claim.task.input), claim.task.type)
    if claim.checkpoint is not None:
        saved = Transcript.decode(claim.checkpoint)
        foreign = claim.checkpoint_revision != claim.revision
        standing = saved.without_thinking() if foreign else saved
        return Run(
            standing,
            claim.task.usage,
            doubt=claim.doubt,
            decision=claim.decision,
            approved=claim.approved,
            tier=tier,
            compensation=claim.task.compensation,
        )
    kept = History.decode(claim.history)
    if claim.history_revision != claim.revision:
        kept = replace(kept, messages=without_thinking(kept.messages), counted=None)
    begun = Transcript.start(
        kept.messages, claim.task.input, kept.tokens, kept.said_by, kept.counted
    )
    wanted = claim.task.compensation
    if wanted:
        begun = undoing.begun(begun, wanted)
    return Run(
        begun,
        claim.task.usage,
        doubt=claim.doubt,
        tier=tier,
        compensation=wanted,
        approved=claim.approved,
    )


def session_history(claim: Claim, run: Run) -> bytes | None:
    """The session's conversation after a task; None leaves it as it was."""
    return session.history_after(run) if claim.task.session else None
