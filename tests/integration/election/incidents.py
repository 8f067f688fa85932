"""Agents of one namespace that meet the same outage under other policies, and how each of them must come out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from penstock.traffic import Arm
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product

COMPARED, HELD, UNFIT = "compared", "held", "unfit"
#: How many tasks a second each is given, and its steps.
POLICIES: Final[dict[str, tuple[float, manifests.Steps]]] = {
    COMPARED: (12, ((40, 2, 100), (50, 2, 20))),  # the first is not left before its gate has spoken
    HELD: (5, ((40, 1, 100_000),)),  # its hold is over, its tasks are never enough
    UNFIT: (5, ((40, 1, 100_000),)),
}
GATE: Final = {"name": "csat", "address": "main", "query": "vector(4.5)", "min": "4"}
#: A call fails at once and a breaker opens for a moment: neither is what is tried here.
_IMPATIENT: Final = {
    "model": {"name": "claude-haiku-5-5", "maxTokens": 256, "retries": 0},
    "worker": {"env": [{"name": "PENSTOCK_BREAKER_SECONDS", "value": "0.5"}]},
}


def agent(name: str, words: str) -> dict[str, Any]:
    """One whose calls fail at once when they fail; most of those of UNFIT do, in every version."""
    fake = {"errorPercent": 80} if name == UNFIT else {}
    return manifests.agent(words, name=name, template=_IMPATIENT, **fake)


def policy(name: str) -> dict[str, Any]:
    """An AgentRollout as its Agent's name says."""
    limits: dict[str, Any] = {"errorRatePercent": 20, "escalationRatePercent": 60}
    if name == HELD:
        limits["onSharedIncident"] = "Hold"
    if name == UNFIT:
        limits["windowSeconds"] = 15  # two of them are how long an incident may last
    steps = POLICIES[name][1]
    made = manifests.rollout(steps, name=name, agent=name, final_hold_seconds=2, guardrails=limits)
    made["spec"]["strategy"]["rollbackWindowRevisions"] = 1
    if name == COMPARED:
        made["spec"]["analysis"]["external"] = [GATE]
        made["spec"]["analysis"]["comparison"] = {
            "nextStepMayAdd": {"errorsPer1000": 500, "escalationsPer1000": 500},
            "latencyTolerancePercent": 1000,  # with all this on one machine nothing is even
            "costTolerancePercent": 1000,
        }
    return made


def begun(product: Product) -> dict[str, str]:
    """All serve their first revision; the names of these."""
    for name in POLICIES:
        product.cluster.apply(agent(name, "v1"), policy(name))
    return {name: product.until_stable(name) for name in POLICIES}


@contextlib.contextmanager
def traffic(product: Product) -> Iterator[None]:
    """Tasks for all of them."""
    with contextlib.ExitStack() as flowing:
        for name, (per_second, _) in POLICIES.items():
            flowing.enter_context(product.live_traffic(per_second, name))
        yield


def tried(product: Product) -> dict[str, str]:
    """A canary of each has users; their names."""
    for name in POLICIES:
        product.cluster.apply(agent(name, "v2"))
    for name in POLICIES:
        product.until(
            f"the canary of {name} serves",
            lambda name=name: product.log(name).routed_to(Arm.CANARY),
        )
    return {name: str(product.rollout(name)["canaryRevision"]) for name in POLICIES}


def waits(product: Product, name: str) -> tuple[str, str]:
    """What a rollout waits for: the reason and the message of Progressing."""
    return product.cluster.condition(f"agentrollout/{name}", "Progressing")[1:]


def gate_says(product: Product) -> str:
    """The number that the gate of COMPARED has."""
    gates = product.rollout(COMPARED)["analysis"]["external"]
    return str(gates[0].get("value")) if gates else ""


def until_waits(product: Product, name: str, reason: str) -> str:
    """Wait until it says that it waits for this; the message."""
    product.until(f"{name} says {reason}", lambda: waits(product, name)[0] == reason)
    return waits(product, name)[1]
