"""One container: a local process that is prepared, started, probed, and started again."""

from __future__ import annotations

import asyncio
import datetime
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from penstock_dev import kube, processes
from penstock_dev.node import fields, probes, status, substitution, volumes
from penstock_dev.state import write_json

_RESTART_DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_FORGIVEN_AFTER_SECONDS = 60.0
_RETRY_SECONDS = 1.0
_KEPT_FROM_THE_HOST = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "HTTP_PROXY", "HTTPS_PROXY")

Event = Callable[[str, str], None]


class NotStartable(Exception):
    """The container cannot be started (yet): a waiting reason and the message for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Surroundings:
    """What a container gets from its pod and its node."""

    pod: Callable[[], kube.Document]
    directory: Path
    log_directory: Path
    mounts: Mapping[str, Path]
    references: volumes.References
    http: httpx.AsyncClient
    runtime_image: str
    owner: str
    changed: Callable[[], None]
    event: Event


def restart_delay_seconds(failures_in_a_row: int) -> float:
    """The back-off before a start, after this many ends in a row: 1 s doubling to 30 s."""
    return _RESTART_DELAYS_SECONDS[min(failures_in_a_row, len(_RESTART_DELAYS_SECONDS)) - 1]


class Container:
    """Runs one container of a pod; `record` is its state at any time."""

    def __init__(self, spec: kube.Document, around: Surroundings) -> None:
        self.spec = spec
        self.record = status.ContainerRecord(spec["name"], spec["image"])
        self._around = around
        self._child: processes.Child | None = None
        metadata = around.pod()["metadata"]
        self._log = around.log_directory / (
            f"{metadata['namespace']}_{metadata['name']}_{spec['name']}.log"
        )

    async def run(self) -> None:
        """Start it, and start it again as the restart policy says, until cancelled."""
        failures_in_a_row = 0
        while True:
            child, started_at, log_offset = await self._started()
            code = await self._attended(child)
            ended = self._ended(code, started_at, log_offset)
            if not _runs_again(self._around.pod()["spec"], ended.exit_code):
                return
            lived = (ended.finished_at - started_at).total_seconds()
            failures_in_a_row = 1 if lived > _FORGIVEN_AFTER_SECONDS else failures_in_a_row + 1
            await self._back_off(ended, restart_delay_seconds(failures_in_a_row))

    async def _started(self) -> tuple[processes.Child, datetime.datetime, int]:
        """Try until the process runs; each obstacle is shown in the status."""
        while True:
            try:
                return await self._start()
            except NotStartable as obstacle:
                self._show(status.Waiting(obstacle.reason, str(obstacle)))
                self._around.event("Failed", f"Error: {obstacle}")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _start(self) -> tuple[processes.Child, datetime.datetime, int]:
        command, environment = await self._launch()
        log_offset = self._log.stat().st_size if self._log.exists() else 0
        try:
            child = processes.spawn(
                self.record.name,
                command,
                environment=environment,
                log_path=self._log,
                directory=self._around.directory,
            )
        except OSError as error:
            raise NotStartable("CreateContainerError", f"{command[0]}: {error.strerror}") from error
        self._child = child
        self._remember(child)
        started_at = datetime.datetime.now(datetime.UTC)
        self.record.started = "startupProbe" not in self.spec
        self.record.ready = self.record.started and "readinessProbe" not in self.spec
        self._show(status.Running(started_at))
        return child, started_at, log_offset

    async def _launch(self) -> tuple[list[str], dict[str, str]]:
        """Gather what the declaration refers to; decide command line and environment."""
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            self._probe(kind)
        mounts = self._mounts()
        declared = await self._declared_variables()
        environment = substitution.environment(self._base_environment(), declared, mounts)
        words = [*self.spec.get("command", []), *self.spec.get("args", [])]
        runs_here = self.spec["image"] == self._around.runtime_image
        if not self.spec.get("command") or not (runs_here or substitution.is_python(words)):
            raise NotStartable(
                "ErrImagePull",
                f'cannot pull image "{self.spec["image"]}": a process node has no images; it runs '
                f"commands that start with python, or a command of {self._around.runtime_image}",
            )
        return substitution.command_line(words, environment, mounts, sys.executable), environment

    def _probe(self, kind: str) -> probes.Probe | None:
        try:
            return probes.declared(self.spec, kind, self._around.pod()["status"]["podIP"])
        except probes.Unsupported as error:
            raise NotStartable("CreateContainerConfigError", str(error)) from error

    def _mounts(self) -> list[substitution.Mount]:
        found = []
        for mount in self.spec.get("volumeMounts", []):
            real = self._around.mounts[mount["name"]] / mount.get("subPath", "")
            found.append(substitution.Mount(mount["mountPath"], str(real)))
        return found

    def _base_environment(self) -> dict[str, str]:
        host = {name: os.environ[name] for name in _KEPT_FROM_THE_HOST if name in os.environ}
        return {
            **host,
            "HOSTNAME": self._around.pod()["metadata"]["name"],
            "NO_PROXY": "127.0.0.0/8,127.0.0.1,localhost",
            "PYTHONUNBUFFERED": "1",
            processes.OWNER_VARIABLE: self._around.owner,
        }

    async def _declared_variables(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for source in self.spec.get("envFrom", []):
            kind, reference = _reference(source, "configMapRef", "secretRef")
            data = await self._data(kind, reference)
            prefix = source.get("prefix", "")
            found += [(prefix + key, value.decode()) for key, value in sorted(data.items())]
        for variable in self.spec.get("env", []):
            value = await self._value(variable)
            if value is not None:
                found.append((variable["name"], value))
        return found

    async def _value(self, variable: kube.Document) -> str | None:
        """The value of one variable; None when its optional source is missing."""
        source = variable.get("valueFrom")
        if not source:
            return str(variable.get("value", ""))
        if "fieldRef" in source:
            try:
                return fields.read(self._around.pod(), source["fieldRef"]["fieldPath"])
            except fields.UnknownField as error:
                raise NotStartable("CreateContainerConfigError", str(error)) from error
        kind, reference = _reference(source, "configMapKeyRef", "secretKeyRef")
        data = await self._data(kind, reference)
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if reference.get("optional", False):
            return None
        namespace = self._around.references.namespace
        word = "ConfigMap" if kind == "configmap" else "Secret"
        raise NotStartable(
            "CreateContainerConfigError",
            f"couldn't find key {reference['key']} in {word} {namespace}/{reference['name']}",
        )

    async def _data(self, kind: str, reference: kube.Document) -> volumes.Files:
        optional = reference.get("optional", False)
        try:
            return await self._around.references.data(kind, reference["name"], optional=optional)
        except volumes.NotMountable as error:
            raise NotStartable("CreateContainerConfigError", str(error)) from error
        except (kube.ApiError, kube.TransportError) as error:
            raise NotStartable("CreateContainerConfigError", str(error)) from error

    def _remember(self, child: processes.Child) -> None:
        """Note the process, so that a later life of the node can end it."""
        write_json(
            self._around.directory / f"{self.record.name}.process.json",
            {"pid": child.pid, "startedTicks": child.identity.started_ticks},
        )

    async def _attended(self, child: processes.Child) -> int:
        """Wait for the end of the process while its probes run."""
        probing = asyncio.create_task(self._probed(child))
        try:
            return await child.wait()
        finally:
            probing.cancel()
            await asyncio.wait({probing})

    async def _probed(self, child: processes.Child) -> None:
        if startup := self._probe("startupProbe"):
            first = await anext(probes.verdicts(startup, self._around.http))
            if not first.passed:
                await self._kill_unhealthy(child, "Startup", first)
                return
            self.record.started = True
            self.record.ready = "readinessProbe" not in self.spec
            self._around.changed()
        async with asyncio.TaskGroup() as group:
            if readiness := self._probe("readinessProbe"):
                group.create_task(self._watch_readiness(readiness))
            if liveness := self._probe("livenessProbe"):
                group.create_task(self._watch_liveness(liveness, child))

    async def _watch_readiness(self, probe: probes.Probe) -> None:
        async for verdict in probes.verdicts(probe, self._around.http):
            if verdict.passed != self.record.ready:
                self.record.ready = verdict.passed
                self._around.changed()
            if not verdict.passed:
                self._around.event("Unhealthy", f"Readiness probe failed: {verdict.seen}")

    async def _watch_liveness(self, probe: probes.Probe, child: processes.Child) -> None:
        async for verdict in probes.verdicts(probe, self._around.http):
            if not verdict.passed:
                await self._kill_unhealthy(child, "Liveness", verdict)
                return

    async def _kill_unhealthy(
        self, child: processes.Child, kind: str, verdict: probes.Verdict
    ) -> None:
        self._around.event("Unhealthy", f"{kind} probe failed: {verdict.seen}")
        grace_seconds = self._around.pod()["spec"].get("terminationGracePeriodSeconds", 30)
        await child.stop(grace_seconds)

    def _ended(
        self, code: int, started_at: datetime.datetime, log_offset: int
    ) -> status.Terminated:
        exit_code, reason = status.exit_reason(code)
        said = processes.last_lines(self._log, lines=80, max_bytes=2048, start=log_offset)
        finished_at = datetime.datetime.now(datetime.UTC)
        message = said if exit_code else ""
        ended = status.Terminated(exit_code, reason, message, started_at, finished_at)
        self.record.started = self.record.ready = False
        self._show(ended)
        return ended

    async def _back_off(self, ended: status.Terminated, delay_seconds: float) -> None:
        metadata = self._around.pod()["metadata"]
        message = (
            f"back-off {delay_seconds:.0f}s restarting failed container={self.record.name} "
            f"pod={metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        )
        self.record.last = ended
        self._show(status.Waiting("CrashLoopBackOff", message))
        self._around.event("BackOff", f"Back-off restarting failed container {self.record.name}")
        await asyncio.sleep(delay_seconds)
        self.record.restarts += 1

    def _show(self, state: status.State) -> None:
        self.record.state = state
        self._around.changed()

    async def stop(self, grace_seconds: float) -> None:
        """End the process, if there is one, and note how it ended."""
        if self._child is None or not isinstance(self.record.state, status.Running):
            return
        started_at = self.record.state.started_at
        code = await self._child.stop(grace_seconds)
        if isinstance(self.record.state, status.Running):
            self._ended(code, started_at, self._log.stat().st_size)


def _runs_again(pod_spec: kube.Document, exit_code: int) -> bool:
    match pod_spec.get("restartPolicy", "Always"):
        case "Never":
            return False
        case "OnFailure":
            return exit_code != 0
        case _:
            return True


def _reference(source: kube.Document, config_map: str, secret: str) -> tuple[str, kube.Document]:
    if config_map in source:
        return "configmap", source[config_map]
    if secret in source:
        return "secret", source[secret]
    raise NotStartable(
        "CreateContainerConfigError", f"a process node cannot read {', '.join(sorted(source))}"
    )
