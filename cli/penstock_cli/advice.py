"""What can be typed where a rollout waits. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from penstock import names
from penstock.api.reasons import WaitReason
from penstock.api.rollout import Stage
from penstock.rollout import commands as rollout_commands
from penstock.rollout.requests import Verb
from penstock_cli.seen import Seen


@dataclass(frozen=True)
class Command:
    """A command, ready to paste, and what comes of it."""

    command: str
    effect: str


_Advice = Callable[[Seen], tuple[Command, ...]]


def commands(seen: Seen, *, outdated: bool) -> tuple[Command, ...]:
    """The commands for what a rollout waits for; those that look after the operator come first.

    Args:
        outdated: what the operator has said does not fit what is to be seen.
    """
    advice = BY_REASON.get(seen.status.waiting)
    found = advice(seen) if advice else ()
    return (*_operator(seen), *found) if outdated or seen.unseen or not advice else found


def _penstock(seen: Seen, verb: str, *more: str) -> str:
    where = f" -n {seen.namespace}" if seen.namespace else ""
    return " ".join(["penstock", verb, seen.name, *more]) + where


def _operator(_: Seen) -> tuple[Command, ...]:
    look = "kubectl get pods,leases -n penstock-system"
    return (Command(look, "does an operator run, and does one of them lead"),)


def _abort(seen: Seen) -> Command:
    effect = "takes the canary off and rejects it"
    if not seen.stable:
        effect = "rejects it; nobody is served then, until retry or another template"
    return Command(_penstock(seen, "abort"), effect)


def _promote(effect: str) -> Callable[[Seen], Command]:
    return lambda seen: Command(_penstock(seen, "promote"), effect)


def _waits(effect: str) -> _Advice:
    """What goes on by itself: a person can pass it, or end it."""
    promote = _promote(effect)
    return lambda seen: (*_copies(seen), promote(seen), _abort(seen))


def _copies(seen: Seen) -> tuple[Command, ...]:
    """Where a canary is tried on copies: on which calls they differ."""
    if seen.status.stage is not Stage.SHADOW:
        return ()
    where = f" -n {seen.namespace}" if seen.namespace else ""
    told = f"penstock copies {seen.agent_name} --revision {seen.canary}{where}"
    return (Command(told, "on which calls copies differ from stable's tasks"),)


def _comes_back(seen: Seen) -> tuple[Command, ...]:
    """While the canary is off for a while, or held for what stable does too: less than everybody would wait for that to end."""
    everybody = Command(
        _penstock(seen, "promote", "--full"), "serves everybody at once, unmeasured"
    )
    return (everybody, _abort(seen))


def _paused(seen: Seen) -> tuple[Command, ...]:
    return (Command(_penstock(seen, "resume"), "the steps go on"), _abort(seen))


def _setpoint(seen: Seen) -> tuple[Command, ...]:
    steps = Command(_penstock(seen, "set-percent", "auto"), "the steps go on from this share")
    return (steps, Command(_penstock(seen, "promote", "--full"), "everybody"), _abort(seen))


def _ceiling(seen: Seen) -> tuple[Command, ...]:
    percent = seen.spec.traffic.canary_percent or 0
    return (
        Command(_penstock(seen, "set-percent", "auto"), "the left-over setpoint goes"),
        Command(_penstock(seen, "set-percent", str(percent)), "it is meant for this canary"),
        _abort(seen),
    )


def _rejected(seen: Seen) -> tuple[Command, ...]:
    failed = f"penstock tasks list {seen.agent_name} --failed --by reason --revision {seen.canary}"
    where = f" -n {seen.namespace}" if seen.namespace else ""
    return (
        Command(f"{failed}{where}", "what failed"),
        Command(_penstock(seen, "retry"), "another attempt, from the first step"),
    )


def _pods(seen: Seen) -> tuple[Command, ...]:
    revision = seen.agent.latest_revision or seen.canary
    chosen = (
        f"{names.LABEL_AGENT}={seen.agent_name},{names.LABEL_REVISION}={names.hash_of(revision)}"
    )
    where = f" -n {seen.namespace}" if seen.namespace else ""
    look = Command(f"kubectl describe pods -l {chosen}{where}", "why no pod is ready")
    logs = Command(f"kubectl logs -l {chosen} --tail 50{where}", "what its worker says")
    return (look, logs, _abort(seen)) if seen.canary else (look, logs)


def _braked(seen: Seen) -> tuple[Command, ...]:
    """Stable broke a limit, and admits nothing until a person lets it."""
    if not seen.status.braked:
        return ()
    stable = seen.status.stable_revision or ""
    place = rollout_commands.place(seen.name, seen.namespace)
    retry = rollout_commands.annotate(f"agentrollout {place}", Verb.RETRY, stable)
    return (Command(retry, f"{stable} is admitted to again, though it broke a limit"),)


def _suspended(seen: Seen) -> tuple[Command, ...]:
    spec = seen.documents.agent.get("spec") or {}
    if not spec.get("suspended") and (braked := _braked(seen)):
        return braked
    patch = """--type merge -p '{"spec":{"suspended":false}}'"""
    where = f" -n {seen.namespace}" if seen.namespace else ""
    return (Command(f"kubectl patch agent {seen.agent_name}{where} {patch}", "tasks are admitted"),)


def _describe(seen: Seen) -> tuple[Command, ...]:
    where = f" -n {seen.namespace}" if seen.namespace else ""
    return (Command(f"kubectl describe agent {seen.agent_name}{where}", "why none could be cut"),)


def _none(_: Seen) -> tuple[Command, ...]:
    return ()


BY_REASON: Final[Mapping[str, _Advice]] = {
    WaitReason.AGENT_SUSPENDED: _suspended,
    WaitReason.ANALYSIS_UNCLEAR: _waits("goes on all the same"),
    WaitReason.AWAITING_CAPACITY: _waits("goes on with the workers there are"),
    WaitReason.AWAITING_EVIDENCE: _waits("goes on without that evidence"),
    WaitReason.BUDGET_SHARE_REACHED: _waits("lets it go on without that limit"),
    WaitReason.CANARY_NOT_READY: _pods,
    WaitReason.CANARY_UNAVAILABLE: _pods,
    WaitReason.CEILING_REACHED: _ceiling,
    WaitReason.DECIDING: _none,
    WaitReason.DEADLINE_EXCEEDED: _waits("goes on all the same"),
    WaitReason.EXTERNAL_GATE: _waits("goes on past the gate"),
    WaitReason.EXTERNAL_MISSING: _waits("goes on without that number"),
    WaitReason.FIRST_REVISION_NOT_READY: _pods,
    WaitReason.HELD_BY_SETPOINT: _setpoint,
    WaitReason.HARM_BUDGET_REACHED: _waits("lets it go on without that limit"),
    WaitReason.HOLDING: _waits("goes on without the rest of the hold"),
    WaitReason.HOLD_FOR_APPROVAL: _waits("approves"),
    WaitReason.LIMIT_DOES_NOT_FIT: _waits("goes on all the same"),
    WaitReason.MEASUREMENT_MISSING: _operator,
    WaitReason.NOT_COMPARABLE: _comes_back,
    WaitReason.NO_CANARY: _braked,
    WaitReason.NO_REVISION: _describe,
    WaitReason.PAUSED: _paused,
    WaitReason.ROLLED_BACK: _rejected,
    WaitReason.ROWS_LOST: _comes_back,
    WaitReason.SHARED_INCIDENT: _comes_back,
    WaitReason.SPEND_CAP_REACHED: _waits("lets it go on without that limit"),
    WaitReason.STORE_UNAVAILABLE: _operator,
    WaitReason.UNDOING: _pods,
}
