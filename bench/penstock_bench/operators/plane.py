"""A control plane with an audit log: etcd, API server, controllers; no scheduler, no node, pods are ready at once."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from penstock_bench.crew import BenchFailed, Crew
from penstock_bench.operators import audit
from penstock_bench.report import say
from penstock_dev import installation, kube
from penstock_dev.controlplane import binaries, cluster

_PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager")
_READY_SECONDS: Final = 90.0
_REQUEST_SECONDS: Final = 120.0
NAMESPACE: Final = "default"


@dataclass(frozen=True)
class Plane:
    """One running control plane, and the administrator's client."""

    crew: Crew
    plane: cluster.ControlPlane
    client: kube.KubeClient
    log: audit.AuditLog


@contextlib.asynccontextmanager
async def running(crew: Crew, kit: Path) -> AsyncIterator[Plane]:
    """Start a control plane in a crew. Raises BenchFailed."""
    plane = cluster.ControlPlane(
        crew.folder / "plane", await _programs(), crew.port(), crew.port(), crew.port()
    )
    cluster.prepare(plane, datetime.datetime.now(datetime.UTC))
    log = audit.AuditLog(crew.folder / "audit.log")
    _start_servers(crew, plane, log)
    await crew.listening("etcd", plane.etcd_port)
    await crew.listening("kube-apiserver", plane.api_port)
    config = plane.kubeconfig("admin")
    async with kube.KubeClient.from_kubeconfig(config, timeout_seconds=_REQUEST_SECONDS) as client:
        await _answers(crew, client)
        crew.start("kube-controller-manager", cluster.controller_manager_command(plane))
        crew.start("pods", _kubelets(kit, plane))
        await installation.wait_default_account(client, NAMESPACE)
        yield Plane(crew, plane, client, log)


async def _programs() -> dict[str, Path]:
    try:
        return await binaries.resolve(binaries.Sources.from_environment(os.environ), say, _PROGRAMS)
    except binaries.BinariesUnavailable as unavailable:
        raise BenchFailed(str(unavailable)) from unavailable


def _start_servers(crew: Crew, plane: cluster.ControlPlane, log: audit.AuditLog) -> None:
    policy = crew.folder / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(audit.POLICY))
    crew.start("etcd", cluster.etcd_command(plane))
    told = (f"--audit-policy-file={policy}", f"--audit-log-path={log.path}")
    crew.start("kube-apiserver", [*cluster.api_server_command(plane), *told])


def _kubelets(kit: Path, plane: cluster.ControlPlane) -> list[str | Path]:
    pki = plane.pki
    who = ("-ca", pki / "ca.crt", "-cert", pki / "admin.crt", "-key", pki / "admin.key")
    return [kit, "pods", "-server", plane.server, *who]


async def _answers(crew: Crew, client: kube.KubeClient) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            await client.get("/readyz")
        except (kube.ApiError, kube.TransportError) as error:
            crew.check("kube-apiserver")
            if time.monotonic() > deadline:
                raise BenchFailed(f"the API server is not ready: {error}") from error
            await asyncio.sleep(0.1)
        else:
            return
