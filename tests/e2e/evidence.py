"""What is kept when a test on kind fails: statuses, events and the logs of all pods."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.site import PRODUCT_PODS, WORKER_PODS, Site

_SHOWN = {
    "pods.txt": ("get", "pods", "-A", "-o", "wide"),
    "agents.yaml": ("get", "agents,agentrollouts", "-A", "-o", "yaml"),
    "events.txt": ("get", "events", "-A", "--sort-by=.metadata.creationTimestamp"),
    "workloads.yaml": ("get", "deployments,statefulsets,leases", "-A", "-o", "yaml"),
    "pods.yaml": ("get", "pods", "-A", "-l", PRODUCT_PODS, "-o", "yaml"),
}


def collect(site: Site, folder: Path) -> None:
    """Write everything that tells what happened into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, arguments in _SHOWN.items():
        (folder / name).write_text(site.kubectl(*arguments, check=False), encoding="utf-8")
    for selector in (PRODUCT_PODS, WORKER_PODS):
        _logs(site, selector, folder)


def _logs(site: Site, selector: str, folder: Path) -> None:
    columns = "jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{'\\n'}{end}"
    pods = site.kubectl("get", "pods", "-A", "-l", selector, "-o", columns, check=False)
    for line in pods.splitlines():
        namespace, _, pod = line.partition(" ")
        for which in ("", "--previous"):
            arguments = ["-n", namespace, "logs", pod, "--all-containers", "--tail=2000"]
            said = site.kubectl(*arguments, *([which] if which else []), check=False)
            if said and not (which and "not found" in said):
                (folder / f"{namespace}.{pod}{which}.log").write_text(said, encoding="utf-8")
