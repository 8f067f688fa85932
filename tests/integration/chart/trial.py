"""A fresh installation that may lack one rule, and what of its work people see."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.integration.acceptance import manifests
from tests.integration.chart.audited import Audited
from tests.integration.chart.charts import Document, Helm
from tests.integration.chart.installed import Installation
from tests.integration.chart.rules import RuleKey

Objects = dict[str, list[dict[str, Any]]]

#: What a worker cannot even start Python with.
BROKEN = {"worker": {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]}}
_STORY = (
    manifests.agent(),
    manifests.rollout(),
    manifests.agent(name="broken", template=BROKEN),
)
_REFUSED = re.compile("forbidden|does not let the gateway create reviews")


@dataclass
class Trial:
    """One installation, of which a rule of the operator's or the gateway's may be missing.

    Args:
        role: whose rule it is; the gateway is tried when it is the gateway's, or none.
    """

    installation: Installation
    role: str = ""
    rule: RuleKey | None = None
    caller: httpx.Client | None = None
    logs: tuple[Path, ...] = ()

    @classmethod
    def of(cls, audited: Audited, helm: Helm, directory: Path, *lacks: Any) -> "Trial":
        """One in a namespace of its own, named like the directory."""
        name = directory.name
        return cls(Installation(audited, helm, directory, name, name, name, narrow=True), *lacks)

    def documents(self) -> list[Document]:
        """Accounts, rights and agents."""
        made = self.installation
        mine = made.without(self.role, self.rule) if self.rule else made.documents()
        return [*mine, *made.caller(), *map(self._here, _STORY)]

    def _here(self, document: Document) -> Document:
        about = {**document["metadata"], "namespace": self.installation.agents}
        return {**document, "metadata": about}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """With operator and, where it is looked at, gateway."""
        with contextlib.ExitStack() as stack:
            operator = stack.enter_context(self.installation.operator())
            self.logs = (operator.log,)
            if self.role != "operator":
                gateway = stack.enter_context(self.installation.gateway())
                self.caller = stack.enter_context(self.installation.client(gateway))
                self.logs = (operator.log, gateway.log)
            yield

    # ------------------------------------------------------------------------- what is seen of it

    def missed(self, objects: Objects) -> set[str]:
        """What people should see of it and do not, given all objects by namespace and kind."""
        mine = objects.get(self.installation.agents, [])
        seen = {
            "an agent serves": _condition(mine, "Agent", "support", "Ready") == "True",
            "a rollout is reported": bool(_condition(mine, "AgentRollout", "support", "Ready")),
            "an Event of the operator's": any(o["kind"] == "Event" and _is_ours(o) for o in mine),
            "a broken pod's last words": "exit code" in json.dumps(_named(mine, "Agent", "broken")),
        }
        if self.caller:
            seen["a task is accepted"] = self._is_accepted(self.caller)
        return {what for what, is_seen in seen.items() if not is_seen}

    def _is_accepted(self, caller: httpx.Client) -> bool:
        path = f"/v1/namespaces/{self.installation.agents}/agents/support/tasks"
        return caller.post(path, json={"input": "Hello?"}).status_code == httpx.codes.ACCEPTED

    def is_refused(self) -> bool:
        """Whether it was refused anything; a gateway asks for nothing before it is asked."""
        if self.caller:
            self._is_accepted(self.caller)
        return bool(self.refusals())

    def refusals(self) -> list[str]:
        """How the API server refused what either account asked for."""
        made = self.installation
        return [
            said
            for role in ("operator", "gateway")
            for said in made.audited.refused(made.account(role))
        ]

    def says_so(self) -> bool:
        """Whether one of the processes says that it was refused something."""
        return any(_REFUSED.search(log.read_text(encoding="utf-8")) for log in self.logs)


def look(audited: Audited) -> Objects:
    """All objects that people would look at, by namespace."""
    kinds = "agents,agentrollouts,events.events.k8s.io"
    found: Objects = {}
    for one in json.loads(audited.kubectl("get", kinds, "-A", "-o", "json"))["items"]:
        found.setdefault(one["metadata"]["namespace"], []).append(one)
    return found


def install(audited: Audited, trials: list[Trial]) -> None:
    """Make the namespaces, and everything in them."""
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": one.installation.namespace}}
        for one in trials
    ]
    audited.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(spaces))
    made = [document for one in trials for document in one.documents()]
    audited.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(made))


def _is_ours(event: dict[str, Any]) -> bool:
    return event.get("reportingController") == "penstock.dev/operator"


def _named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    found = (o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return next(found, {})


def _condition(objects: list[dict[str, Any]], kind: str, name: str, condition: str) -> str:
    """The status of a condition; empty when it is not there."""
    told = _named(objects, kind, name).get("status", {}).get("conditions", [])
    return next((one["status"] for one in told if one["type"] == condition), "")
