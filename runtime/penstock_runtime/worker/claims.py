"""Where a claimed task goes on, and what it leaves to its session."""

from penstock.task import TaskStatus
from penstock_runtime.agent import transcript
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import Transcript
from penstock_store.records import Claim


def beginning(claim: Claim) -> Run:
    """Where a claimed task stands: its checkpoint, or its input after the session's history.

    What another revision's model thought is left out: it is signed over another prompt.
    """
    if claim.checkpoint is not None:
        saved = Transcript.decode(claim.checkpoint)
        foreign = claim.checkpoint_revision != claim.revision
        return Run(saved.without_thinking() if foreign else saved, claim.task.usage)
    history = transcript.decode_history(claim.history)
    if claim.history_revision != claim.revision:
        history = transcript.without_thinking(history)
    return Run(Transcript.start(history, claim.task.input), claim.task.usage)


def session_history(claim: Claim, run: Run) -> bytes | None:
    """The session's conversation after a task; None leaves it as it was (after any failure)."""
    succeeded = run.outcome is not None and run.outcome.status is TaskStatus.SUCCEEDED
    if not (claim.task.session and succeeded):
        return None
    return transcript.encode_history(run.transcript.messages)
