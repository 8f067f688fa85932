"""`make kind-up` and `make kind-down`: from whatever this machine has to a cluster that answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from penstock_dev.kind import (
    cluster,
    commands,
    containers,
    engine,
    nodeimage,
    noderecipe,
    nodesource,
    programs,
    registry,
    stages,
)


async def up(progress: stages.Stages) -> None:
    """See to it that the cluster runs: an existing one is kept, else one is made."""
    async with progress.stage("programs"):
        found = await programs.resolve(programs.ON_PATH, progress.report)
    async with progress.stage("engine"):
        running = await asyncio.to_thread(engine.ensure, progress.report)
    progress.report(f"Docker {running.version}")
    tools = cluster.Tools(found["kind"], found["kubectl"])
    if await asyncio.to_thread(cluster.exists, tools):
        async with progress.stage("existing cluster"):
            await asyncio.to_thread(cluster.keep, tools, progress.report)
    else:
        await _create(tools, progress)
    _tell(tools, found, progress)


async def down(progress: stages.Stages) -> None:
    """Remove the cluster, and stop an engine of ours that nothing else uses; the caches stay."""
    found = await programs.resolve(("kind", "kubectl"), progress.report)
    async with progress.stage("delete the cluster"):
        await asyncio.to_thread(cluster.delete, cluster.Tools(found["kind"], found["kubectl"]))
    await asyncio.to_thread(engine.stop_idle, progress.report)


async def build_node_image(progress: stages.Stages) -> None:
    """See to it that our own node image is in the engine and in the cache."""
    async with progress.stage("engine"):
        await asyncio.to_thread(engine.ensure, progress.report)
    await provide(progress)
    file = noderecipe.cached_file()
    progress.report(f"{noderecipe.reference()}, {file} ({file.stat().st_size / 2**20:.0f} MiB)")


async def provide(progress: stages.Stages) -> None:
    """Have our own node image in the engine: it is there, or in the cache, or is built."""
    reference, file = noderecipe.reference(), noderecipe.cached_file()
    if file.exists() and _in_engine(reference):
        progress.report(f"node image {reference} is in the engine")
    elif file.exists():
        async with progress.stage("node image from the cache"):
            await asyncio.to_thread(nodeimage.install_tools, progress.report)
            await asyncio.to_thread(containers.load, file)
    else:
        progress.report(f"building the node image {reference}: two minutes, or 15 from nothing")
        await nodeimage.build(progress)


def _in_engine(reference: str) -> bool:
    return commands.succeeds(["docker", "image", "inspect", reference])


async def _create(tools: cluster.Tools, progress: stages.Stages) -> None:
    async with progress.stage("choice of the node image"):
        asked = os.environ.get(nodesource.VARIABLE)
        reachable = bool(asked) or await asyncio.to_thread(registry.reachable)
        choice = nodesource.choose(asked, registry_reachable=reachable)
    progress.report(f"node image {choice.reference}: {choice.reason}")
    if choice.built_here:
        await provide(progress)
        progress.report(nodesource.LABEL)
    async with progress.stage("cluster"):
        await asyncio.to_thread(cluster.create, tools, choice.reference)
        if choice.built_here:
            await asyncio.to_thread(cluster.give_volumes, tools)
    async with progress.stage("CoreDNS"):
        await asyncio.to_thread(cluster.wait_for_name_service, tools)


def _tell(tools: cluster.Tools, found: dict[str, Path], progress: stages.Stages) -> None:
    """Print what stands, how long it took and what comes next."""
    say = progress.say
    say(cluster.describe(tools))
    for line in progress.summary():
        say(line)
    if hidden := programs.off_path(found):
        say(f"To call {', '.join(hidden)} yourself: export PATH={programs.link(found)}:$PATH")
    say(f"The cluster stands (kubectl context {cluster.CONTEXT}). Next: make deploy")
