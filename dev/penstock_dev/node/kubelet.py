"""The node itself: registration, heartbeats, and one runner per bound pod."""

from __future__ import annotations

import asyncio
import datetime
import platform

from penstock_dev import kube, ports, processes
from penstock_dev.node import logs, serving, status
from penstock_dev.node.pod import Host, Pod, forget_missing, kill_strays

_LEASE_SECONDS = 40
_HEARTBEAT_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def run(host: Host) -> None:
    """Register and run pods until cancelled."""
    (host.state_dir / "pods").mkdir(parents=True, exist_ok=True)
    kill_strays(host.state_dir)
    addresses = ports.reserve_addresses(host.state_dir / "addresses.json")
    node = _node(host.node_name, addresses.claimed, datetime.datetime.now(datetime.UTC))
    async with asyncio.TaskGroup() as group:
        runners = _Runners(host, addresses, group)
        group.create_task(_heartbeat(host.client, node))
        group.create_task(runners.follow())
        group.create_task(_serve(host, addresses, runners.log))
        group.create_task(_bury())


async def _serve(host: Host, addresses: ports.AddressRange, find: serving.Find) -> None:
    """Answer the API server where the node says it can be asked, until cancelled."""
    server = serving.make(host.state_dir, host.node_name, addresses.claimed, host.client_ca, find)
    await server.serve([addresses.listen()])


async def _bury() -> None:
    while True:
        processes.bury_orphans()
        await asyncio.sleep(_HEARTBEAT_SECONDS)


def _node(name: str, address: str, now: datetime.datetime) -> kube.Document:
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    labels = {"hostname": name, "os": "linux", "arch": architecture}
    # Nominal, for nothing is enforced: a request of CPU or memory never keeps a pod from running.
    capacity = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "256Gi", "pods": "240"}
    ready = {"type": "Ready", "status": "True", "reason": "ProcessNodeReady"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {f"kubernetes.io/{key}": value for key, value in labels.items()},
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": ports.CLAIM_PORT}},
            "conditions": [
                {**ready, "message": "", "lastTransitionTime": status.rfc3339(now)},
            ],
            "nodeInfo": {
                **dict.fromkeys(("machineID", "systemUUID", "bootID", "kubeProxyVersion"), ""),
                "kernelVersion": platform.release(),
                "osImage": "processes on the host, for development and tests",
                "containerRuntimeVersion": f"process://{platform.python_version()}",
                "kubeletVersion": "v1.34.4-process-node",
                "operatingSystem": "linux",
                "architecture": architecture,
            },
        },
    }


async def _heartbeat(client: kube.KubeClient, node: kube.Document) -> None:
    """Register, then say every few seconds that the node is Ready and alive."""
    while True:
        try:
            await _report(client, node, datetime.datetime.now(datetime.UTC))
            await asyncio.sleep(_HEARTBEAT_SECONDS)
        except (kube.ApiError, kube.TransportError) as error:
            print(f"the node cannot report: {error}", flush=True)
            await asyncio.sleep(_RETRY_SECONDS)


async def _report(client: kube.KubeClient, node: kube.Document, now: datetime.datetime) -> None:
    name = node["metadata"]["name"]
    await client.apply(node)
    conditions = [
        {**c, "lastHeartbeatTime": status.rfc3339(now)} for c in node["status"]["conditions"]
    ]
    await client.merge(f"/api/v1/nodes/{name}/status", {"status": {"conditions": conditions}})
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }
    await client.apply(lease)


class _Runners:
    """One runner per pod that is bound to the node."""

    def __init__(self, host: Host, addresses: ports.AddressRange, group: asyncio.TaskGroup) -> None:
        self._host = host
        self._addresses = addresses
        self._group = group
        self._pods: dict[str, Pod] = {}

    def log(self, namespace: str, name: str, container: str) -> logs.LogFile:
        """The log of a container of a pod that runs here. Raises NoLog."""
        for pod in self._pods.values():
            if pod.name == (namespace, name):
                return pod.log(container)
        raise logs.NoLog(f'pod "{namespace}/{name}" does not run on this node')

    async def follow(self) -> None:
        """List, then watch, for ever."""
        path, query = "/api/v1/pods", {"fieldSelector": f"spec.nodeName={self._host.node_name}"}
        while True:
            try:
                listed = await self._host.client.get(path, **query)
                self._take_all(listed["items"])
                version = listed["metadata"]["resourceVersion"]
                async for kind, pod in self._host.client.watch(path, version, **query):
                    self._take(kind, pod)
            except (kube.ApiError, kube.TransportError, kube.WatchExpired) as error:
                print(f"watching pods: {error}", flush=True)
                await asyncio.sleep(_RETRY_SECONDS)

    def _take_all(self, listed: list[kube.Document]) -> None:
        present = {pod["metadata"]["uid"] for pod in listed}
        for uid in set(self._pods) - present:
            self._pods[uid].vanish()
        forget_missing(self._host.state_dir, present | set(self._pods))
        for pod in listed:
            self._take("ADDED", pod)

    def _take(self, kind: str, pod: kube.Document) -> None:
        uid = pod["metadata"].get("uid", "")
        runner = self._pods.get(uid)
        over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        match kind:
            case "ADDED" | "MODIFIED" if runner:
                runner.update(pod)
            case "ADDED" | "MODIFIED" if over and "deletionTimestamp" in pod["metadata"]:
                pass  # others hold it by a finalizer
            case "ADDED" | "MODIFIED":
                self._start(uid, pod)
            case "DELETED" if runner:
                runner.vanish()

    def _start(self, uid: str, pod: kube.Document) -> None:
        runner = Pod(pod, self._addresses.take(pod["status"].get("podIP")), self._host)
        self._pods[uid] = runner
        self._group.create_task(runner.run()).add_done_callback(lambda _: self._leave(uid))

    def _leave(self, uid: str) -> None:
        self._addresses.give_back(self._pods.pop(uid).ip)
