"""Builds the node image from Debian packages and Go modules, without any registry.

The way: a Debian root becomes an image; in a container of it kind's own node files, the Kubernetes
programs and the archives of the images are laid down and `node/prepare.sh` turns them into a kind
node; the container is committed. Nothing stands in for something it is not.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from penstock_dev.kind import (
    archive,
    commands,
    containers,
    debian,
    noderecipe,
    paths,
    pins,
    programs,
    roots,
    stages,
)

_PACKAGES = {roots.TOOL: roots.TOOL, "zstd": "zstd"}  # program → Debian package
_DOWNLOAD_ATTEMPTS = 3


@dataclass(frozen=True)
class Parts:
    """What the image is put together from: programs by name, two root tars, kind's files."""

    programs: dict[str, Path]
    node_root: Path
    proxy_root: Path
    kind_files: Path


def install_tools(report: commands.Report) -> None:
    """See to the Debian tools that the build needs. Raises CommandFailed with their names."""
    missing = [package for tool, package in _PACKAGES.items() if shutil.which(tool) is None]
    if not missing:
        return
    if not debian.can_install():
        raise commands.CommandFailed(
            f"building a node image needs {', '.join(missing)}: install them (Debian has them), or "
            "name an image in KIND_NODE_IMAGE"
        )
    debian.install(tuple(missing), report)


async def build(progress: stages.Stages) -> None:
    """Build the image into the engine and into the cache.

    Two minutes when the programs are built already, about a quarter of an hour when Go starts from
    nothing on two cores. Raises CommandFailed, ProgramUnavailable, BuildFailed.
    """
    await asyncio.to_thread(install_tools, progress.report)
    async with progress.stage("parts of the node image"):
        parts = await _parts(progress)
    with tempfile.TemporaryDirectory(dir=paths.cache(), prefix=".node-") as scratch:
        async with progress.stage("image archives"):
            archives = await asyncio.to_thread(_write_archives, parts, Path(scratch))
        async with progress.stage("node image"):
            await asyncio.to_thread(_assemble, parts, archives, Path(scratch))
    async with progress.stage("node image into the cache"):
        await asyncio.to_thread(containers.save, noderecipe.reference(), noderecipe.cached_file())
    for root in (parts.node_root, parts.proxy_root):
        root.unlink(missing_ok=True)


async def _parts(progress: stages.Stages) -> Parts:
    """Get all parts; the roots come over the network while Go compiles."""
    wanted = {*noderecipe.NODE_PROGRAMS, *noderecipe.IMAGE_PROGRAMS}
    async with asyncio.TaskGroup() as group:
        made = group.create_task(asyncio.to_thread(_roots, progress.report))
        found = group.create_task(programs.resolve_pinned(sorted(wanted), progress.report))
        files = group.create_task(asyncio.to_thread(_kind_files))
    node_root, proxy_root = made.result()
    return Parts(found.result(), node_root, proxy_root, files.result())


def _roots(report: commands.Report) -> tuple[Path, ...]:
    targets = []
    for root in (noderecipe.NODE_ROOT, noderecipe.PROXY_ROOT):
        target = paths.cache() / f"root-{root.name}.tar"
        report(f"Debian {root.release} root of the {root.name} image")
        roots.build(root, target, report)
        report(f"  {target.stat().st_size / 2**20:.0f} MiB")
        targets.append(target)
    return tuple(targets)


def _kind_files() -> Path:
    """The files that kind lays over its base image, from its Go module, checked against go.sum."""
    with tempfile.TemporaryDirectory() as scratch:
        module = Path(scratch) / "module"
        shutil.copytree(paths.MODULES / "kind", module)
        command = ["go", "mod", "download", "-json", f"sigs.k8s.io/kind@{pins.KIND}"]
        for left in reversed(range(_DOWNLOAD_ATTEMPTS)):
            try:
                said = commands.run(command, directory=module)
                break
            except commands.CommandFailed:
                if not left:
                    raise
    return Path(json.loads(said)["Dir"]) / "images" / "base" / "files"


def _write_archives(parts: Parts, folder: Path) -> dict[str, Path]:
    written = {}
    for name, image in noderecipe.images(parts.programs, parts.proxy_root).items():
        written[name] = folder / f"{name}.tar"
        archive.write(image, pins.architecture(), written[name])
    return written


def _assemble(parts: Parts, archives: dict[str, Path], scratch: Path) -> None:
    """Lay everything down in a container and commit it. Raises CommandFailed."""
    name = f"penstock-node-build-{os.getpid()}"
    root = f"{noderecipe.REPOSITORY}-root:{os.getpid()}"
    commands.run(["docker", "import", parts.node_root, root])
    try:
        with containers.running(name, root):
            containers.copy_into(name, node_files(parts, archives, scratch))
            commands.run(["docker", "exec", name, "bash", "/kind/prepare.sh"])
            changes = [word for line in noderecipe.IMAGE_CHANGES for word in ("--change", line)]
            commands.run(["docker", "commit", *changes, name, noderecipe.reference()])
    finally:
        commands.succeeds(["docker", "rmi", root])


def node_files(parts: Parts, archives: dict[str, Path], scratch: Path) -> dict[str, archive.File]:
    """Every file that is laid over the root, by its place on the node."""
    files = noderecipe.files_of_kind(parts.kind_files)
    old, new = noderecipe.CONTAINERD_CHANGE
    config = files[noderecipe.CONTAINERD_CONFIG].source.read_text("utf-8")
    if config.count(old) != 1:
        raise commands.CommandFailed(f"kind's containerd configuration has no `{old}` to change")
    (scratch / "config.toml").write_text(config.replace(old, new), "utf-8")
    (scratch / "version").write_text(pins.KUBERNETES, "utf-8")
    ours = {place: paths.NODE_FILES / name for place, name in noderecipe.OUR_FILES.items()}
    sources = {
        noderecipe.CONTAINERD_CONFIG: scratch / "config.toml",
        "/kind/version": scratch / "version",
        **ours,
        **{f"/usr/bin/{name}": parts.programs[name] for name in noderecipe.NODE_PROGRAMS},
        **{f"/kind/images/{name}.tar": path for name, path in archives.items()},
    }
    return files | {
        place: archive.File(path, noderecipe.mode(place)) for place, path in sources.items()
    }
