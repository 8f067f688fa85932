"""One pod: its volumes, its containers, its status, and its end."""

from __future__ import annotations

import asyncio
import datetime
import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx

from penstock_dev import kube, processes
from penstock_dev.node import status, volumes
from penstock_dev.node.container import Container, Surroundings
from penstock_dev.state import read_json

_REFRESH_SECONDS = 2.0
_RETRY_SECONDS = 1.0
_PUBLISH_INTERVAL_SECONDS = 0.05
_GRACE_AT_NODE_STOP_SECONDS = 3.0


@dataclass(frozen=True)
class Host:
    """What the node gives every pod."""

    client: kube.KubeClient
    http: httpx.AsyncClient
    node_name: str
    state_dir: Path
    log_directory: Path
    runtime_image: str
    owner: str


class Pod:
    """Runs one pod from its binding to the deletion of its object."""

    def __init__(self, pod: kube.Document, pod_ip: str, host: Host) -> None:
        self._pod = {**pod, "status": {**pod.get("status", {}), "podIP": pod_ip}}
        self.ip = pod_ip
        self._host = host
        self._dirty = asyncio.Event()
        self._removal = asyncio.Event()
        self._vanished = False
        self._events_told: set[tuple[str, str]] = set()
        self._event_tasks: set[asyncio.Task[None]] = set()
        self.directory = host.state_dir / "pods" / pod["metadata"]["uid"]
        self._started_at = datetime.datetime.now(datetime.UTC)
        self._published: kube.Document | None = None
        self._mounts = {
            volume["name"]: self.directory / "volumes" / volume["name"]
            for volume in pod["spec"].get("volumes", [])
        }
        self._containers = self._make_containers(pod)
        self._update_removal(pod)

    def _make_containers(self, pod: kube.Document) -> list[Container]:
        references = volumes.References(self._host.client, pod["metadata"]["namespace"])
        around = Surroundings(
            pod=lambda: self._pod,
            directory=self.directory,
            log_directory=self._host.log_directory,
            mounts=self._mounts,
            references=references,
            http=self._host.http,
            runtime_image=self._host.runtime_image,
            owner=self._host.owner,
            changed=self._dirty.set,
            event=self._event,
        )
        self._references = references
        made = [Container(spec, around) for spec in pod["spec"]["containers"]]
        earlier = {s["name"]: s for s in pod.get("status", {}).get("containerStatuses") or []}
        for container in made:
            if record := earlier.get(container.record.name):
                _resume(container.record, record, self._started_at)
        return made

    def update(self, pod: kube.Document) -> None:
        """Take in a newer version of the object."""
        self._pod = {**pod, "status": {**pod.get("status", {}), "podIP": self.ip}}
        self._update_removal(pod)

    def vanish(self) -> None:
        """The object is gone from the API: end at once."""
        self._vanished = True
        self._removal.set()

    def _update_removal(self, pod: kube.Document) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            self._removal.set()

    async def run(self) -> None:
        """Until the pod is deleted; when cancelled (the node stops) its processes are ended."""
        self.directory.mkdir(parents=True, exist_ok=True)
        publishing = asyncio.create_task(self._publish())
        living = asyncio.create_task(self._live())
        try:
            await self._removal.wait()
            living.cancel()
            await asyncio.wait({living})
            await self._stop(self._grace_seconds())
        finally:
            living.cancel()
            publishing.cancel()
            await asyncio.wait({living, publishing})
            await self._stop(_GRACE_AT_NODE_STOP_SECONDS)
        await self._delete_object()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _grace_seconds(self) -> float:
        if self._vanished:
            return 0.0
        spec = self._pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(self._pod["metadata"].get("deletionGracePeriodSeconds", spec))

    async def _stop(self, grace_seconds: float) -> None:
        await asyncio.gather(*(container.stop(grace_seconds) for container in self._containers))

    async def _live(self) -> None:
        if status.phase([c.record for c in self._containers], self._policy) in _FINAL:
            return
        self._dirty.set()
        while not await self._refresh_volumes():
            await asyncio.sleep(_RETRY_SECONDS)
        async with asyncio.TaskGroup() as group:
            for container in self._containers:
                group.create_task(container.run())
            group.create_task(self._keep_volumes_fresh())

    @property
    def _policy(self) -> str:
        return str(self._pod["spec"].get("restartPolicy", "Always"))

    async def _keep_volumes_fresh(self) -> None:
        changing = [v for v in self._pod["spec"].get("volumes", []) if "emptyDir" not in v]
        while changing:
            await asyncio.sleep(_REFRESH_SECONDS)
            await self._refresh_volumes()

    async def _refresh_volumes(self) -> bool:
        """Write what the volumes hold now; False, shown in the status, when one cannot be had."""
        for volume in self._pod["spec"].get("volumes", []):
            directory = self._mounts[volume["name"]]
            try:
                files = await volumes.gather(volume, self._pod, self._references)
            except (volumes.NotMountable, kube.ApiError, kube.TransportError) as error:
                self._cannot_mount(volume["name"], str(error))
                return False
            if files is None:
                directory.mkdir(parents=True, exist_ok=True)
            else:
                volumes.write(directory, files)
        return True

    def _cannot_mount(self, name: str, why: str) -> None:
        message = f'MountVolume.SetUp failed for volume "{name}" : {why}'
        self._event("FailedMount", message)
        for container in self._containers:
            if isinstance(container.record.state, status.Waiting):
                container.record.state = status.Waiting("ContainerCreating", message)
        self._dirty.set()

    # ------------------------------------------------------------------ what the API is told

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._publish_now()
            except (kube.ApiError, kube.TransportError):
                self._dirty.set()
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(_PUBLISH_INTERVAL_SECONDS)

    async def _publish_now(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        records = [container.record for container in self._containers]
        wanted = status.pod_status(self._pod, records, self.ip, self._started_at, now)
        if wanted == self._published:
            return
        uid = {"uid": self._pod["metadata"]["uid"]}
        answer = await self._host.client.merge(
            f"{self._path}/status", {"metadata": uid, "status": wanted}
        )
        self._published = wanted
        self._pod = {**answer, "status": {**answer["status"], "podIP": self.ip}}

    @property
    def _path(self) -> str:
        metadata = self._pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    async def _delete_object(self) -> None:
        """Report the end and let the object go."""
        options = {
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self._pod["metadata"]["uid"]},
        }
        while not self._vanished:
            try:
                await self._publish_now()
                await self._host.client.call("DELETE", self._path, options)
                return
            except kube.ApiError as error:
                if error.status in (404, 409):  # gone, or another pod of this name
                    return
            except kube.TransportError:
                pass
            await asyncio.sleep(_RETRY_SECONDS)

    def _event(self, reason: str, message: str) -> None:
        """Tell an Event, once for each reason and message."""
        if (reason, message) in self._events_told:
            return
        self._events_told.add((reason, message))
        task = asyncio.create_task(self._tell(reason, message))
        self._event_tasks.add(task)
        task.add_done_callback(self._event_tasks.discard)

    async def _tell(self, reason: str, message: str) -> None:
        metadata = self._pod["metadata"]
        now = status.rfc3339(datetime.datetime.now(datetime.UTC))
        document = {
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "reason": reason,
            "message": message[:1024],
            "type": "Warning",
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "process-node", "host": self._host.node_name},
        }
        try:
            path = f"/api/v1/namespaces/{metadata['namespace']}/events"
            await self._host.client.call("POST", path, document)
        except (kube.ApiError, kube.TransportError) as error:
            print(f"event {reason} for {metadata['name']} not told: {error}", flush=True)


_FINAL = ("Succeeded", "Failed")


def _resume(record: status.ContainerRecord, earlier: kube.Document, now: datetime.datetime) -> None:
    """Carry counts over a restart of the node; what ran then was killed with it."""
    record.restarts = earlier.get("restartCount", 0)
    state = earlier.get("state", {})
    if "running" in state:
        started_at = datetime.datetime.fromisoformat(state["running"]["startedAt"])
        record.last = status.Terminated(137, "Error", "the node was restarted", started_at, now)
        record.restarts += 1
        record.state = record.last
    elif "terminated" in state:
        record.state = _terminated(state["terminated"])
    if "terminated" in earlier.get("lastState", {}) and record.last is None:
        record.last = _terminated(earlier["lastState"]["terminated"])


def _terminated(found: kube.Document) -> status.Terminated:
    return status.Terminated(
        found["exitCode"],
        found.get("reason", ""),
        found.get("message", ""),
        datetime.datetime.fromisoformat(found["startedAt"]),
        datetime.datetime.fromisoformat(found["finishedAt"]),
    )


def kill_strays(state_dir: Path) -> None:
    """End what an earlier life of the node left running."""
    for path in (state_dir / "pods").glob("*/*.process.json"):
        if record := read_json(path):
            processes.kill_identity(processes.Identity(record["pid"], record["startedTicks"]))


def forget_missing(state_dir: Path, uids: set[str]) -> None:
    """Delete the directories of pods that are no more."""
    for directory in (state_dir / "pods").glob("*"):
        if directory.name not in uids:
            shutil.rmtree(directory, ignore_errors=True)
