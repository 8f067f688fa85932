"""AgentRollouts as the decision engine leaves them, one for every reason they can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.analysis.gates import Unresolved
from penstock.analysis.metrics import Tally
from penstock.api.analysis import OnStable
from penstock.api.rollout import AgentRolloutStatus
from penstock.money.ledger import Scope
from penstock.rollout import report
from penstock.rollout.capacity import Capacity
from penstock.rollout.facts import Facts
from penstock.rollout.moves import Awaited
from penstock.rollout.situation import Pods
from penstock_operator.reconcile import idle
from tests.unit.rollout import test_harm_budget
from tests.unit.rollout.test_deadlines import waiting
from tests.unit.rollout.test_external_gates import (
    at_the_end_of_a_hold,
    gated,
    says,
    unresolved,
)
from tests.unit.rollout.test_misfits import lasting
from tests.unit.rollout.test_money import DAY, MIDNIGHT, bounded, refused, stopped
from tests.unit.rollout.test_reporting import first_world
from tests.unit.rollout.test_taken_off import ALONE, FEW
from tests.unit.rollout.test_undo import after_c, undone
from tests.unit.rollout.test_watch import braked, breaking
from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    GOOD,
    START,
    C,
    S,
    World,
    canary_world,
    stable_world,
    world_at,
)


def manifest(generation: int, spec: dict[str, Any], status: AgentRolloutStatus) -> dict[str, Any]:
    """The object as the API server returns it."""
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": "support", "namespace": "acme", "generation": generation},
        "spec": spec,
        "status": status.wire(),
    }


def told(world: World) -> dict[str, Any]:
    """The AgentRollout of a world."""
    situation = world.situation
    return manifest(situation.generation, situation.spec.wire(), world.status)


def governing_nothing(reason: str, message: str) -> dict[str, Any]:
    """One that governs nothing."""
    document = told(stable_world())
    status = idle._idle(document, AgentRolloutStatus(), reason, message, START)
    return {**document, "status": status.wire()}


def orphan() -> dict[str, Any]:
    document = told(stable_world())
    status = idle.orphan_status(document, AgentRolloutStatus(), "support", START)
    return {**document, "status": status.wire()}


def deciding() -> dict[str, Any]:
    """More moves than one pass makes: what is left comes with the next."""
    world = canary_world()
    facts = Facts(replace(world.situation, observation=world.observation()), world.status)
    conditions = report.all_conditions(facts, Awaited("Deciding", "More changes follow at once."))
    status = facts.but(conditions=conditions).status
    return manifest(world.situation.generation, world.situation.spec.wire(), status)


def unread() -> dict[str, Any]:
    document = told(stable_world())
    return {**document, "metadata": {**document["metadata"], "generation": 2}}


def dead(world: World) -> World:
    """The canary's pods are dead for longer than is borne."""
    return world.pods(C, ready=0, message="OOMKilled").decide().after(30).decide()


def left_over(percent: int) -> World:
    """A setpoint that was there before the canary."""
    return stable_world().set(percent).decide().apply(C).pods(C).decide()


def unclear() -> World:
    """Stable is over the limit of 5 %, and the canary is hardly better."""
    both = {"canary": GOOD._replace(errors=10), "stable": GOOD._replace(errors=16)}
    return canary_world().measure(**both).step_over()


def rows_lost() -> World:
    """The log has lost rows that would have been counted."""
    world = world_at(20)
    seen = world.observation()
    world.observation = lambda: replace(seen, gap=True)  # type: ignore[method-assign]
    return world.after(61).decide()


def budget_share() -> World:
    """The canary has used its part of the Agent's day."""
    world = bounded(world_at(20), canaryBudgetPercent=10).change(agent_limits=(DAY,)).decide()
    part = replace(DAY, scope=Scope.CANARY, most=DAY.most * 40 // 100)
    return refused(world, part, part.most, MIDNIGHT).after(1).decide()


OUTAGE = Tally(tasks=60, errors=40)

#: By name: the world, what Argo CD shall say of its AgentRollout.
WORLDS = {
    "undoing": (lambda: after_c().ask("undo", S).decide(), "Progressing"),
    "undone": (lambda: undone(after_c()), "Degraded"),
    "no_revision": (lambda: first_world().change(latest="").decide(), "Progressing"),
    "first_not_ready": (first_world, "Progressing"),
    "canary_not_ready": (
        lambda: stable_world().apply(C).pods(C, ready=0, message="ErrImagePull").decide(),
        "Progressing",
    ),
    "pods_refused": (
        lambda: (
            stable_world()
            .apply(C)
            .change(pods={C: Pods(0, 1, "exceeded quota", needs_person=True)})
            .decide()
        ),
        "Degraded",
    ),
    "start_deadline": (
        lambda: (
            stable_world()
            .apply(C)
            .pods(C, ready=0, message="ErrImagePull")
            .decide()
            .after(601)
            .decide()
        ),
        "Degraded",
    ),
    "canary_unavailable": (lambda: dead(world_at(20)), "Progressing"),
    "stable": (stable_world, "Healthy"),
    "holding": (canary_world, "Healthy"),
    "awaiting_evidence": (
        lambda: canary_world().measure(stable=Tally(tasks=7)).step_over(),
        "Healthy",
    ),
    "measurement_missing": (lambda: canary_world().blind().step_over(), "Healthy"),
    "awaiting_capacity": (
        lambda: world_at(5).change(capacity=Capacity(19, 100, 1000)).step_over(),
        "Healthy",
    ),
    "rows_lost": (rows_lost, "Healthy"),
    "not_comparable": (
        lambda: world_at(95).measure(canary=ALONE, stable=FEW).after(1).decide().after(20).decide(),
        "Suspended",
    ),
    "approval": (lambda: world_at(20, steps=APPROVED_AT_20).measure().step_over(), "Suspended"),
    "store_away": (
        lambda: canary_world().blind().change(store_error="connection refused").decide(),
        "Progressing",
    ),
    "paused": (lambda: canary_world().edit(paused=True).step_over(), "Suspended"),
    "setpoint": (lambda: canary_world().set(20).decide(), "Suspended"),
    "ceiling": (lambda: left_over(0), "Suspended"),
    "agent_suspended": (
        lambda: canary_world().change(agent_suspended=True).decide(),
        "Suspended",
    ),
    "unclear": (unclear, "Suspended"),
    "deadline": (lambda: waiting().after(1001).decide(), "Suspended"),
    "external_gate": (lambda: says(at_the_end_of_a_hold(), "3").decide(), "Suspended"),
    "external_missing": (lambda: says(at_the_end_of_a_hold()).decide(), "Suspended"),
    **{
        f"external_{why.value}": (
            lambda why=why: unresolved(canary_world(analysis=gated()), why).decide(),
            "Degraded",
        )
        for why in Unresolved
    },
    "braked": (lambda: braked().decide(), "Suspended"),
    "goes_back": (lambda: breaking(OnStable.ROLLBACK).decide(), "Progressing"),
    "shared_incident": (
        lambda: world_at(20).measure(canary=OUTAGE, stable=OUTAGE).decide(),
        "Suspended",
    ),
    "limit_does_not_fit": (lambda: lasting().step_over(), "Suspended"),
    "spend_cap": (stopped, "Suspended"),
    "harm_budget": (test_harm_budget.stopped, "Suspended"),
    "budget_share": (budget_share, "Suspended"),
    "rolled_back": (lambda: canary_world().measure(canary=BAD).decide(), "Degraded"),
}

#: By name: how the object comes about, what Argo CD shall say of it.
CASES = {
    name: ((lambda build=build: told(build())), state) for name, (build, state) in WORLDS.items()
} | {
    "unread": (unread, "Progressing"),
    "deciding": (deciding, "Healthy"),
    "not_in_charge": (
        lambda: governing_nothing(
            "NotInCharge", "AgentRollout first is older and governs Agent support"
        ),
        "Degraded",
    ),
    "invalid": (
        lambda: governing_nothing("Invalid", "spec cannot be read: steps is no list"),
        "Degraded",
    ),
    "agent_missing": (orphan, "Degraded"),
}

#: Those kept as test data beside the script.
KEPT = ("unread", "canary_not_ready", "stable", "holding", "approval", "setpoint", "rolled_back")
