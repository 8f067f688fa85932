"""One container: a local process that is started, probed, and started again."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from pathlib import Path

import httpx

from penstock_dev import kube, processes
from penstock_dev.node import launch, logs, probes, status
from penstock_dev.state import write_json

_RESTART_DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_FORGIVEN_AFTER_SECONDS = 60.0
_RETRY_SECONDS = 1.0


def restart_delay_seconds(ends_in_a_row: int) -> float:
    """The back-off before a start, after this many ends in a row: 1 s doubling to 30 s."""
    return _RESTART_DELAYS_SECONDS[min(ends_in_a_row, len(_RESTART_DELAYS_SECONDS)) - 1]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Container:
    """Runs one container of a pod; `record` is its state at any time."""

    def __init__(
        self,
        spec: kube.Document,
        pod: Callable[[], kube.Document],
        around: launch.Surroundings,
        log: Path,
        changed: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.record = status.Record(spec["name"], spec["image"])
        self._pod = pod
        self._around = around
        self.log = logs.LogFile(log)
        self._changed = changed
        self._child: processes.Child | None = None
        self._started_at = datetime.datetime.now(datetime.UTC)

    async def run(self, http: httpx.AsyncClient, directory: Path) -> None:
        """Start it, and start it again as the restart policy says, until cancelled."""
        ends_in_a_row = 0
        while True:
            child, looks = await self._start(directory)
            beside = {
                asyncio.create_task(self._probed(child, looks, http)),
                asyncio.create_task(self.log.watch(_now)),
            }
            try:
                code = await child.wait()
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside)
            self._ended(code)
            if not status.runs_again(self._pod()["spec"]["restartPolicy"], self.record.state):
                return
            lived = datetime.datetime.now(datetime.UTC) - self._started_at
            forgiven = lived.total_seconds() > _FORGIVEN_AFTER_SECONDS
            ends_in_a_row = 1 if forgiven else ends_in_a_row + 1
            await self._back_off(restart_delay_seconds(ends_in_a_row))

    async def _start(self, directory: Path) -> tuple[processes.Child, dict[str, probes.Probe]]:
        """Try until the process runs; each obstacle is shown in the status."""
        while True:
            try:
                found = await launch.gather(self.spec, self._pod(), self._around)
                return await self._spawn(found, directory), found.probes
            except launch.NotStartable as obstacle:
                self._show(status.waiting(obstacle.reason, str(obstacle)))
            except kube.TransportError:
                pass  # the API server is away; what was shown stays
            await asyncio.sleep(_RETRY_SECONDS)

    async def _spawn(self, found: launch.Launch, directory: Path) -> processes.Child:
        self.log.begin()
        try:
            child = await self._around.forks.spawn(
                self.record.name, found.command, found.environment, self.log.path, directory
            )
        except asyncio.CancelledError:
            self.log.ended = True
            raise
        except OSError as error:
            self.log.ended = True
            why = f"{found.command[0]}: {error.strerror}"
            raise launch.NotStartable("CreateContainerError", why) from error
        # Noted, so that a later life of the node can end it.
        metadata = self._pod()["metadata"]
        noted = {
            "pid": child.pid,
            "startedTicks": child.identity.started_ticks,
            "namespace": metadata["namespace"],
            "pod": metadata["name"],
        }
        write_json(directory / f"{self.record.name}.process.json", noted)
        self._child = child
        self._started_at = datetime.datetime.now(datetime.UTC)
        self._mark_started(started="startupProbe" not in found.probes)
        self._show(status.running(self._started_at))
        return child

    def _mark_started(self, *, started: bool) -> None:
        self.record.started = started
        self.record.ready = started and "readinessProbe" not in self.spec

    async def _probed(
        self, child: processes.Child, looks: dict[str, probes.Probe], http: httpx.AsyncClient
    ) -> None:
        if startup := looks.get("startupProbe"):
            if not (await anext(probes.verdicts(startup, http))).passed:
                await self._end_unhealthy(child)
                return
            self._mark_started(started=True)
            self._changed()
        async with asyncio.TaskGroup() as group:
            if readiness := looks.get("readinessProbe"):
                group.create_task(self._watch_readiness(readiness, http))
            if liveness := looks.get("livenessProbe"):
                group.create_task(self._watch_liveness(liveness, child, http))

    async def _watch_readiness(self, probe: probes.Probe, http: httpx.AsyncClient) -> None:
        async for verdict in probes.verdicts(probe, http):
            if verdict.passed != self.record.ready:
                self.record.ready = verdict.passed
                self._changed()

    async def _watch_liveness(
        self, probe: probes.Probe, child: processes.Child, http: httpx.AsyncClient
    ) -> None:
        async for verdict in probes.verdicts(probe, http):
            if not verdict.passed:
                await self._end_unhealthy(child)
                return

    async def _end_unhealthy(self, child: processes.Child) -> None:
        print(f"{self.log.path.stem}: its probe fails; it is ended", flush=True)
        await child.stop(self._pod()["spec"]["terminationGracePeriodSeconds"])

    def _ended(self, code: int) -> None:
        self.log.ended = True
        begun = self.log.starts[-1] if self.log.starts else 0
        said = processes.last_lines(self.log.path, lines=80, max_bytes=2048, start=begun)
        now = datetime.datetime.now(datetime.UTC)
        self.record.started = self.record.ready = False
        self._show(status.terminated(code, said, self._started_at, now))

    async def _back_off(self, delay_seconds: float) -> None:
        metadata = self._pod()["metadata"]
        self.record.last_state = self.record.state
        message = (
            f"back-off {delay_seconds:.0f}s restarting failed container={self.record.name} "
            f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        )
        self._show(status.waiting("CrashLoopBackOff", message))
        await asyncio.sleep(delay_seconds)
        self.record.restarts += 1

    def _show(self, state: kube.Document) -> None:
        self.record.state = state
        self._changed()

    def kill(self) -> None:
        """End the process at once."""
        if self._child and "running" in self.record.state:
            processes.kill_group(self._child.pid)

    async def stop(self, grace_seconds: float) -> None:
        """End the process, if there is one, and note how it ended."""
        if self._child and "running" in self.record.state:
            self._ended(await self._child.stop(grace_seconds))
