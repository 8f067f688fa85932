"""Where the control plane's programs come from.

Each program is looked for on its own, in this order: kubectl on the PATH; `$KUBEBUILDER_ASSETS`;
the cache; the release's server binaries; a build from the pinned Go modules. What the last two
yield is put into the cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock_dev.controlplane import build, download

KUBERNETES_VERSION = "v1.34.4"
ETCD_VERSION = "v3.6.4"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
NODE = ("kube-proxy", "kubeadm", "kubelet")

SOURCES_VARIABLE = "PENSTOCK_BINARY_SOURCES"
ALL_SOURCES = ("path", "assets", "cache", "download", "build")

Report = Callable[[str], None]


class BinariesUnavailable(Exception):
    """No source yields a needed program. The message says what was tried and what to do."""


@dataclass(frozen=True)
class Sources:
    """Which sources may be used, and their addresses; None switches one off."""

    path: str | None
    assets: Path | None
    cache: Path
    read_cache: bool
    release: download.Release | None
    go: str | None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Sources:
        """Read PATH, KUBEBUILDER_ASSETS, XDG_CACHE_HOME and PENSTOCK_BINARY_SOURCES.

        The last is a comma-separated subset of path, assets, cache, download, build.
        """
        chosen = variables.get(SOURCES_VARIABLE, ",".join(ALL_SOURCES)).split(",")
        if unknown := sorted(set(chosen) - set(ALL_SOURCES)):
            raise BinariesUnavailable(
                f"{SOURCES_VARIABLE} names {', '.join(unknown)}; it knows {', '.join(ALL_SOURCES)}"
            )
        home = variables.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        assets = variables.get("KUBEBUILDER_ASSETS")
        return cls(
            path=variables.get("PATH", "") if "path" in chosen else None,
            assets=Path(assets) if assets and "assets" in chosen else None,
            cache=Path(home) / "penstock" / KUBERNETES_VERSION,
            read_cache="cache" in chosen,
            release=download.release(KUBERNETES_VERSION, ETCD_VERSION)
            if "download" in chosen
            else None,
            go=shutil.which("go", path=variables.get("PATH")) if "build" in chosen else None,
        )


async def resolve(
    sources: Sources, report: Report, names: Iterable[str] = CONTROL_PLANE
) -> dict[str, Path]:
    """Program name → absolute path of an executable, for every name.

    Takes minutes when something must be built; `report` gets a line now and then.
    Raises BinariesUnavailable when a program cannot be had.
    """
    found = {name: path for name in names if (path := find(name, sources))}
    missing = [name for name in names if name not in found]
    if not missing:
        return found
    async with _exclusive(sources.cache, report):
        failures: list[str] = []
        for fetch in (_download, _build):
            # Another process may have filled the cache while this one waited.
            found |= {name: path for name in missing if (path := find(name, sources))}
            missing = [name for name in missing if name not in found]
            if missing:
                fetched, failure = await fetch(missing, sources, report)
                found |= fetched
                failures += [failure] if failure else []
                missing = [name for name in missing if name not in found]
    if missing:
        raise BinariesUnavailable(_advice(missing, sources, failures))
    return found


def find(name: str, sources: Sources) -> Path | None:
    """A program that is already on this machine, or None."""
    if (
        name == "kubectl"
        and sources.path is not None
        and (found := shutil.which(name, path=sources.path))
    ):
        return Path(found).absolute()
    directories = [sources.assets, sources.cache if sources.read_cache else None]
    for directory in directories:
        if directory and os.access(directory / name, os.X_OK) and (directory / name).is_file():
            return (directory / name).absolute()
    return None


Fetched = tuple[dict[str, Path], str]


async def _download(names: list[str], sources: Sources, report: Report) -> Fetched:
    if sources.release is None:
        return {}, "download: switched off"
    try:
        return await download.fetch(names, sources.release, sources.cache, report), ""
    except download.DownloadFailed as failure:
        return {}, f"download: {failure}"


async def _build(names: list[str], sources: Sources, report: Report) -> Fetched:
    if sources.go is None:
        return {}, "build: no `go` on the PATH (or switched off)"
    try:
        programs = [build.control_plane(name, _version(name)) for name in names]
        return await build.compile_programs(programs, sources.go, sources.cache, report), ""
    except build.BuildFailed as failure:
        return {}, f"build: {failure}"


def _version(name: str) -> str:
    return ETCD_VERSION if name == "etcd" else KUBERNETES_VERSION


def _advice(missing: list[str], sources: Sources, failures: list[str]) -> str:
    tried = [
        f"$KUBEBUILDER_ASSETS: {sources.assets or 'not set'}",
        f"cache: {sources.cache if sources.read_cache else 'switched off'} lacks it",
        *failures,
    ]
    return (
        f"cannot get {', '.join(missing)} (Kubernetes {KUBERNETES_VERSION}). Tried "
        + "; ".join(tried)
        + f". Install Go ≥ 1.25 with access to a module proxy, or put the programs into "
        f"{sources.cache} or a folder named by KUBEBUILDER_ASSETS."
    )


@contextlib.asynccontextmanager
async def _exclusive(cache: Path, report: Report) -> AsyncIterator[None]:
    """Let one process at a time fill the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as handle:
        told = False
        while not _try_lock(handle.fileno()):
            if not told:
                report("waiting for another process that is filling the cache")
                told = True
            await asyncio.sleep(0.5)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
