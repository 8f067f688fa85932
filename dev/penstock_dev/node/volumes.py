"""Volumes as directories: content gathered from the API, written with the kubelet's atomic swap."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock_dev import kube
from penstock_dev.node import fields
from penstock_dev.node.references import Files, NotFound, References


async def gather(
    volume: Mapping[str, Any], pod: kube.Document, references: References
) -> Files | None:
    """The files of a volume; None for an empty directory.

    Raises NotFound when something is missing or the kind of volume is unknown here.
    """
    if "emptyDir" in volume:
        return None
    sources = volume["projected"]["sources"] if "projected" in volume else [volume]
    merged: Files = {}
    for source in sources:
        merged |= await _source(source, pod, references)
    return merged


async def _source(source: Mapping[str, Any], pod: kube.Document, references: References) -> Files:
    if config_map := source.get("configMap"):
        return await references.files("configmap", config_map)
    if secret := source.get("secret"):
        return await references.files("secret", secret)
    if downward := source.get("downwardAPI"):
        items = downward.get("items", [])
        return {i["path"]: fields.read(pod, i["fieldRef"]["fieldPath"]).encode() for i in items}
    if "serviceAccountToken" in source:
        return {}  # pods of a process node have no access to the API
    kinds = ", ".join(sorted(set(source) - {"name"}))
    raise NotFound(f"a process node has no {kinds} volumes")


def write(directory: Path, files: Files) -> bool:
    """Make a directory show these files, all at once; say whether anything changed.

    Files stand behind a link `..data` that is replaced in one step, as readers of mounted
    ConfigMaps expect.
    """
    directory.mkdir(parents=True, exist_ok=True)
    current = directory / "..data"
    previous = current.resolve() if current.exists() else None
    if previous and _read_back(previous) == files:
        return False
    generation = directory / f"..{time.time_ns()}"
    generation.mkdir()
    for name, content in files.items():
        (generation / name).parent.mkdir(parents=True, exist_ok=True)
        (generation / name).write_bytes(content)
    _link(current, generation.name)
    _show(directory, {name.split("/")[0] for name in files})
    if previous:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def _read_back(directory: Path) -> Files:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


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
        if _shows_data(entry) and entry.name not in names:
            entry.unlink()


def _shows_data(entry: Path) -> bool:
    """Whether an entry was made here; another mount may be linked into the directory, too."""
    return entry.is_symlink() and entry.readlink().parts[0] == "..data"
