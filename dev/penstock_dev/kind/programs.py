"""Finds kind, kubectl, helm, Prometheus and what a node runs: on the PATH, in the cache, else gets them."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock_dev.controlplane import binaries, build
from penstock_dev.kind import commands, debian, elf, paths, pins

_MODULES = {
    "kind": build.Program("kind", pins.KIND, paths.MODULES / "kind", "sigs.k8s.io/kind"),
    "helm": build.Program("helm", pins.HELM, paths.MODULES / "helm", "helm.sh/helm/v4/cmd/helm"),
    "coredns": build.Program("coredns", pins.COREDNS, paths.MODULES / "coredns", "."),
    "pause": build.Program("pause", pins.PAUSE, paths.MODULES / "pause", "."),
    "promtool": build.Program(
        "promtool",
        pins.PROMETHEUS,
        paths.MODULES / "promtool",
        "github.com/prometheus/prometheus/cmd/promtool",
    ),
    "prometheus": build.Program(
        "prometheus",
        pins.PROMETHEUS,
        paths.MODULES / "promtool",
        "github.com/prometheus/prometheus/cmd/prometheus",
    ),
}
ON_PATH = ("kind", "helm", "kubectl")
# What Debian has in a package, to be unpacked without rights and without installing anything.
_PACKAGES = {"promtool": "prometheus", "prometheus": "prometheus"}


class ProgramUnavailable(Exception):
    """A program is neither here nor can it be built; says what to do."""


def find(name: str) -> Path | None:
    """A program of this package that is already here: on the PATH (users' tools only) or built."""
    if name in (*ON_PATH, *_PACKAGES) and (found := shutil.which(name)):
        return Path(found).absolute()
    if name in _PACKAGES and (unpacked := _unpacked(name)):
        return unpacked
    return _built(_MODULES[name]) if name in _MODULES else binaries.find(name, _sources())


async def resolve(names: Iterable[str], report: commands.Report) -> dict[str, Path]:
    """Program name → path for every name; building helm takes minutes.

    Raises ProgramUnavailable.
    """
    found = {}
    for name in names:
        if path := find(name):
            found[name] = path
        elif name in _PACKAGES and (unpacked := _unpack(name, report)):
            found[name] = unpacked
        elif name in _MODULES:
            found[name] = await _build(_MODULES[name], report)
        else:
            found |= await _kubernetes([name], _sources(), report)
    return found


async def resolve_pinned(names: Iterable[str], report: commands.Report) -> dict[str, Path]:
    """As `resolve`, but of exactly the pinned versions and statically linked. For node images.

    The Kubernetes programs take ten minutes to build where Go's cache is empty. A program in the
    cache that needs a libc was put there by other means, and is replaced.
    """
    wanted = list(names)
    pinned = dataclasses.replace(_sources(), path=None, assets=None)
    kubernetes = [name for name in wanted if name not in _MODULES]
    found = await _kubernetes(kubernetes, pinned, report)
    if dynamic := [name for name, path in found.items() if not elf.is_static(path)]:
        afresh = dataclasses.replace(pinned, read_cache=False)
        found |= await _kubernetes(dynamic, afresh, report)
    for name in (name for name in wanted if name in _MODULES):
        found[name] = _built(_MODULES[name]) or await _build(_MODULES[name], report)
    return found


def helm(report: commands.Report = print) -> Path:
    """The path of helm; builds it when it is nowhere. Raises ProgramUnavailable."""
    return find("helm") or asyncio.run(resolve(["helm"], report))["helm"]


def kind(report: commands.Report = print) -> Path:
    """The path of kind; builds it when it is nowhere. Raises ProgramUnavailable."""
    return find("kind") or asyncio.run(resolve(["kind"], report))["kind"]


def promtool(report: commands.Report = print) -> Path:
    """The path of promtool; unpacks or builds it when it is nowhere. Raises ProgramUnavailable."""
    return find("promtool") or asyncio.run(resolve(["promtool"], report))["promtool"]


def prometheus(report: commands.Report = print) -> Path:
    """The path of prometheus; unpacks or builds it when it is nowhere. Raises ProgramUnavailable."""
    return find("prometheus") or asyncio.run(resolve(["prometheus"], report))["prometheus"]


def folder(report: commands.Report = print) -> Path:
    """A folder to put on the PATH: kind, kubectl and helm by their bare names, as links.

    Builds what is missing. Raises ProgramUnavailable.
    """
    found = {name: path for name in ON_PATH if (path := find(name))}
    missing = [name for name in ON_PATH if name not in found]
    if missing:
        found |= asyncio.run(resolve(missing, report))
    return link(found)


def link(found: Mapping[str, Path]) -> Path:
    """Make one folder of links to programs; the folder."""
    links = paths.cache() / "bin"
    links.mkdir(exist_ok=True)
    for name, program in found.items():
        if program.parent == links or (links / name).resolve() == program.resolve():
            continue
        with tempfile.TemporaryDirectory(dir=links, prefix=".link-") as scratch:
            fresh = Path(scratch) / name
            fresh.symlink_to(program)
            fresh.replace(links / name)
    return links


def off_path(found: Mapping[str, Path]) -> list[str]:
    """Those programs a person cannot call by their bare names."""
    return [name for name in found if shutil.which(name) is None]


async def _kubernetes(
    names: list[str], sources: binaries.Sources, report: commands.Report
) -> dict[str, Path]:
    try:
        return await binaries.resolve(sources, report, names)
    except binaries.BinariesUnavailable as unavailable:
        raise ProgramUnavailable(str(unavailable)) from unavailable


def _sources() -> binaries.Sources:
    return binaries.Sources.from_environment(os.environ)


def _unpack(name: str, report: commands.Report) -> Path | None:
    """Take a program out of Debian's package, in seconds; None where that cannot be done."""
    if shutil.which("apt-get") is None:
        return None
    report(f"taking {name} out of Debian's package {_PACKAGES[name]}")
    place = _package_folder(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        debian.unpack_from(pins.DEBIAN_RELEASE, _PACKAGES[name], place)
    except (commands.CommandFailed, OSError) as failed:
        report(f"  it could not be taken: {failed}")
    return _unpacked(name)


def _unpacked(name: str) -> Path | None:
    unpacked = _package_folder(name) / "usr" / "bin" / name
    return unpacked if os.access(unpacked, os.X_OK) else None


def _package_folder(name: str) -> Path:
    return paths.cache() / "packages" / f"{_PACKAGES[name]}-{pins.DEBIAN_RELEASE}"


def _built(program: build.Program) -> Path | None:
    built = _folder(program) / program.name
    return built if os.access(built, os.X_OK) else None


async def _build(program: build.Program, report: commands.Report) -> Path:
    go = shutil.which("go")
    if go is None:
        raise ProgramUnavailable(
            f"{program.name} is not on the PATH and there is no Go to build it: "
            f"install {program.name} {program.version} or newer, or Go"
        )
    folder = _folder(program)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return (await build.compile_programs([program], go, folder, report))[program.name]
    except build.BuildFailed as failed:
        raise ProgramUnavailable(
            f"{program.name} is not on the PATH and cannot be built: {failed}"
        ) from failed


def _folder(program: build.Program) -> Path:
    return paths.cache() / "programs" / f"{program.name}-{program.version}"
