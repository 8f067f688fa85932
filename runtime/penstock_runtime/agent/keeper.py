"""What the loop needs of the worker that runs it: to keep state, and to be told to stop."""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from penstock.api.restrictions import Restrictions
from penstock.escalation import Asked
from penstock.money.ledger import Quote
from penstock_runtime.agent.context import Context
from penstock_runtime.agent.models.answers import Answers
from penstock_runtime.agent.models.model import Ledger
from penstock_runtime.agent.step import Run
from penstock_store.records import Directive

T = TypeVar("T")
Event = tuple[str, dict[str, object]]


class Interrupted(Exception):
    """The task must be put down here.

    Args:
        directive: why; never Continue.
    """

    def __init__(self, directive: Directive) -> None:
        super().__init__(directive.value)
        self.directive = directive


class Keeper(Protocol):
    """The worker's hold on the task that runs."""

    @property
    def task_id(self) -> str:
        """The task's id."""
        ...

    @property
    def trace_id(self) -> str:
        """The task's trace id: 32 hex digits."""
        ...

    @property
    def context(self) -> Context:
        """The task's clock, ids and chance."""
        ...

    @property
    def ledger(self) -> Ledger | None:
        """Where the task's model calls reserve of budgets; None: the agent has none."""
        ...

    @property
    def answers(self) -> Answers | None:
        """The response cache, as far as the task may see it; None: there is none."""
        ...

    @property
    def restrictions(self) -> Restrictions:
        """What restricts the agent's tasks, as of the last word of the store."""
        ...

    def wall_ms(self) -> int:
        """How long the task has been worked on, earlier workers included."""
        ...

    async def save(
        self,
        run: Run,
        events: list[Event],
        *,
        replicated: bool = False,
        next_call: Quote | None = None,
    ) -> None:
        """Keep the state of the task for whoever goes on with it.

        Args:
            replicated: what follows must not happen unless replicas hold this state, where the
                installation asks for that.
            next_call: a model call follows, and reserves this of budgets in the same step.
        Raises:
            Interrupted: it is kept, and this worker must put the task down.
            NotReplicated: it is kept, and too few replicas have confirmed it.
            WorthUnknown: it is not kept: the canary's calls are bounded by what they are worth, and a call
                among ``events`` does not say it.
        """
        ...

    async def park(self, run: Run, asked: Asked) -> None:
        """Put the task down until a person has decided. It returns where too many wait already.

        Raises:
            Interrupted: it waits by now, or must be put down for another reason.
        """
        ...

    def hand_over(self) -> None:
        """The canary that works on the task may not spend more: its next ``save`` puts it down for stable."""
        ...

    async def interruptible(self, call: Coroutine[Any, Any, T]) -> T:
        """Await something that costs only time and money to do again.

        Raises:
            Interrupted: the task must be put down; the call is cancelled.
        """
        ...
