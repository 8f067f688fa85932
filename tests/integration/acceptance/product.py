"""Hands and eyes on a running Penstock: kubectl, the gateway, and what Redis has on record."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from penstock import names
from penstock.names import AgentKey
from penstock.task import Task
from penstock_dev import dev_cli, processes
from penstock_dev import environment as embedded
from penstock_dev import traffic as generator
from penstock_dev.state import StateDirectory, read_json
from penstock_store.records import RevisionWork
from penstock_store.store import Store
from tests import components
from tests.integration.acceptance import traffic
from tests.integration.acceptance.background import Background
from tests.integration.acceptance.outcome_log import OutcomeLog
from tests.integration.rollouts import Rollouts

TENANT = "default"  # of the environment's one token


@dataclass(frozen=True)
class Product(Rollouts):
    """One namespace of the running product."""

    environment: embedded.Environment
    namespace: str
    background: Background
    store: Store

    # -- users ---------------------------------------------------------------------------------

    def target(self, name: str = "support") -> generator.Target:
        """The agent behind the gateway."""
        assert self.environment.gateway_url
        return generator.Target(
            self.environment.gateway_url, self.environment.token, name, self.namespace
        )

    def live_traffic(
        self,
        per_second: float,
        name: str = "support",
        users: Callable[[int], str] = "user-{}".format,
    ) -> contextlib.AbstractContextManager[traffic.Load]:
        """Live traffic for the length of a `with` block."""
        return traffic.flowing(self.background, self.target(name), per_second, users)

    def crowd(self, users: list[str], name: str = "support") -> list[traffic.Accepted]:
        """One accepted task from each of these users."""
        load = traffic.Load()
        accepted = self.background.run(traffic.crowd(self.target(name), users, load), 240)
        assert len(accepted) == len(users), load.refused
        return accepted

    def ask(self, user: str, name: str = "support", **body: Any) -> httpx.Response:
        """One submission as it is answered."""
        document = {"input": "Where is my order?", "user": user, **body}
        return self.call("POST", self.target(name).path, json=document)

    def read(self, task: str) -> dict[str, Any]:
        """A task as its caller reads it."""
        found: dict[str, Any] = self.call("GET", f"/v1/tasks/{task}").json()
        return found

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request to the gateway; headers of the test's own go before the token."""
        headers = {"Authorization": f"Bearer {self.environment.token}"}
        headers |= request.pop("headers", {})
        url = f"{self.environment.gateway_url}{path}"
        plain = {"timeout": 60, "trust_env": False, "verify": False}  # no certificates to read
        return httpx.request(method, url, headers=headers, **plain, **request)

    def terminal(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`penstock VERB support`, as a person types it in this namespace; a worker may have to start for it."""
        where = ("-n", self.namespace, "--state-dir", str(self.environment.state_dir))
        return subprocess.run(
            [sys.executable, "-m", "penstock_cli", verb, "support", *arguments, *where],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    # -- what Redis has on record --------------------------------------------------------------

    def log(self, name: str = "support") -> OutcomeLog:
        """The outcome log of an agent."""
        key = AgentKey(self.namespace, name)
        return OutcomeLog(tuple(self.background.run(self.store.outcomes.rows(key, limit=400_000))))

    def work(self, revision: str, name: str = "support") -> RevisionWork:
        """What a revision holds right now."""
        key, revision_hash = AgentKey(self.namespace, name), names.hash_of(revision)
        look = self.background.run(self.store.routes.look(key, [revision_hash]))
        return look.work[revision_hash]

    def starts(self, identifiers: Iterable[str]) -> list[int]:
        """How often a process has begun to work on each of these tasks."""

        async def count() -> list[int]:
            events = [await self.store.notifications.events(one) for one in identifiers]
            return [sum(each.type == "started" for each in of_task) for of_task in events]

        return self.background.run(count())

    def tasks(self, identifiers: Iterable[str]) -> list[Task]:
        """Tasks as they are stored; all must be there."""

        async def read() -> list[Task | None]:
            return [await self.store.tasks.get(one, TENANT) for one in identifiers]

        found = self.background.run(read())
        assert None not in found
        return [task for task in found if task]

    def until_all_ended(
        self, load: traffic.Load, name: str = "support", seconds: float = 240.0
    ) -> OutcomeLog:
        """Wait until every task that was accepted has ended, then check that each did so once."""

        def ended() -> OutcomeLog | None:
            log = self.log(name)
            return None if log.open else log

        try:
            log: OutcomeLog = self.until(f"all tasks of {name} end", ended, seconds)
        except AssertionError as error:
            left = self.log(name)
            raise AssertionError(f"{len(left.open)} of {len(left.routed)} open: {error}") from error
        assert load.tasks <= log.routed, "accepted and never on record"
        assert set(log.finished.values()) <= {1}, "ended more than once"
        return log

    # -- processes -----------------------------------------------------------------------------

    def worker_pids(self, revision: str) -> list[int]:
        """The workers of a revision; what these have started ends with them."""
        found = []
        for noted in Path(self.environment.state_dir).glob("node/pods/*/*.process.json"):
            record = read_json(noted) or {}
            ours = record.get("namespace") == self.namespace
            if ours and record["pod"].startswith(f"{revision}-"):
                identity = processes.Identity(record["pid"], record["startedTicks"])
                found += [identity.pid] if processes.is_alive(identity) else []
        return sorted(found)

    def kill_workers(self, revision: str) -> int:
        """SIGKILL for every worker of a revision; how many there were."""
        pids = self.worker_pids(revision)
        for pid in pids:
            components.send(pid, signal.SIGKILL)
        return len(pids)

    def kill_operator(self) -> None:
        """SIGKILL for the operator; returns when its successor is ready."""
        killed = components.living(self.environment.state_dir, "operator")
        components.send(killed.pid, signal.SIGKILL)
        self.until("it is gone", lambda: not processes.is_alive(killed))
        components.living(self.environment.state_dir, "operator")
        self.until("it is ready", self._operator_ready)

    def _operator_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            url = f"{self.environment.operator_url}/readyz"
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        return False

    def stop(self, component: str, *, kill: bool = False) -> None:
        """End a component of the environment and keep it down until it is started again."""
        state = StateDirectory.at(self.environment.state_dir)
        running = components.living(self.environment.state_dir, component)
        state.stopped_file(component).touch()
        components.send(running.pid, signal.SIGKILL if kill else signal.SIGTERM)
        self.until(f"{component} is down", lambda: not processes.is_alive(running))

    def start(self, component: str) -> None:
        """Start a component again."""
        assert dev_cli.start_component(component, self.environment.state_dir) == 0
