"""The kind cluster: is it there, is it well, make it, remove it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from penstock_dev.kind import commands, paths, storage

NAME = "penstock"
CONTEXT = f"kind-{NAME}"
CONTAINER = f"{NAME}-control-plane"
_READY_SECONDS = 180
_RESTART_SECONDS = 60.0
_POLL_SECONDS = 0.5


class ClusterFailed(Exception):
    """The cluster could not be made or does not answer; says where its logs are."""


@dataclass(frozen=True)
class Tools:
    """The programs that a cluster is handled with."""

    kind: Path
    kubectl: Path

    def kubectl_command(self, *words: str) -> list[str | Path]:
        """A kubectl command for this cluster, whatever the current context is."""
        return [self.kubectl, "--context", CONTEXT, *words]


def exists(tools: Tools) -> bool:
    """Whether kind knows the cluster, running or not."""
    return NAME in commands.run([tools.kind, "get", "clusters", "--quiet"]).split()


def answers(tools: Tools) -> bool:
    """Whether the API server says that it is ready."""
    return commands.succeeds(
        tools.kubectl_command("get", "--raw", "/readyz", "--request-timeout=5s")
    )


def keep(tools: Tools, report: commands.Report) -> None:
    """Take an existing cluster up again: its kubeconfig, and its container when that is stopped.

    Raises ClusterFailed when it does not answer within a minute.
    """
    commands.run([tools.kind, "export", "kubeconfig", "--name", NAME])
    if answers(tools):
        return
    report("the cluster does not answer; starting its container")
    commands.run(["docker", "start", CONTAINER])
    deadline = time.monotonic() + _RESTART_SECONDS
    while not answers(tools):
        if time.monotonic() > deadline:
            raise ClusterFailed(
                f"the cluster {NAME} is there but its API server does not answer: "
                "make it anew with `make kind-down kind-up`"
            )
        time.sleep(_POLL_SECONDS)


def create(tools: Tools, image: str) -> None:
    """Make the cluster, and wait until its node is ready. Raises ClusterFailed."""
    command: list[str | Path] = [
        *(tools.kind, "create", "cluster", "--name", NAME, "--image", image, "--retain"),
        *("--config", paths.CLUSTER_CONFIG, "--wait", f"{_READY_SECONDS}s"),
    ]
    try:
        commands.run(command)
    except commands.CommandFailed as failed:
        logs = paths.cache() / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        exported = commands.succeeds([tools.kind, "export", "logs", logs, "--name", NAME], 60)
        delete(tools)
        where = f"; the node's logs are in {logs}" if exported else ""
        raise ClusterFailed(f"{failed}{where}") from failed
    if not answers(tools):
        raise ClusterFailed(f"the cluster was made, but its API server is not ready ({CONTEXT})")


def give_volumes(tools: Tools) -> None:
    """Give a cluster of our own node image volumes that pods without root can write to.

    Raises CommandFailed.
    """
    document = storage.manifests()
    folders = [volume["spec"]["hostPath"]["path"] for volume in document[1:]]
    mode = storage.FOLDER_MODE
    commands.run(["docker", "exec", CONTAINER, "mkdir", "--parents", *folders])
    commands.run(["docker", "exec", CONTAINER, "chmod", mode, *folders])
    # The class that kind made has another provisioner, and that cannot be changed in place.
    replace = tools.kubectl_command("replace", "--force", "--filename=-")
    commands.run(replace, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": document}))


def wait_for_name_service(tools: Tools) -> None:
    """Wait until CoreDNS runs: kind is done some seconds earlier. Raises CommandFailed."""
    rollout = ["rollout", "status", "deployment/coredns", f"--timeout={_READY_SECONDS}s"]
    commands.run(tools.kubectl_command("--namespace=kube-system", *rollout))


def delete(tools: Tools) -> None:
    """Remove the cluster and its entries in the kubeconfig; no error when there is none."""
    commands.run([tools.kind, "delete", "cluster", "--name", NAME])


def describe(tools: Tools) -> str:
    """The node with its versions, as kubectl prints it."""
    return commands.run(tools.kubectl_command("get", "nodes", "--output=wide"))
