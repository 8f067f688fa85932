"""One Agent with one revision on a Redis, without a cluster: its route, its worker, its gateway."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from penstock import names, revision, task, traffic
from penstock_bench import job, stores
from penstock_bench.crew import Crew
from penstock_store.store import Store

TOKEN: Final = "bench-token"  # noqa: S105 - of a gateway that lives for a minute
TENANT: Final = "bench"
_AGENT: Final = names.AgentKey("bench", "support")


@dataclass(frozen=True)
class Product:
    """Where one Agent's parts find each other."""

    crew: Crew
    redis_url: str
    model_url: str
    template: dict[str, Any]
    agent: names.AgentKey = _AGENT

    @property
    def cut(self) -> revision.Revision:
        """The revision that serves."""
        return revision.cut(self.agent.name, self.template, {}, "penstock-runtime:bench")

    @property
    def worker_environment(self) -> dict[str, str]:
        """What the operator would tell a worker; everything else stays at its default."""
        document = self.cut.document()
        file = self.crew.folder / f"{self.cut.name}.json"
        file.write_text(json.dumps(document))
        return {
            "PENSTOCK_NAMESPACE": self.agent.namespace,
            "PENSTOCK_AGENT": self.agent.name,
            "PENSTOCK_REVISION": self.cut.name,
            "PENSTOCK_REVISION_FILE": str(file),
            "PENSTOCK_REVISION_DIGEST": revision.digest(document),
            "PENSTOCK_REDIS_URL": self.redis_url,
            "PENSTOCK_MODEL_URL": self.model_url,
            "PENSTOCK_LISTEN": f"127.0.0.1:{self.crew.port()}",
        }

    async def start_worker(
        self,
        name: str = "worker",
        command: Sequence[str | Path] = (sys.executable, "-m", "penstock_runtime.worker"),
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start a worker and wait until it is ready. ``told`` comes to its environment."""
        environment = {**self.worker_environment, **told}
        self.crew.start(name, command, environment)
        await self.crew.listening(name, int(environment["PENSTOCK_LISTEN"].rpartition(":")[2]))

    async def start_gateway(self) -> str:
        """Start a gateway; its address."""
        port, tokens = self.crew.port(), self.crew.folder / "tokens.json"
        known = {"token": TOKEN, "name": "bench", "tenant": TENANT, "agents": ["*"]}
        tokens.write_text(json.dumps({"tokens": [known]}))
        told = {
            "PENSTOCK_REDIS_URL": self.redis_url,
            "PENSTOCK_TOKENS_FILE": str(tokens),
            "PENSTOCK_LISTEN": f"127.0.0.1:{port}",
        }
        self.crew.start("gateway", [sys.executable, "-m", "penstock_runtime.gateway"], told)
        await self.crew.listening("gateway", port)
        return f"http://127.0.0.1:{port}"

    def tasks_at(self, gateway: str) -> str:
        """Where tasks of the Agent are posted."""
        return f"{gateway}/v1/namespaces/{self.agent.namespace}/agents/{self.agent.name}/tasks"

    async def route(self) -> None:
        """Give the revision all traffic."""
        cut = self.cut
        routed = {cut.hash: traffic.RoutedRevision(cut.hash, traffic.Standing.OPEN, cut.limits)}
        async with stores.opened(self.redis_url) as store:
            route = traffic.Route("uid-1", 1, 1, traffic.Split(cut.hash), revisions=routed)
            await store.routes.put(self.agent, route)


def template(instructions: str, **more: Any) -> dict[str, Any]:
    """An Agent's template."""
    return {"instructions": instructions, "model": {"name": job.MODEL, "maxTokens": 512}, **more}


async def submit(store: Store, user: str) -> str:
    """Admit one task as the gateway does; its id."""
    identifier = task.task_id(_AGENT, secrets.token_bytes(16))
    asked = task.Submission(job.QUESTION, TENANT, user=user, trace_id=secrets.token_hex(16))
    await store.tasks.admit(_AGENT, identifier, asked)
    return identifier


def command(module: str, *arguments: str | Path) -> list[str | Path]:
    """How one of Penstock's own parts of the benches is run."""
    return [sys.executable, "-m", f"penstock_bench.runtime.{module}", *arguments]


def agent() -> names.AgentKey:
    """The Agent that the benches serve."""
    return _AGENT
