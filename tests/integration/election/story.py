"""Two rollouts side by side, of a good canary and of a bad one, and how both must end."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from penstock import names
from tests.integration.acceptance import manifests
from tests.integration.acceptance.outcome_log import OutcomeLog
from tests.integration.acceptance.product import Product
from tests.integration.election.history import History

GOOD: Final = "good"
BAD: Final = "bad"
AGENTS: Final = (GOOD, BAD)
_PROGRAM: Final = str(Path(__file__).with_name("mortal.py"))
_CHILDREN: Final = "controllerrevisions,configmaps,deployments,replicasets,pods,secrets"


def program(*life: str) -> tuple[str, ...]:
    """The operator, with cohorts so short that a proof takes seconds; and how long it lives.

    ``PENSTOCK_COHORT_SECONDS=60`` is the product's own length.
    """
    seconds = float(os.environ.get("PENSTOCK_COHORT_SECONDS", "3"))
    return (_PROGRAM, str(round(seconds * 1000)), *life)


def policy(name: str, steps: manifests.Steps, hold_seconds: int) -> dict[str, Any]:
    """Wide limits: what is worse than stable is left to the comparison to find."""
    wide = {"errorRatePercent": 60, "escalationRatePercent": 60}
    made = manifests.rollout(
        steps, name=name, agent=name, final_hold_seconds=hold_seconds, guardrails=wide
    )
    made["spec"]["analysis"]["comparison"] = {
        "nextStepMayAdd": {"errorsPer1000": 500, "escalationsPer1000": 500},
        "latencyTolerancePercent": 1000,  # with all this on one machine nothing is even
        "costTolerancePercent": 1000,  # how long a prompt is matters to a mean of 0.000006 USD
    }
    return made


@dataclass(frozen=True)
class Story:
    """The two rollouts of one namespace; each has steps at 20 and 50 %, held for so long."""

    product: Product
    hold_seconds: int
    stable: dict[str, str]

    @classmethod
    def begun(cls, product: Product, hold_seconds: int) -> Story:
        """Both Agents serve their first revision."""
        for name in AGENTS:
            made = policy(name, _steps(hold_seconds), hold_seconds)
            product.cluster.apply(_agent("v1", name), made)
        stable = {name: product.until_stable(name) for name in AGENTS}
        return cls(product, hold_seconds, stable)

    def try_canaries(self) -> None:
        """A canary of each: one is as stable is, the other fails too often, below every limit."""
        self.product.cluster.apply(_agent("v2", GOOD), _agent("v2", BAD, errorPercent=30))

    def until_result(self, name: str, seconds: float) -> str:
        """Wait for the first verdict; what it says."""

        def result() -> str:
            told = self.product.rollout(name).get("verdicts")
            return str(told[-1]["result"]) if told else ""

        return str(self.product.until(f"a verdict on {name}", result, seconds))

    def check_end(self, seen: History, rows: dict[str, OutcomeLog]) -> None:
        """What is there after it all, and what happened on the way.

        Args:
            rows: of the outcome logs, also those that Redis has lost since.
        """
        product = self.product
        canary = {name: self._canary(name) for name in AGENTS}
        for name in AGENTS:
            spec = policy(name, _steps(self.hold_seconds), self.hold_seconds)["spec"]
            seen.check(name, spec, rows[name].rows)
        expected = {GOOD: (canary[GOOD], "Promoted"), BAD: (self.stable[BAD], "Rejected")}
        for name, (serves, result) in expected.items():
            status = product.rollout(name)
            told = [(one["revision"], one["result"]) for one in status["verdicts"]]
            assert told == [(canary[name], result)]
            assert (status["stage"], product.share(name)) == ("Done", 0)
            product.until(
                f"{name} tells who serves",
                lambda name=name, serves=serves: product.agent(name)["stableRevision"] == serves,
            )
            assert product.ask("somebody", name).json()["revision"] == serves
        record = product.cluster.get("controllerrevision", canary[BAD])
        verdict = json.loads(record["metadata"]["annotations"][names.ANNOTATION_VERDICT])
        assert verdict["result"] == "Rejected"
        found = self._check_children({GOOD: canary[GOOD], BAD: self.stable[BAD]})
        records = {
            one["metadata"]["name"]: one["data"] for one in found if one["kind"] == "ConfigMap"
        }
        for name in AGENTS:
            kept = records.pop(names.decisions_name(canary[name]), {})
            _check_decisions(kept, product.rollout(name)["decisions"])
        revisions = {*canary.values(), *self.stable.values()}
        assert set(records) == revisions, (
            "each revision has what its workers read, and no more is there"
        )

    def _canary(self, name: str) -> str:
        records = self.product.cluster.items("controllerrevisions")
        [found] = {
            one["metadata"]["name"]
            for one in records
            if one["metadata"]["labels"][names.LABEL_AGENT] == name
        } - {self.stable[name]}
        return str(found)

    def _check_children(self, serving: dict[str, str]) -> list[dict[str, Any]]:
        """All that is there: of each revision a record, of who serves one of all that runs.

        ConfigMaps are left to the caller: where an operator died over each decision on a canary, none is kept.
        """
        kept = {"ControllerRevision": 4, "Deployment": 2, "ReplicaSet": 2, "Pod": 2}

        def children() -> list[dict[str, Any]]:
            return [one for one in self.product.cluster.items(_CHILDREN) if _ours(one)]

        def settled() -> list[dict[str, Any]] | None:
            found = children()
            counted = Counter(one["kind"] for one in found if one["kind"] != "ConfigMap")
            return found if counted == kept else None

        try:
            found: list[dict[str, Any]] = self.product.until("nothing is left over", settled)
        except AssertionError as error:
            there = sorted(f"{one['kind']} {one['metadata']['name']}" for one in children())
            raise AssertionError(f"{kept} are to be kept, there are {there}: {error}") from error
        hashes = {names.hash_of(name) for name in serving.values()}
        for one in found:
            assert one["metadata"]["ownerReferences"], one["metadata"]
            if one["kind"] in ("Deployment", "ReplicaSet", "Pod"):
                assert one["metadata"]["labels"][names.LABEL_REVISION] in hashes, one["metadata"]
        return found


def _check_decisions(kept: dict[str, str], head: dict[str, Any]) -> None:
    """What is kept is one chain up to the head in status; one that an operator died over is missing.

    Beside the decisions, by number, stands what the canary's calls have done.
    """
    kept = {key: text for key, text in kept.items() if key.partition(".")[0].isdigit()}
    entries = {int(json.loads(text)["number"]): text for text in kept.values()}
    digests = {
        number: hashlib.sha256(text.encode()).hexdigest() for number, text in entries.items()
    }
    assert len(entries) == len(kept), "a number twice"
    assert max(entries, default=0) <= head["count"], (sorted(kept), head)
    assert digests.get(head["count"], head["head"]) == head["head"]
    for number, text in entries.items():
        before = json.loads(text)["previous"]
        assert digests.get(number - 1, before) == before, (number, text)


def _agent(words: str, name: str, **fake: Any) -> dict[str, Any]:
    """Of tasks that were open when rows were lost nothing is known until they are overdue."""
    limits = {"limits": {"queueSeconds": 60, "wallSeconds": 60}}
    return manifests.agent(words, name=name, template=limits, **fake)


def _steps(hold_seconds: int) -> manifests.Steps:
    return ((20, hold_seconds, 10), (50, hold_seconds, 20))


def _ours(obj: dict[str, Any]) -> bool:
    """Whether it is not one of the objects that Kubernetes puts into every namespace."""
    return obj["metadata"]["name"] != "kube-root-ca.crt"
