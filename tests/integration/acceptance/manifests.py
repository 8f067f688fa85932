"""Manifests of agents whose model behaves as the test says, and of rollouts in a hurry."""

import json
from typing import Any

#: (percent, holdSeconds, minTasks) of each step.
Steps = tuple[tuple[int, int, int], ...]
QUICK: Steps = ((5, 3, 5), (20, 3, 20), (50, 3, 40))
#: A first step that nobody waits for: the share is moved by hand.
PARKED: Steps = ((5, 3000, 1), (50, 3000, 1))


def agent(
    words: str = "Answer in one sentence.",
    *,
    name: str = "support",
    template: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    **fake: Any,
) -> dict[str, Any]:
    """An Agent; further keywords script the fake model, as in docs/reference/fake-model.md.

    One worker per revision unless `spec` says otherwise: a backlog is no reason here to start twenty.
    """
    script = json.dumps({"latencyMs": 20, "outputTokens": 8, **fake})
    declared = {
        "instructions": f"{words}\n#fake {script}\n",
        "model": {"name": "claude-haiku-5-5", "maxTokens": 256},
        **(template or {}),
    }
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": name},
        "spec": {"template": declared, "scaling": {"maxReplicas": 1}, **(spec or {})},
    }


def rollout(
    steps: Steps = QUICK,
    *,
    name: str = "support",
    agent: str = "support",
    final_hold_seconds: int = 4,
    guardrails: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """An AgentRollout with these steps."""
    return {
        "apiVersion": "penstock.dev/v1alpha1",
        "kind": "AgentRollout",
        "metadata": {"name": name},
        "spec": {
            "agentRef": {"name": agent},
            "strategy": {
                "steps": [
                    {"percent": percent, "holdSeconds": hold, "minTasks": fewest}
                    for percent, hold, fewest in steps
                ],
                "finalHoldSeconds": final_hold_seconds,
            },
            "analysis": {"guardrails": {"windowSeconds": 60, **(guardrails or {})}},
        },
    }
