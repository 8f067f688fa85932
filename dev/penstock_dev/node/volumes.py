"""Volumes as directories: content gathered from the API, written with the kubelet's atomic swap."""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock_dev import kube
from penstock_dev.node import fields

Files = dict[str, bytes]


class NotMountable(Exception):
    """A volume cannot be made (yet); the message is the kubelet's."""


@dataclass
class References:
    """Reads ConfigMaps and Secrets of one namespace as the node is allowed to."""

    client: kube.KubeClient
    namespace: str

    async def read(self, kind: str, name: str) -> kube.Document | None:
        """The object, or None when it is missing. `kind` is configmap or secret."""
        try:
            return await self.client.get(f"/api/v1/namespaces/{self.namespace}/{kind}s/{name}")
        except kube.ApiError as error:
            if error.status == 404:
                return None
            raise

    async def data(self, kind: str, name: str, *, optional: bool) -> Files:
        """Its keys and contents. Raises NotMountable when it is missing and not optional."""
        found = await self.read(kind, name)
        if found is None and not optional:
            raise NotMountable(f'{kind} "{name}" not found')
        return contents(found or {})


def contents(found: kube.Document) -> Files:
    """The keys of a ConfigMap or Secret as bytes."""
    if found.get("kind") == "Secret":
        return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    binary = {key: base64.b64decode(v) for key, v in (found.get("binaryData") or {}).items()}
    return binary | {key: text.encode() for key, text in (found.get("data") or {}).items()}


async def gather(
    volume: Mapping[str, Any], pod: kube.Document, references: References
) -> Files | None:
    """The files of a volume; None for an empty directory.

    Raises NotMountable when something is missing or the kind of volume is unknown here.
    """
    if "emptyDir" in volume:
        return None
    if "projected" in volume:
        merged: Files = {}
        for source in volume["projected"].get("sources", []):
            merged |= await _source(source, pod, references)
        return merged
    return await _source(volume, pod, references)


async def _source(source: Mapping[str, Any], pod: kube.Document, references: References) -> Files:
    if from_map := source.get("configMap"):
        return await _object_files("configmap", from_map["name"], from_map, references)
    if from_secret := source.get("secret"):
        name = from_secret.get("secretName") or from_secret["name"]
        return await _object_files("secret", name, from_secret, references)
    if downward := source.get("downwardAPI"):
        items = downward.get("items", [])
        return {i["path"]: fields.read(pod, i["fieldRef"]["fieldPath"]).encode() for i in items}
    if "serviceAccountToken" in source:
        return {}  # pods of a process node have no access to the API
    kinds = ", ".join(sorted(set(source) - {"name"}))
    raise NotMountable(f"a process node has no {kinds} volumes")


async def _object_files(
    kind: str, name: str, source: Mapping[str, Any], references: References
) -> Files:
    data = await references.data(kind, name, optional=source.get("optional", False))
    return _selected(data, source, f"{kind} {name}")


def _selected(data: Files, source: Mapping[str, Any], what: str) -> Files:
    """All keys, or those that `items` names under the paths it gives them."""
    if not source.get("items"):
        return data
    chosen: Files = {}
    for item in source["items"]:
        if item["key"] in data:
            chosen[item["path"]] = data[item["key"]]
        elif not source.get("optional", False):
            raise NotMountable(f"{what} references non-existent config key: {item['key']}")
    return chosen


def write(directory: Path, files: Files) -> bool:
    """Make a directory show these files, all at once; say whether anything changed.

    Files stand behind a link `..data` that is replaced in one step, as readers of mounted
    ConfigMaps expect.
    """
    directory.mkdir(parents=True, exist_ok=True)
    current = directory / "..data"
    if current.exists() and _read_back(current) == files:
        return False
    generation = directory / f"..{time.time_ns()}"
    for name, content in files.items():
        path = generation / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    generation.mkdir(exist_ok=True)
    previous = current.resolve() if current.exists() else None
    _link(current, generation.name)
    _show(directory, {name.split("/")[0] for name in files})
    if previous:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def _read_back(directory: Path) -> Files:
    found = (path for path in directory.resolve().rglob("*") if path.is_file())
    return {str(path.relative_to(directory.resolve())): path.read_bytes() for path in found}


def _link(link: Path, target: str) -> None:
    temporary = link.with_name(f"{link.name}_tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def _show(directory: Path, names: set[str]) -> None:
    """One visible link per top-level name, and none for names that are gone."""
    for name in names:
        if not (directory / name).is_symlink():
            _link(directory / name, f"..data/{name}")
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
