"""`make deploy`: our images into the cluster, then the chart with the demo, by Helm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock_dev.kind import aliases, cluster, commands, engine, images, paths, programs, stages

RELEASE = "penstock"
NAMESPACE = "penstock-system"
GATEWAY = "http://127.0.0.1:8080"  # kind-config.yaml maps it to the NodePort
_NODE_PORT = 30080
_HELM_SECONDS = 300
VALUES = {
    "demo.enabled": "true",
    "gateway.service.type": "NodePort",
    "gateway.service.nodePort": str(_NODE_PORT),
}


async def deploy(progress: stages.Stages, extra: Sequence[str]) -> None:
    """Build what has changed, load it, and install or upgrade; `extra` goes to Helm as it is."""
    async with progress.stage("programs"):
        found = await programs.resolve(programs.ON_PATH, progress.report)
    async with progress.stage("engine"):
        await asyncio.to_thread(engine.ensure, progress.report)
    tools = cluster.Tools(found["kind"], found["kubectl"])
    if not await asyncio.to_thread(cluster.answers, tools):
        raise cluster.ClusterFailed(f"no cluster {cluster.CONTEXT} answers: run `make kind-up`")
    async with progress.stage("images"):
        values = await asyncio.to_thread(
            images.deliver, found["kind"], cluster.NAME, progress.report
        )
    await asyncio.to_thread(aliases.give, paths.CHART, values, cluster.CONTAINER, progress.report)
    async with progress.stage("helm"):
        command = helm_command(found["helm"], VALUES | values, extra)
        said = await asyncio.to_thread(commands.run, command)
    progress.say(said)
    for line in progress.summary():
        progress.say(line)
    progress.say(f"Penstock runs in {NAMESPACE}; its gateway is {GATEWAY}")


def helm_command(helm: Path, values: Mapping[str, str], extra: Sequence[str]) -> list[str | Path]:
    """Install or upgrade the release in the cluster and wait until it is ready.

    What a caller adds comes last, so it overrides what is set here.
    """
    settings = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    return [
        *(helm, "upgrade", "--install", RELEASE, paths.CHART, "--kube-context", cluster.CONTEXT),
        *("--namespace", NAMESPACE, "--create-namespace"),
        *("--wait", "--timeout", f"{_HELM_SECONDS}s", *settings, *extra),
    ]
