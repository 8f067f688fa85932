"""The rows of the operators' table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock_bench.operators.phases import Cold, Restart
from penstock_bench.verdict import Goal, Peer, Row, Sense

#: Goals for memory and the length of a restart are meant for so many agents.
GOAL_AGENTS: Final = 1000
#: What each canary has of the users while there is traffic: one with more of them is looked at more often.
SHARES: Final = (5, 50)


@dataclass(frozen=True)
class Seen:
    """What was seen of one operator with some number of objects."""

    name: str
    cold: Cold
    restart: Restart | None = None
    idle_cpu: float | None = None  # seconds a minute


@dataclass(frozen=True)
class Flight:
    """CPU seconds a minute with rollouts in flight: without traffic, and with it at each share in percent."""

    name: str
    still_cpu: float
    busy_cpu: Mapping[int, float] = field(default_factory=dict)


def rows(agents: int, own: Seen, argo: Seen, deployments: Seen) -> list[Row]:
    """Cold, restarted and at rest, beside both peers."""
    return [*_cold(agents, own, argo, deployments), *_later(agents, own, argo)]


def flight_rows(rollouts: int, rate: int, own: Flight, argo: Flight) -> list[Row]:
    """Rollouts in flight; Argo's controller sees nothing of traffic."""
    what = f"{rollouts} rollouts in flight"
    found = [Row(what, "CPU s/min", (own.still_cpu,), _peer(argo.name, argo.still_cpu))]
    for percent, spent in own.busy_cpu.items():
        busy = f"{what} at {percent} %, {rate} tasks/s"
        found.append(Row(busy, "CPU s/min", (spent,), goal=Goal(Sense.AT_MOST, 8)))
    return found


def _cold(agents: int, own: Seen, argo: Seen, deployments: Seen) -> list[Row]:
    what, a, o, d = f"{agents} agents cold", argo.cold, own.cold, deployments.cold
    faster = Goal(Sense.AT_MOST, 1.0, of_peer=True)
    light = Goal(Sense.AT_MOST, 200) if agents >= GOAL_AGENTS else None

    def row(unit: str, ours: float, theirs: float, goal: Goal | None = None, note: str = "") -> Row:
        return Row(what, unit, (ours,), _peer(argo.name, theirs), goal, note)

    kinds = ", ".join(
        f"{number / agents:.1f} {kind}" for kind, number in o.writes.objects.most_common()
    )
    return [
        row("s to the last Ready", o.seconds, a.seconds, faster),
        Row(what, "s to the last Ready", (o.seconds,), _peer(deployments.name, d.seconds)),
        row("CPU ms/agent", _ms(o.cpu_seconds, agents), _ms(a.cpu_seconds, agents), _light_cpu()),
        Row(
            what,
            "CPU ms/agent",
            (_ms(o.cpu_seconds, agents),),
            _peer(deployments.name, _ms(d.cpu_seconds, agents)),
        ),
        row(
            "API server CPU ms/agent",
            _ms(o.server_cpu_seconds, agents),
            _ms(a.server_cpu_seconds, agents),
        ),
        row("resident MiB", o.resident_mib, a.resident_mib, light),
        row("writes/agent", o.writes.total / agents, a.writes.total / agents, note=kinds),
        row("Events/agent", o.writes.events / agents, a.writes.events / agents),
    ]


def _later(agents: int, own: Seen, argo: Seen) -> list[Row]:
    found = []
    if own.restart and argo.restart:
        what, o, a = f"{agents} agents, restart", own.restart, argo.restart
        soon = Goal(Sense.AT_MOST, 3) if agents >= GOAL_AGENTS else None
        none = Goal(Sense.AT_MOST, 0, anywhere=True)
        written = [seen.writes.total + seen.writes.events for seen in (o, a)]
        found += [
            Row(what, "writes, Events too", (written[0],), _peer(argo.name, written[1]), none),
            Row(what, "s until all were seen", (o.seconds,), _peer(argo.name, a.seconds), soon),
            Row(what, "CPU s", (o.cpu_seconds,), _peer(argo.name, a.cpu_seconds)),
        ]
    if own.idle_cpu is not None and argo.idle_cpu is not None:
        idle = _peer(argo.name, argo.idle_cpu)
        found.append(Row(f"{agents} agents at rest", "CPU s/min", (own.idle_cpu,), idle))
    return found


def _light_cpu() -> Goal:
    return Goal(Sense.AT_MOST, 8)


def _peer(name: str, value: float) -> Peer:
    return Peer(name, (value,))


def _ms(seconds: float, agents: int) -> float:
    return seconds * 1000 / agents
