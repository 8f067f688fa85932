"""What the ends of a task mean, and what to do: the words of docs/reference/outcomes.md and of a verdict's samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from penstock.task import OutcomeReason, TaskStatus


@dataclass(frozen=True)
class Meaning:
    """One sentence on what it means, and one on what to do."""

    means: str
    remedy: str


STATUSES: Final[Mapping[TaskStatus, str]] = MappingProxyType(
    {
        TaskStatus.QUEUED: "It waits for a worker, or for the task before it in its session.",
        TaskStatus.RUNNING: "A worker has it.",
        TaskStatus.HALTED: "The agent is suspended; it goes on when the agent is resumed.",
        TaskStatus.WAITING_FOR_APPROVAL: "It waits for a person's decision on a call; no worker has it.",
        TaskStatus.SUCCEEDED: "The agent answered; the answer is in `output`.",
        TaskStatus.FAILED: "It came to no answer.",
        TaskStatus.ESCALATED: "It takes a person: something was not done, or may have been done.",
        TaskStatus.LIMIT_EXCEEDED: "It reached a limit of the agent; `output` may hold a part.",
        TaskStatus.EXPIRED: "No worker was there for it within `limits.queueSeconds`, at first or after its own was lost.",
        TaskStatus.CANCELLED: "It was taken back: by a caller, with its agent, or with a revision that was taken off while no other served.",
    }
)

_RAISE: Final = "Raise the limit in the Agent, or ask for less at a time."

REASONS: Final[Mapping[OutcomeReason, Meaning]] = MappingProxyType(
    {
        OutcomeReason.NONE: Meaning("There is nothing to say beyond the status.", "Nothing."),
        OutcomeReason.MODEL_ERROR: Meaning(
            "The model's API refused the request, or gave no usable answer.",
            "Read the message: a key, a model's name and a request can be mended; else try later.",
        ),
        OutcomeReason.REFUSAL: Meaning(
            "The model refused to answer.", "Change what is asked, or the agent's instructions."
        ),
        OutcomeReason.APPROVAL: Meaning(
            "A tool needs a person's approval, and nobody could be asked; so it was not called.",
            "Decide on what waits; do by hand what the message names.",
        ),
        OutcomeReason.TOOL_ERROR: Meaning(
            "The result of a tool that cannot be undone is unknown.",
            "Look in the tool's own system whether it was done, before anything is repeated.",
        ),
        OutcomeReason.TIMEOUT: Meaning(
            "The model's API did not answer in time.", "Try again; look at the API's own status."
        ),
        OutcomeReason.LIMIT_MODEL_CALLS: Meaning(
            "It asked the model as often as `limits.modelCalls` allows.", _RAISE
        ),
        OutcomeReason.LIMIT_TOOL_CALLS: Meaning(
            "It called tools as often as `limits.toolCalls` allows.", _RAISE
        ),
        OutcomeReason.LIMIT_IDENTICAL_ACTIONS: Meaning(
            "The model asked for the same call again and again, beyond `limits.identicalActions`.",
            "See what the tool answers: the model cannot make use of it.",
        ),
        OutcomeReason.LIMIT_INPUT_TOKENS: Meaning(
            "What its next model call could have sent was more than `limits.inputTokens` leaves.",
            "Begin another session when this one has become long; else raise the limit.",
        ),
        OutcomeReason.LIMIT_OUTPUT_TOKENS: Meaning(
            "The model wrote as many tokens as `limits.outputTokens` allows.", _RAISE
        ),
        OutcomeReason.LIMIT_COST: Meaning(
            "What its next model call could have cost was more than `limits.costUSD` leaves.",
            _RAISE,
        ),
        OutcomeReason.LIMIT_WALL_SECONDS: Meaning(
            "It took as long as `limits.wallSeconds` allows.",
            "See which of model and tools is slow; else raise the limit.",
        ),
        OutcomeReason.LIMIT_QUEUE_SECONDS: Meaning(
            "No worker took it within `limits.queueSeconds`.",
            "Check that the agent's workers run, and add some where they are busy.",
        ),
        OutcomeReason.BUDGET: Meaning(
            "A budget of the Agent had no room for its next model call.",
            "Wait until the budget's window ends, or raise the budget that the message names; answer "
            "by hand where the task is Escalated.",
        ),
        OutcomeReason.RESTRICTED: Meaning(
            "`spec.restrictions` of the Agent forbid each model that could have been asked.",
            "Answer by hand, or take the model out of `restrictions.denyModels`.",
        ),
        OutcomeReason.PERSON: Meaning("A person ended it, or has to.", "See the message."),
        OutcomeReason.INTERNAL: Meaning(
            "Penstock could not carry it out: a worker died over it, or what is stored of it cannot "
            "be read.",
            "Look for the trace id in the workers' logs.",
        ),
    }
)
