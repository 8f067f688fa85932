"""A pretended cluster and its users, so that the demo's story can be told things that go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from penstock_dev.demo.seen import Scene, Seen
from penstock_dev.demo.stage import Stage
from penstock_dev.traffic import Answer

STABLE, CANARY = "support-aaaaaaaa", "support-bbbbbbbb"
VERSIONS = {STABLE: "2.0", CANARY: "3.0"}
NUMBERS = "rolled back at 5 %: error rate 30.0 % on the canary (6/20) and 0.0 % on stable (0/400)"


def verdict(result: str = "Rejected", reason: str = "ErrorRateRegression") -> dict[str, object]:
    return {
        "revision": CANARY,
        "attempt": 1,
        "result": result,
        "reason": reason,
        "message": NUMBERS,
        "at": "2026-01-01T10:00:00Z",
        "check": "errorRate",
        "percent": 5,
        "tasks": 20,
        "users": 18,
    }


def seen(
    *,
    percent: int = 0,
    stable: str = STABLE,
    canary: str | None = CANARY,
    verdicts: tuple[dict[str, object], ...] = (),
    source: str = "Automatic",
    stage: str | None = None,
) -> Seen:
    """A moment of a rollout; with a verdict the canary is not under way."""
    canaries = [{"revision": canary, "role": "Candidate", "percent": percent}]
    stables = [{"revision": stable, "role": "Stable", "percent": 100 - percent}]
    agent = {
        "traffic": {"version": 1, "targets": stables + (canaries if percent else [])},
        "conditions": [condition("Ready", "Serving", f"{stable} serves with 1 worker")],
    }
    rollout = {
        "stableRevision": stable,
        "stage": stage or ("Done" if verdicts or not canary else "Steps"),
        "share": {"percent": percent, "source": source},
        "verdicts": list(verdicts),
        "conditions": [condition("Progressing", "Holding", "held until ten")],
        "analysis": {"checks": [check("errorRate", "Breached" if verdicts else "Passing")]},
    }
    if canary:
        rollout["canaryRevision"] = canary
    return Seen(versions=VERSIONS).updated({"status": agent}, {"status": rollout})


def check(name: str, word: str) -> dict[str, str]:
    numbers = {"candidate": "30.0 % (6/20)", "stable": "0.0 % (0/400)", "limit": "5 %"}
    return {"name": name, **numbers, "verdict": word}


def condition(kind: str, reason: str, message: str) -> dict[str, object]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T10:00:00Z",
    }


def answer(user: int, revision: str, sent_at: float, status: str = "Succeeded") -> Answer:
    return Answer(
        f"user-{user:04d}",
        "Where is my order?",
        sent_at,
        waited_seconds=0.1,
        status=status,
        revision=revision,
        output="It is packed." if status == "Succeeded" else "",
        message="" if status == "Succeeded" else "the model call failed",
    )


@dataclass
class FakeCluster:
    """What is seen, and what each command changes: the first handler whose word is in it acts."""

    seen: Seen
    handlers: dict[str, Callable[[], str | None]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    async def run(self, command: str) -> str:
        self.commands.append(command)
        for word, handler in self.handlers.items():
            if word in command:
                return handler() or ""
        return ""

    def becomes(self, moment: Seen) -> None:
        self.seen = moment


@dataclass
class Listener:
    """A view that remembers."""

    said: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    scenes: list[Scene] = field(default_factory=list)

    def say(self, text: str, command: str = "") -> None:
        self.said.append(text)
        self.commands += [command] if command else []

    def detail(self, text: str) -> None:
        self.details.append(text)

    def show(self, scene: Scene) -> None:
        self.scenes.append(scene)


def stage_with(moment: Seen, **handlers: Callable[[], str | None]) -> Stage:
    return Stage(
        FakeCluster(moment, handlers), Listener(), Path("manifests"), (5, 20, 50), lambda: 1.0
    )


def record() -> str:
    return json.dumps(verdict())
