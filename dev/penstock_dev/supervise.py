"""The supervisor process: brings an environment up, keeps it up, takes it down.

python -m penstock_dev.supervise --state-dir D --components controlplane,redis [--lifeline FD]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import os
import secrets
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from penstock_dev import (
    components,
    environment,
    installation,
    kube,
    ports,
    processes,
    signals,
    supervisor,
)
from penstock_dev.components import Endpoints, Ports
from penstock_dev.controlplane import binaries, cluster
from penstock_dev.state import StateDirectory, read_json, write_json

_EXPECTED = (
    supervisor.StartFailed,
    binaries.BinariesUnavailable,
    kube.ApiError,
    kube.TransportError,
    OSError,
)


@dataclasses.dataclass(frozen=True)
class Launch:
    """What one supervisor was asked to run."""

    endpoints: Endpoints
    selected: frozenset[str]
    crew: supervisor.Crew
    report: supervisor.Report
    model_key: str | None


def main() -> None:
    """Run one environment until it is told to end; exit code 1 when it could not start."""
    parser = argparse.ArgumentParser(prog="penstock_dev.supervise")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--components", required=True)
    parser.add_argument("--lifeline", type=int)
    arguments = parser.parse_args()
    signals.as_in_the_foreground()
    state = StateDirectory.at(arguments.state_dir)
    lock = state.lock()
    if lock is None:
        sys.exit(f"an environment already runs in {state.root}")
    with lock:
        state.record("supervisor", processes.myself())
        selected = frozenset(arguments.components.split(","))
        succeeded = asyncio.run(_supervise(state, selected, arguments.lifeline))
        state.run_file("supervisor").unlink(missing_ok=True)
    sys.exit(0 if succeeded else 1)


async def _supervise(state: StateDirectory, selected: frozenset[str], lifeline: int | None) -> bool:
    """Up, wait for the end, down; False when `up` failed."""
    started = time.monotonic()

    def report(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", flush=True)

    ending = _ending(lifeline)
    environment.clear_strays(state)
    held = _reserve_ports(state)
    model_key = os.environ.get("ANTHROPIC_API_KEY") or None
    endpoints = _endpoints(state, held, selected, model_key)
    succeeded = True
    async with asyncio.TaskGroup() as group:
        crew = supervisor.Crew(state, group, report)
        launch = Launch(endpoints, selected, crew, report, model_key)
        try:
            await _until(ending, _bring_up_and_publish(launch))
            await ending
        except* _EXPECTED as failures:
            succeeded = False
            _publish_failure(state, _reason(failures), report)
        report("stopping")
        await crew.stop()
    processes.sweep(state.owner, spare=[os.getppid()])
    return succeeded


def _ending(lifeline: int | None) -> asyncio.Future[None]:
    """Done when the environment shall end: a signal, or the starter's death."""
    loop = asyncio.get_running_loop()
    ending: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ending.done():
            ending.set_result(None)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, end)
    if lifeline is not None:
        os.set_inheritable(lifeline, False)  # noqa: FBT003

        def hung_up() -> None:
            loop.remove_reader(lifeline)
            end()

        loop.add_reader(lifeline, hung_up)
    return ending


async def _until(ending: asyncio.Future[None], work: Coroutine[Any, Any, None]) -> None:
    """Run `work`, but give it up when the environment shall end."""
    task = asyncio.create_task(work)
    await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return
    task.result()


def _reserve_ports(state: StateDirectory) -> dict[str, ports.Reservation]:
    """Hold the ports of an earlier life if they are free, else others."""
    path = state.root / "ports.json"
    earlier = read_json(path) or {}
    held = {
        field.name: ports.reserve(earlier.get(field.name)) for field in dataclasses.fields(Ports)
    }
    write_json(path, {name: reservation.port for name, reservation in held.items()})
    return held


def _endpoints(
    state: StateDirectory,
    held: dict[str, ports.Reservation],
    selected: frozenset[str],
    model_key: str | None,
) -> Endpoints:
    chosen = Ports(**{name: reservation.port for name, reservation in held.items()})
    fake = f"http://127.0.0.1:{chosen.model}" if "model" in selected else None
    return Endpoints(state, chosen, components.ANTHROPIC_URL if model_key else fake)


async def _bring_up_and_publish(launch: Launch) -> None:
    endpoints = launch.endpoints
    _write_tokens(endpoints)
    kubectl = await _bring_up(launch)
    has = launch.selected.__contains__
    tokens = read_json(endpoints.tokens_file)["tokens"]
    deciding = [one["token"] for one in tokens if one.get("approve")]
    write_json(
        endpoints.state.environment_file,
        {
            "phase": "ready",
            "stateDir": str(endpoints.state.root),
            "components": sorted(launch.selected),
            "kubeconfig": str(endpoints.state.kubeconfig) if has("controlplane") else None,
            "kubectl": str(kubectl) if kubectl else None,
            "gatewayURL": endpoints.gateway_url if has("gateway") else None,
            "token": tokens[0]["token"],
            "approverToken": next(iter(deciding), None),
            "secondApproverToken": next(iter(deciding[1:]), None),
            "auditorToken": _auditor_token(endpoints, launch.selected),
            "modelURL": endpoints.model_url,
            "redisURL": endpoints.redis_url if has("redis") else None,
            "operatorURL": endpoints.operator_url if has("operator") else None,
        },
    )
    launch.report("ready")


def _auditor_token(endpoints: Endpoints, selected: frozenset[str]) -> str | None:
    has_both = {"gateway", "controlplane"} <= selected
    return endpoints.auditor_token_file.read_text(encoding="ascii") if has_both else None


def _write_tokens(endpoints: Endpoints) -> None:
    if endpoints.tokens_file.exists():
        return
    entry = {
        "token": secrets.token_urlsafe(24),
        "name": "dev",
        "tenant": "default",
        "agents": ["*"],
    }
    persons = [  # nobody decides on a call of his own, and some take two
        {
            **entry,
            "token": secrets.token_urlsafe(24),
            "name": name,
            "user": name,
            "groups": ["finance"],  # as the example of docs/operating/approvals.md asks
            "approve": True,
            "preview": True,
        }
        for name in ("approver", "approver-2")
    ]
    write_json(endpoints.tokens_file, {"tokens": [entry, *persons]})


async def _bring_up(launch: Launch) -> Path | None:
    """Start what was selected, side by side where order does not matter; return kubectl."""
    crew, endpoints = launch.crew, launch.endpoints
    has = launch.selected.__contains__
    async with asyncio.TaskGroup() as group:
        storage = [
            group.create_task(crew.start(part(endpoints)))
            for name, part in (("redis", components.redis), ("model", components.model))
            if has(name) and not (name == "model" and launch.model_key)
        ]
        if not has("controlplane"):
            if has("gateway"):
                group.create_task(_after(storage, crew, components.gateway(endpoints)))
            return None
        plane = await _control_plane(launch)
        async with kube.KubeClient.from_kubeconfig(plane.kubeconfig("admin")) as client:
            if has("node"):
                group.create_task(crew.start(components.node(plane)))
            await _install(launch, client, plane)
            if has("gateway"):
                group.create_task(_after(storage, crew, components.gateway(endpoints, plane)))
            if has("operator"):
                group.create_task(_after(storage, crew, components.operator(endpoints)))
            await installation.wait_default_account(client, "default")
        return plane.binaries["kubectl"]


async def _after(
    tasks: list[asyncio.Task[None]], crew: supervisor.Crew, component: supervisor.Component
) -> None:
    for task in tasks:
        await task
    await crew.start(component)


async def _control_plane(launch: Launch) -> cluster.ControlPlane:
    sources = binaries.Sources.from_environment(os.environ)
    found = await binaries.resolve(sources, launch.report)
    chosen = launch.endpoints.ports
    plane = cluster.ControlPlane(
        launch.endpoints.state.root, found, chosen.etcd, chosen.etcd_peer, chosen.api
    )
    cluster.prepare(plane, datetime.datetime.now(datetime.UTC))
    async with asyncio.TaskGroup() as group:
        group.create_task(launch.crew.start(components.etcd(plane)))
        group.create_task(launch.crew.start(components.api_server(plane)))
    for component in components.controllers(plane):
        await launch.crew.start(component)
    return plane


async def _install(launch: Launch, client: kube.KubeClient, plane: cluster.ControlPlane) -> None:
    await installation.apply_definitions(client)
    if "operator" in launch.selected:
        await installation.install_operator(client, plane, launch.endpoints.operator_kubeconfig)
    if "gateway" in launch.selected:
        endpoints = launch.endpoints
        files = (endpoints.gateway_token_file, endpoints.auditor_token_file)
        await installation.install_gateway(client, *files)
    if launch.model_key:
        await installation.store_model_key(client, launch.model_key)


def _reason(failures: BaseExceptionGroup[BaseException]) -> str:
    """The first failure in one line, wherever task groups wrapped it."""
    first: BaseException = failures
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return " ".join(str(first).split()) or type(first).__name__


def _publish_failure(state: StateDirectory, reason: str, report: supervisor.Report) -> None:
    report(f"failed: {reason}")
    write_json(state.environment_file, {"phase": "failed", "message": reason})


if __name__ == "__main__":
    main()
