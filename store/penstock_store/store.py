"""The store: every call that Penstock makes of Redis, typed."""

from collections.abc import Mapping, Sequence

from penstock.names import AgentKey
from penstock.outcomes import Row
from penstock.task import Outcome, Submission, Task, Usage
from penstock.traffic import Route
from penstock_store.records import Admission, Claim, Directive, Event, Look


class Store:
    """A connection to Redis. Every call has a deadline and raises StoreUnavailable past it."""

    @classmethod
    def connect(
        cls, url: str, *, installation: str = "penstock", timeout_seconds: float = 5.0
    ) -> "Store":
        """A store on the Redis at ``url`` (redis:// or rediss://); connects on first use."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close all connections."""
        raise NotImplementedError

    async def ping(self) -> None:
        """Check that Redis answers."""
        raise NotImplementedError

    # -- the operator's side ---------------------------------------------------------------

    async def set_route(self, agent: AgentKey, route: Route) -> None:
        """Put a route in force, with the standing and limits of its revisions.

        Raises:
            StaleWrite: a route of the same uid with a higher (epoch, version) is in force; the
                same (epoch, version) again is accepted and changes nothing but the revisions.
        """
        raise NotImplementedError

    async def look(self, agent: AgentKey, revisions: Sequence[str]) -> Look:
        """One agent as Redis has it now, with the work of the named revision hashes."""
        raise NotImplementedError

    async def rows(self, agent: AgentKey, after: str = "", limit: int = 10000) -> list[Row]:
        """Outcome rows with an id greater than ``after``, oldest first."""
        raise NotImplementedError

    async def rehome(self, agent: AgentKey, revision: str, limit: int = 200) -> int:
        """Move work that has not begun from a revision to stable, as its standing says.

        Rejected: everything queued, and claimed tasks whose worker is gone. Superseded and
        Withdrawn: queued tasks without an older session. Returns how many were moved; call again
        until it is 0. A moved task writes a REHOMED row and is a sample of neither side.
        """
        raise NotImplementedError

    async def set_index(self, agents: Mapping[AgentKey, str]) -> None:
        """Replace the index of agents (to their uid) and stamp it complete."""
        raise NotImplementedError

    async def close_agent(self, agent: AgentKey, uid: str) -> int:
        """Close a deleted agent: no route, queued tasks end Cancelled. Returns how many ended."""
        raise NotImplementedError

    async def index(self) -> dict[AgentKey, str]:
        """The index of agents as last written."""
        raise NotImplementedError

    # -- the gateway's side ----------------------------------------------------------------

    async def admit(self, agent: AgentKey, task: str, submission: Submission) -> Admission:
        """Route, pin, store and queue a task in one step, or return the one of the same key.

        Args:
            task: the id the task gets if it is new (``penstock.task.task_id``).
        Raises:
            AdmissionRefused: problem is one of agent-not-found, no-route, agent-suspended,
                idempotency-key-reused, input-too-long.
        """
        raise NotImplementedError

    async def task(self, identifier: str, tenant: str) -> Task | None:
        """The task of that id, if it is this tenant's."""
        raise NotImplementedError

    async def events(self, identifier: str, after: str = "") -> list[Event]:
        """Events of a task after an event id, oldest first."""
        raise NotImplementedError

    async def wait(self, identifier: str, after: str, timeout_seconds: float) -> list[Event]:
        """Events of a task after an event id, waiting for the first one; empty after the time."""
        raise NotImplementedError

    async def cancel(self, identifier: str, tenant: str) -> Task | None:
        """Cancel a task: a queued one ends at once, a running one at its next step."""
        raise NotImplementedError

    # -- the worker's side -----------------------------------------------------------------

    async def claim(
        self, agent: AgentKey, revision: str, consumer: str, limit: int
    ) -> list[Claim]:
        """Up to ``limit`` tasks to work on, lanes in order; empty while the agent is suspended."""
        raise NotImplementedError

    async def reclaim(
        self, agent: AgentKey, revision: str, consumer: str, idle_ms: int, limit: int
    ) -> list[Claim]:
        """Tasks whose worker has not sent a heartbeat for ``idle_ms``, claimed anew."""
        raise NotImplementedError

    async def wait_for_work(
        self, agent: AgentKey, revision: str, timeout_seconds: float
    ) -> None:
        """Return when a task may have been queued for the revision, or after the time."""
        raise NotImplementedError

    async def heartbeat(self, claims: Sequence[Claim], consumer: str) -> dict[str, Directive]:
        """Keep claims alive; the directive for each claim id (Continue, GiveBack, Cancel, Lost)."""
        raise NotImplementedError

    async def checkpoint(
        self, claim: Claim, state: bytes, usage: Usage, events: Sequence[tuple[str, dict[str, object]]]
    ) -> Directive:
        """Save a task's state after a step, append events (type, data), and hear what to do."""
        raise NotImplementedError

    async def release(self, claim: Claim) -> bool:
        """Give a task back: to its own revision, or to stable when its revision was rejected.

        Its checkpoint stays. Returns False when the claim was lost meanwhile.
        """
        raise NotImplementedError

    async def finish(
        self, claim: Claim, outcome: Outcome, usage: Usage, history: bytes | None = None
    ) -> bool:
        """End a task once: result, acknowledgement, outcome row, wake-up, the session's next task.

        Args:
            history: the session's conversation after this task; None leaves it as it was.
        Returns:
            False when the claim was lost meanwhile: nothing was written.
        """
        raise NotImplementedError
