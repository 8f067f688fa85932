"""The store's calls that a gateway makes, in memory: enough to see what the gateway makes of them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace

import pytest

from penstock.task import Outcome, OutcomeReason, Task, TaskStatus
from penstock.traffic import Arm
from penstock_store.listing import TaskPage
from penstock_store.records import Admission, Event

REVISION = "1a2b3c4d"
NOW_MS = 1_763_715_600_123  # 2025-11-21T09:00:00.123Z


@dataclass
class MemoryStore:
    """Tasks and events by id. ``failures`` are raised by the next calls, one each."""

    failures: list[Exception] = field(default_factory=list)
    kept: dict[str, Task] = field(default_factory=dict)
    happened: dict[str, list[Event]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    over_rate: str = ""
    escalates: bool = False

    @property
    def tasks(self):
        return self

    routes = notifications = tasks

    def _called(self, name):
        self.calls.append(name)
        if self.failures:
            raise self.failures.pop(0)

    async def aclose(self):
        self.calls.append("aclose")

    async def ping(self):
        self._called("ping")

    async def admit(self, agent, task, submission):
        self._called("admit")
        known = self.keys.get(submission.idempotency_key)
        if known is None and task not in self.kept:
            self._store(agent, task, submission)
        stored = self.kept[known or task]
        if submission.idempotency_key:
            self.keys[submission.idempotency_key] = stored.id
        return Admission(
            stored.id,
            REVISION,
            Arm.STABLE,
            7,
            stored.status,
            known is not None,
            NOW_MS,
            self.over_rate,
            self.escalates,
        )

    def _store(self, agent, task, submission):
        self.kept[task] = Task(
            id=task,
            agent=agent,
            revision=REVISION,
            status=TaskStatus.QUEUED,
            input=submission.input,
            tenant=submission.tenant,
            user=submission.user,
            session=submission.session,
            type=submission.type,
            priority=submission.priority,
            metadata=submission.metadata,
            route_version=7,
            trace_id=submission.trace_id,
            created_ms=NOW_MS,
        )
        self.happened[task] = [Event(f"{NOW_MS}-0", "queued", {"revision": REVISION})]

    async def get(self, identifier, tenant):
        self._called("task")
        found = self.kept.get(identifier)
        return found if found and tenant in (None, found.tenant) else None

    async def versions(self, agent):
        self._called("versions")
        return {}

    async def recent(self, agent, wanted, place, most):
        self._called("recent")
        fit = [
            one
            for one in reversed(self.kept.values())
            if one.agent == agent and wanted.tenant in (None, one.tenant)
        ]
        return TaskPage(tuple(fit[:most]), None)

    async def events(self, identifier, after=""):
        self._called("events")
        events = self.happened.get(identifier, [])
        ids = [event.id for event in events]
        return events[ids.index(after) + 1 :] if after in ids else list(events)

    async def wait(self, identifier, after, timeout_seconds):
        try:
            async with asyncio.timeout(timeout_seconds), self.changed:
                while not (found := await self.events(identifier, after)):
                    await self.changed.wait()
                return found
        except TimeoutError:
            return []

    async def wait_for_end(self, identifier, timeout_seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self.changed:
                while True:
                    self._called("wait_for_end")
                    if self.kept[identifier].status.ended:
                        return
                    await self.changed.wait()

    async def cancel(self, identifier, tenant):
        self._called("cancel")
        await self.end(identifier, Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON, "cancelled"))
        return self.kept[identifier]

    async def end(self, identifier, outcome=None):
        """What a worker's finish does."""
        outcome = outcome or Outcome(TaskStatus.SUCCEEDED, output="It is on its way.")
        ended = replace(
            self.kept[identifier],
            status=outcome.status,
            outcome=outcome,
            finished_ms=NOW_MS + 1500,
        )
        self.kept[identifier] = ended
        await self.happen(identifier, "finished")

    async def happen(self, identifier, kind, **data):
        """Append an event."""
        events = self.happened[identifier]
        events.append(Event(f"{NOW_MS + len(events)}-0", kind, data))
        async with self.changed:
            self.changed.notify_all()


async def until(condition, seen):
    """Return once the condition holds; fail with what was seen when it never does."""
    try:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - what is awaited rings no bell
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"it never came to that: {seen()}")
