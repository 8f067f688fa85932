"""One pod: its volumes, its containers, its status, and its end."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path

import httpx

from penstock_dev import kube, processes
from penstock_dev.node import fields, launch, logs, status, volumes
from penstock_dev.node.container import Container
from penstock_dev.node.forks import Forks
from penstock_dev.node.references import NotFound, References
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
    client_ca: Path
    forks: Forks


class Pod:
    """Runs one pod from its binding to the deletion of its object."""

    def __init__(self, pod: kube.Document, pod_ip: str, host: Host) -> None:
        self.ip = pod_ip
        self._host = host
        self._pod: kube.Document = {}
        self._dirty = asyncio.Event()
        self._removal = asyncio.Event()
        self._vanished = False
        self._published: kube.Document | None = None
        self._started_at = datetime.datetime.now(datetime.UTC)
        self._directory = host.state_dir / "pods" / pod["metadata"]["uid"]
        self.update(pod)
        self._volumes = {
            volume["name"]: self._directory / "volumes" / volume["name"]
            for volume in pod["spec"].get("volumes", [])
        }
        self._references = References(host.client, pod["metadata"]["namespace"])
        self._containers = [self._container(spec) for spec in pod["spec"]["containers"]]

    def _container(self, spec: kube.Document) -> Container:
        host, metadata = self._host, self._pod["metadata"]
        made = Container(
            spec,
            lambda: self._pod,
            launch.Surroundings(
                self._volumes,
                self._references,
                host.runtime_image,
                host.owner,
                self._directory,
                host.forks,
            ),
            host.log_directory / f"{metadata['namespace']}_{metadata['name']}_{spec['name']}.log",
            self._dirty.set,
        )
        for earlier in self._pod["status"].get("containerStatuses") or []:
            if earlier["name"] == spec["name"]:
                made.record.resume(earlier, self._started_at)
        return made

    def log(self, container: str) -> logs.LogFile:
        """The log of a container. Raises NoLog when it has none yet."""
        found = next((each for each in self._containers if each.record.name == container), None)
        metadata = self._pod["metadata"]
        where = f'container "{container}" in pod "{metadata["name"]}"'
        if found is None:
            raise logs.NoLog(f"{where} is not known")
        if not found.log.starts:
            waiting = found.record.state.get("waiting") or {}
            raise logs.NoLog(f"{where} is waiting to start: {waiting.get('reason', 'unknown')}")
        return found.log

    @property
    def name(self) -> tuple[str, str]:
        """Namespace and name."""
        metadata = self._pod["metadata"]
        return metadata["namespace"], metadata["name"]

    def update(self, pod: kube.Document) -> None:
        """Take in a newer version of the object."""
        self._pod = {**pod, "status": {**pod.get("status", {}), "podIP": self.ip}}
        if "deletionTimestamp" in pod["metadata"]:
            self._removal.set()

    def vanish(self) -> None:
        """The object is gone from the API: end at once."""
        self._vanished = True
        self._removal.set()
        for container in self._containers:
            container.kill()

    async def run(self) -> None:
        """Until the pod is deleted; when cancelled (the node stops) its processes are ended."""
        self._directory.mkdir(parents=True, exist_ok=True)
        publishing = asyncio.create_task(self._publish())
        living = asyncio.create_task(self._live())
        living.add_done_callback(self._show_failure)
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
        shutil.rmtree(self._directory, ignore_errors=True)

    def _grace_seconds(self) -> float:
        return 0.0 if self._vanished else float(self._pod["metadata"]["deletionGracePeriodSeconds"])

    async def _stop(self, grace_seconds: float) -> None:
        await asyncio.gather(*(container.stop(grace_seconds) for container in self._containers))

    async def _live(self) -> None:
        records = [container.record for container in self._containers]
        if status.phase(records, self._pod["spec"]["restartPolicy"]) in ("Succeeded", "Failed"):
            return
        self._dirty.set()
        while not await self._refresh_volumes():  # noqa: ASYNC110 - each look is what is waited for
            await asyncio.sleep(_RETRY_SECONDS)
        async with asyncio.TaskGroup() as group:
            for container in self._containers:
                group.create_task(container.run(self._host.http, self._directory))
            group.create_task(self._keep_volumes_fresh())

    def _show_failure(self, living: asyncio.Task[None]) -> None:
        """Nothing stays silently undone: an error of the node itself is told in the status."""
        if living.cancelled() or not (failure := living.exception()):
            return
        traceback.print_exception(failure)
        for container in self._containers:
            container.record.state = status.waiting("NodeError", repr(failure))
        self._dirty.set()

    async def _keep_volumes_fresh(self) -> None:
        while any("emptyDir" not in volume for volume in self._pod["spec"].get("volumes", [])):
            await asyncio.sleep(_REFRESH_SECONDS)
            await self._refresh_volumes()

    async def _refresh_volumes(self) -> bool:
        """Write what the volumes hold now; False, shown in the status, when one cannot be had."""
        for volume in self._pod["spec"].get("volumes", []):
            directory = self._volumes[volume["name"]]
            try:
                files = await volumes.gather(volume, self._pod, self._references)
            except (NotFound, fields.UnknownField, kube.ApiError, kube.TransportError) as error:
                self._show_unmounted(volume["name"], str(error))
                return False
            if files is None:
                directory.mkdir(parents=True, exist_ok=True)
            else:
                volumes.write(directory, files)
        return True

    def _show_unmounted(self, name: str, why: str) -> None:
        message = f'MountVolume.SetUp failed for volume "{name}" : {why}'
        for container in self._containers:
            if "waiting" in container.record.state:
                container.record.state = status.waiting("ContainerCreating", message)
        self._dirty.set()

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
        if wanted != self._published:
            same = {"uid": self._pod["metadata"]["uid"]}  # not a later pod of this name
            patch = {"metadata": same, "status": wanted}
            self.update(await self._host.client.merge(f"{self._path}/status", patch))
            self._published = wanted

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
