"""Operator processes under the shipped rights, and what their Lease and their logs say."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from penstock_dev import environment as embedded
from penstock_dev import installation, processes
from penstock_dev.components import RUNTIME_IMAGE, host_environment
from penstock_dev.state import StateDirectory
from penstock_store.testing import free_port

PROGRAM = ("-m", "penstock_operator")
#: duration, renew, retry: where a Lease must expire.
QUICK = (10.0, 7.0, 1.0)
#: Where none must: what is given back is taken long before, and a busy machine renews it in time.
STEADY = (90.0, 60.0, 1.0)
LEASE_NAMESPACE = installation.SYSTEM_NAMESPACE
LEASE = "penstock-operator"  # the one that the shipped rights are for
POLL_SECONDS = 0.05
_REQUESTS = re.compile(
    r'penstock_operator_api_requests_total{code="\w+",kind="(?P<kind>\w+)",'
    r'method="(?P<method>\w+)"} (?P<count>\S+)'
)
DEADLINE_SECONDS = 120.0


def until(what: str, look: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """Poll until `look` returns something true; fails saying what was seen last."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not seen within {seconds} s: {what}: {seen!r}"
        time.sleep(POLL_SECONDS)
    return seen


@dataclass(frozen=True)
class Operator:
    """One operator process."""

    name: str
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, even when it is stopped; returns when it is gone."""
        self.process.kill()
        self.process.wait(60)

    def said(self) -> list[dict[str, Any]]:
        """Its log so far."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def says(self, event: str) -> bool:
        """Whether a line of this kind is in its log."""
        return any(line["event"] == event for line in self.said())

    def get(self, page: str) -> httpx.Response | None:
        """One of its pages; None while it does not answer."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/{page}", timeout=60, trust_env=False)
        return None

    def ready(self) -> bool:
        """Whether /readyz says so."""
        page = self.get("readyz")
        return page is not None and page.status_code == httpx.codes.OK

    def number(self, metric: str) -> float | None:
        """A metric without labels; None while it does not answer."""
        page = self.get("metrics")
        for line in page.text.splitlines() if page else ():
            if line.startswith(f"{metric} "):
                return float(line.split()[1])
        return None

    def leads(self) -> bool:
        """Whether it says of itself that it leads."""
        return self.number("penstock_leader") == 1

    def writes(self) -> dict[str, float]:
        """How many writes it asked for, by kind, those of the Lease left out."""
        page = self.get("metrics")
        found: dict[str, float] = {}
        for line in page.text.splitlines() if page else ():
            asked = _REQUESTS.match(line)
            if asked and asked["method"] != "GET" and asked["kind"] != "Lease":
                found[asked["kind"]] = found.get(asked["kind"], 0) + float(asked["count"])
        return found


@dataclass
class Operators:
    """Operators of one namespace that stand for one Lease."""

    environment: embedded.Environment
    namespace: str
    directory: Path
    started: list[Operator] = field(default_factory=list)

    def start(
        self,
        name: str,
        timing: tuple[float, float, float] = QUICK,
        program: tuple[str, ...] = PROGRAM,
        **more: str,
    ) -> Operator:
        """Start one and wait until it is ready."""
        operator = self.launch(name, timing, program, **more)
        until(f"{name} is ready", lambda: self._ready(operator))
        return operator

    def launch(
        self,
        name: str,
        timing: tuple[float, float, float] = QUICK,
        program: tuple[str, ...] = PROGRAM,
        **more: str,
    ) -> Operator:
        """Start one, which need not ever be ready."""
        port = free_port()
        log = self.directory / f"{name}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, *program],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._variables(name, port, timing) | more,
            )
        operator = Operator(name, process, f"http://127.0.0.1:{port}", log)
        self.started.append(operator)
        return operator

    def _ready(self, operator: Operator) -> bool:
        assert operator.process.poll() is None, operator.log.read_text(encoding="utf-8")
        return operator.ready()

    def _variables(
        self, name: str, port: int, timing: tuple[float, float, float]
    ) -> dict[str, str]:
        state = StateDirectory.at(self.environment.state_dir)
        duration, renew, retry = map(str, timing)
        return {
            **host_environment(os.environ),
            processes.OWNER_VARIABLE: state.owner,
            "PENSTOCK_KUBECONFIG": str(state.root / "pki" / "operator.conf"),
            "PENSTOCK_REDIS_URL": str(self.environment.redis_url),
            "PENSTOCK_MODEL_URL": str(self.environment.model_url),
            "PENSTOCK_RUNTIME_IMAGE": RUNTIME_IMAGE,
            "PENSTOCK_LISTEN": f"127.0.0.1:{port}",
            "PENSTOCK_NAMESPACES": self.namespace,
            "PENSTOCK_SETTLE_SECONDS": "0.2",
            "PENSTOCK_NAMESPACE": LEASE_NAMESPACE,
            "PENSTOCK_POD_NAME": name,
            "PENSTOCK_LEASE": LEASE,
            "PENSTOCK_LEASE_DURATION_SECONDS": duration,
            "PENSTOCK_LEASE_RENEW_SECONDS": renew,
            "PENSTOCK_LEASE_RETRY_SECONDS": retry,
        }

    # ------------------------------------------------------------------------------- the Lease

    def kubectl(self, *arguments: str) -> str:
        """kubectl as administrator where the Lease is."""
        done = subprocess.run(
            [
                str(self.environment.kubectl),
                f"--kubeconfig={self.environment.kubeconfig}",
                f"--namespace={LEASE_NAMESPACE}",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lease(self) -> dict[str, Any]:
        """The spec of the Lease; empty when there is none."""
        shown = self.kubectl("get", "lease", LEASE, "-o", "json", "--ignore-not-found")
        spec: dict[str, Any] = json.loads(shown)["spec"] if shown.strip() else {}
        return spec

    def delete_lease(self) -> None:
        """As a person might."""
        self.kubectl("delete", "lease", LEASE, "--ignore-not-found")

    def epoch(self) -> int:
        """How often the Lease has changed hands."""
        return int(self.lease().get("leaseTransitions", 0))

    def holder(self) -> str:
        """Name of the operator that the Lease names; empty when it names none."""
        return str(self.lease().get("holderIdentity", "")).partition("_")[0]

    def until_leads(self, operator: Operator, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until an operator leads by its own word and by the Lease's."""
        until(f"{operator.name} leads", operator.leads, seconds)
        assert self.holder() == operator.name
