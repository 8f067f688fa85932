"""A worker of Penstock, its own `main`, that counts: own_worker.py SKIPPED COUNTED MODEL_CALLS [RESULT].

Told by the environment as any worker. With the model at job.NOWHERE it is answered at once inside of the process, so that only
claim, loop, transcript, checkpoint, end, metrics and log lines are left: what a queue library's worker does, and more.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from penstock import task
from penstock.money.ledger import Settlement
from penstock_bench import job
from penstock_bench.counting import Count, leave
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Model, Reply, Request
from penstock_runtime.worker import boot, main
from penstock_store.agent_scripts import AgentScripts
from penstock_store.claims import Claims, Event
from penstock_store.connection import Connection
from penstock_store.records import Claim, Directive
from penstock_store.scripts import Scripts
from penstock_store.store import Store

_layered_model = boot.layered_model


class Instant(scripted.ScriptedModel):
    """A model that costs nothing."""

    async def reply(self, request: Request) -> Reply:  # noqa: ARG002 - it always says the same
        """The same words at once."""
        return scripted.text(job.OUTPUT)


def layered(_endpoint: Model, *layers: Any) -> Model:
    """What the worker's loop asks, on a model inside instead of the one that it was told."""
    return _layered_model(Instant(()), *layers)


def counting(count: Count, model_calls: int) -> type[Store]:
    """The store, counting tasks that ended as they should; another end ends the process."""

    def counted(outcome: task.Outcome, usage: task.Usage) -> None:
        if outcome.status is not task.TaskStatus.SUCCEEDED or usage.model_calls != model_calls:
            leave(3, f"{outcome} after {usage}")
        count.one()

    class CountingClaims(Claims):
        async def finish(
            self,
            claim: Claim,
            outcome: task.Outcome,
            usage: task.Usage,
            history: bytes | None = None,
            settle: Sequence[Settlement] = (),
        ) -> bool:
            ended = await super().finish(claim, outcome, usage, history, settle)
            counted(outcome, usage)
            return ended

        async def finish_step(
            self,
            claim: Claim,
            outcome: task.Outcome,
            usage: task.Usage,
            history: bytes | None,
            events: Sequence[Event],
            settle: Sequence[Settlement] = (),
        ) -> Directive:
            said = await super().finish_step(claim, outcome, usage, history, events, settle)
            counted(outcome, usage)
            return said

    class Counting(Store):
        def __init__(self, connection: Connection, scripts: Scripts, installation: str) -> None:
            super().__init__(connection, scripts, installation)
            self.claims = CountingClaims(AgentScripts(connection, scripts))

    return Counting


def serve(skipped: str, counted: str, model_calls: str, *result: str) -> int:
    """Run the worker; returns its exit code when it was told to stop."""
    count = Count(int(skipped), int(counted), Path(result[0]) if result else None)
    store = counting(count, int(model_calls))
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(main, "Store", store))
        if os.environ["PENSTOCK_MODEL_URL"] == job.NOWHERE:
            patches.enter_context(mock.patch.object(boot, "layered_model", layered))
        return main.main()


if __name__ == "__main__":
    sys.exit(serve(*sys.argv[1:]))
