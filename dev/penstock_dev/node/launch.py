"""What a container declares, gathered into a command line, an environment and probes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_dev import kube, processes
from penstock_dev.node import fields, probes, substitution, tree
from penstock_dev.node.forks import Forks
from penstock_dev.node.references import NotFound, References

_KEPT_FROM_THE_HOST = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "HTTP_PROXY", "HTTPS_PROXY")
_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


class NotStartable(Exception):
    """The container cannot be started (yet): a waiting reason and the message for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Launch:
    """What to start, and what to probe then (by the name of the declaring field)."""

    command: list[str]
    environment: dict[str, str]
    probes: dict[str, probes.Probe]


@dataclass(frozen=True)
class Surroundings:
    """What a pod and its node give a container: a directory per volume, the image that runs."""

    mounts: Mapping[str, Path]
    references: References
    runtime_image: str
    owner: str
    directory: Path
    forks: Forks


async def gather(spec: kube.Document, pod: kube.Document, around: Surroundings) -> Launch:
    """Everything needed to start a container now. Raises NotStartable."""
    mounts = [
        substitution.Mount(
            mount["mountPath"], str(around.mounts[mount["name"]] / mount.get("subPath", ""))
        )
        for mount in spec.get("volumeMounts", [])
    ]
    try:
        declared = await _variables(spec, pod, around.references)
        looks = {
            kind: probes.declared(spec, kind, pod["status"]["podIP"])
            for kind in _PROBES
            if spec.get(kind)
        }
    except (NotFound, fields.UnknownField, probes.Unsupported, kube.ApiError) as error:
        raise NotStartable("CreateContainerConfigError", str(error)) from error
    base = {**base_environment(around.owner), "HOSTNAME": pod["metadata"]["name"]}
    above = tree.build(around.directory / f"{spec['name']}.above", mounts)
    environment = substitution.environment(base, declared, mounts, above)
    words = _words(spec, around.runtime_image)
    line = substitution.command_line(words, environment, mounts, sys.executable, above)
    return Launch(line, environment, looks)


def _words(spec: kube.Document, runtime_image: str) -> list[str]:
    """Command and arguments as declared. Raises NotStartable for a program that is not here."""
    words = spec.get("command", [])
    if not words or not (spec["image"] == runtime_image or substitution.is_python(words)):
        raise NotStartable(
            "ErrImagePull",
            f'cannot pull image "{spec["image"]}": a process node has no images; it runs '
            f"commands that start with python, or any command of {runtime_image}",
        )
    return [*words, *spec.get("args", [])]


def base_environment(owner: str) -> dict[str, str]:
    """What every container's environment begins with."""
    host = {name: os.environ[name] for name in _KEPT_FROM_THE_HOST if name in os.environ}
    return {
        **host,
        "NO_PROXY": "127.0.0.0/8,127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
        processes.OWNER_VARIABLE: owner,
    }


async def _variables(
    spec: kube.Document, pod: kube.Document, references: References
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for source in spec.get("envFrom", []):
        kind = "configmap" if "configMapRef" in source else "secret"
        reference = source.get("configMapRef") or source["secretRef"]
        data = await references.data(kind, reference)
        prefix = source.get("prefix", "")
        found += [(prefix + key, value.decode()) for key, value in sorted(data.items())]
    for variable in spec.get("env", []):
        value = await _value(variable, pod, references)
        if value is not None:
            found.append((variable["name"], value))
    return found


async def _value(variable: kube.Document, pod: kube.Document, references: References) -> str | None:
    """The value of one variable; None when its optional source is missing."""
    match variable.get("valueFrom"):
        case None:
            return str(variable.get("value", ""))
        case {"fieldRef": {"fieldPath": path}}:
            return fields.read(pod, path)
        case {"configMapKeyRef": reference}:
            return await references.key("configmap", reference)
        case {"secretKeyRef": reference}:
            return await references.key("secret", reference)
        case unknown:
            raise fields.UnknownField(f"a process node cannot read {', '.join(sorted(unknown))}")
