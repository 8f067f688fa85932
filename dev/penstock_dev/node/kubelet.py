"""The node itself: registration, heartbeats, addresses, and one runner per bound pod."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import platform
import random
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from penstock_dev import kube
from penstock_dev.node import status
from penstock_dev.node.pod import Host, Pod, forget_missing, kill_strays
from penstock_dev.state import read_json, write_json

_LEASE_SECONDS = 40
_HEARTBEAT_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_KUBELET_PORT = 10250
_MOST_PODS = 250


async def run(host: Host) -> None:
    """Register and run pods until cancelled."""
    (host.state_dir / "pods").mkdir(parents=True, exist_ok=True)
    kill_strays(host.state_dir)
    subnet = Subnet.reserve(host.state_dir)
    await _persist(lambda: _register(host, subnet))
    async with asyncio.TaskGroup() as group:
        group.create_task(_heartbeat(host))
        group.create_task(_follow_pods(host, subnet, group))


class Subnet:
    """The addresses of one node's pods: a /24 of 127.0.0.0/8 that no other node here uses.

    The first address, bound at the kubelet's port, is the claim to the rest.
    """

    def __init__(self, network: ipaddress.IPv4Network, claim: socket.socket) -> None:
        self.network = network
        self._claim = claim
        self._used: set[str] = set()

    @classmethod
    def reserve(cls, state_dir: Path) -> Subnet:
        """The subnet of an earlier life if it is free, else a random one. Raises OSError."""
        earlier = read_json(state_dir / "subnet.json")
        for network in _candidates(earlier):
            claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                claim.bind((str(network[1]), _KUBELET_PORT))
            except OSError:
                claim.close()
                continue
            write_json(state_dir / "subnet.json", str(network))
            return cls(network, claim)
        raise OSError("no free subnet for pods in 127.0.0.0/8")

    def take(self, preferred: str | None) -> str:
        """An address for a pod. Raises OSError when all are taken."""
        free = [str(address) for address in self.network.hosts() if str(address) not in self._used]
        address = preferred if preferred in free[1:] else next(iter(free[1:]), None)
        if address is None:
            raise OSError(f"no free address in {self.network}")
        self._used.add(address)
        return address

    def give_back(self, address: str) -> None:
        """The pod is gone: its address may be used again."""
        self._used.discard(address)


def _candidates(earlier: str | None) -> Iterator[ipaddress.IPv4Network]:
    if earlier:
        yield ipaddress.IPv4Network(earlier)
    for _ in range(100):
        second, third = random.randint(16, 250), random.randint(0, 255)
        yield ipaddress.IPv4Network(f"127.{second}.{third}.0/24")


async def _persist(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step until the API server takes it."""
    while True:
        try:
            await step()
            return
        except (kube.ApiError, kube.TransportError) as error:
            print(f"not taken by the API server: {error}", flush=True)
        await asyncio.sleep(_RETRY_SECONDS)


async def _register(host: Host, subnet: Subnet) -> None:
    now = datetime.datetime.now(datetime.UTC)
    document = _node_document(host.node_name, str(subnet.network[1]), now)
    try:
        await host.client.call("POST", "/api/v1/nodes", document)
    except kube.ApiError as error:
        if error.status != 409:
            raise
        await _report_node(host)


def _node_document(name: str, address: str, now: datetime.datetime) -> kube.Document:
    # Nominal, for nothing is enforced: a request of CPU or memory never keeps a pod from running.
    capacity = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": _MOST_PODS}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                    platform.machine(), platform.machine()
                ),
            },
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "conditions": _conditions(now),
            "nodeInfo": _node_info(),
        },
    }


def _node_info() -> dict[str, str]:
    unknown = ("machineID", "systemUUID", "bootID", "kubeProxyVersion")
    return {
        **dict.fromkeys(unknown, ""),
        "kernelVersion": platform.release(),
        "osImage": "processes on the host, for development and tests",
        "containerRuntimeVersion": f"process://{platform.python_version()}",
        "kubeletVersion": "v1.34.4-process-node",
        "operatingSystem": "linux",
        "architecture": platform.machine(),
    }


def _conditions(now: datetime.datetime) -> list[dict[str, str]]:
    moment = status.rfc3339(now)
    times = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
    said = {"reason": "ProcessNodeReady", "message": "the process node runs pods as processes"}
    return [{"type": "Ready", "status": "True", **said, **times}]


async def _report_node(host: Host) -> None:
    now = datetime.datetime.now(datetime.UTC)
    await host.client.merge(
        f"/api/v1/nodes/{host.node_name}/status", {"status": {"conditions": _conditions(now)}}
    )


async def _heartbeat(host: Host) -> None:
    """Renew the lease; say Ready again when the control plane had given the node up."""
    while True:
        await _persist(lambda: _renew_lease(host))
        await _persist(lambda: _ready_again(host))
        await asyncio.sleep(_HEARTBEAT_SECONDS)


async def _renew_lease(host: Host) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": host.node_name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": host.node_name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": now,
        },
    }
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    try:
        await host.client.merge(f"{path}/{host.node_name}", lease)
    except kube.ApiError as error:
        if error.status != 404:
            raise
        await host.client.call("POST", path, lease)


async def _ready_again(host: Host) -> None:
    found = await host.client.get(f"/api/v1/nodes/{host.node_name}")
    conditions = {c["type"]: c["status"] for c in found["status"].get("conditions", [])}
    if conditions.get("Ready") != "True":
        await _report_node(host)


async def _follow_pods(host: Host, subnet: Subnet, group: asyncio.TaskGroup) -> None:
    """List, then watch, for ever; every bound pod has a runner until it is gone."""
    runners: dict[str, Pod] = {}

    def take_in(pod: kube.Document) -> None:
        uid = pod["metadata"]["uid"]
        if uid in runners:
            runners[uid].update(pod)
            return
        runner = Pod(pod, subnet.take(pod.get("status", {}).get("podIP")), host)
        runners[uid] = runner
        group.create_task(runner.run()).add_done_callback(lambda _: leave(uid))

    def leave(uid: str) -> None:
        subnet.give_back(runners.pop(uid).ip)

    path, bound = "/api/v1/pods", {"fieldSelector": f"spec.nodeName={host.node_name}"}
    first = True
    while True:
        try:
            listed = await host.client.get(path, **bound)
            present = {pod["metadata"]["uid"] for pod in listed["items"]}
            if first:
                forget_missing(host.state_dir, present)
                first = False
            for uid in set(runners) - present:
                runners[uid].vanish()
            for pod in listed["items"]:
                take_in(pod)
            version = listed["metadata"]["resourceVersion"]
            async for kind, pod in host.client.watch(path, version, **bound):
                match kind:
                    case "ADDED" | "MODIFIED":
                        take_in(pod)
                    case "DELETED" if runner := runners.get(pod["metadata"]["uid"]):
                        runner.vanish()
        except (kube.ApiError, kube.TransportError, kube.WatchExpired) as error:
            print(f"watching pods: {error}", flush=True)
            await asyncio.sleep(_RETRY_SECONDS)
