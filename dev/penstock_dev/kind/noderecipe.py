"""What the node image is made of, as data; its digest names the image and its file in the cache.

A change of anything in this file, `pins.py`, `node/` or the pinned Go modules makes a new image.
Debian's packages are pinned by the release only: an image is as old as its file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock_dev.controlplane import build
from penstock_dev.kind import archive, paths, pins, roots

REPOSITORY = "penstock-kind-node"
NODE_ROOT = roots.Root(
    "node",
    pins.DEBIAN_RELEASE,
    (
        *("systemd", "systemd-sysv", "dbus", "kmod", "mount", "util-linux", "e2fsprogs", "procps"),
        *("containerd", "runc", "containernetworking-plugins", "libseccomp2", "pigz"),
        *("conntrack", "ethtool", "iproute2", "iptables", "nftables", "socat"),
        *("bash", "ca-certificates", "curl", "jq"),
    ),
)
PROXY_ROOT = roots.Root(
    "kube-proxy", pins.DEBIAN_RELEASE, ("conntrack", "iptables", "kmod", "nftables")
)
NODE_PROGRAMS = ("kubeadm", "kubectl", "kubelet")
IMAGE_PROGRAMS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    *("etcd", "coredns", "pause"),
)
OUR_FILES = {
    "/etc/cni/net.d/10-bridge.conflist": "10-bridge.conflist",
    "/kind/manifests/default-cni.yaml": "default-cni.yaml",
    "/kind/prepare.sh": "prepare.sh",
}
# Nobody may lower oom_score_adj where CAP_SYS_RESOURCE is missing, and a pod's sandbox would.
CONTAINERD_CONFIG = "/etc/containerd/config.toml"
CONTAINERD_CHANGE = ("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
# Parts of kind's base image that this one has no use for.
NOT_TAKEN = ("/LICENSES/", "/usr/local/bin/clean-install", "/etc/crictl.yaml")
EXECUTABLE_PLACES = ("/kind/bin/", "/kind/prepare.sh", "/usr/bin/", "/usr/local/bin/")

# Dockerfile instructions that turn the committed container into an image that kind can run.
IMAGE_CHANGES = (
    'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
    "ENV container=docker",
    "STOPSIGNAL SIGRTMIN+3",
)


def images(programs: Mapping[str, Path], proxy_root: Path) -> dict[str, archive.Image]:
    """The images a node starts its pods from, by a name for their archive."""
    made = {}
    for name in IMAGE_PROGRAMS:
        place = f"/{name}" if name in ("coredns", "pause") else f"/usr/local/bin/{name}"
        made[name] = archive.Image(
            tags=tuple(f"{pins.IMAGE_REGISTRY}/{tag}" for tag in _tags(name)),
            # kubeadm's manifests call the control plane's programs by their bare names.
            entrypoint=(place,) if name in ("coredns", "pause") else (name,),
            files={place: archive.File(programs[name])},
            root=proxy_root if name == "kube-proxy" else None,
        )
    return made


def _tags(name: str) -> tuple[str, ...]:
    match name:
        case "etcd":
            return (f"etcd:{pins.ETCD_TAG}",)
        case "coredns":
            return (f"coredns/coredns:{pins.COREDNS}",)
        case "pause":
            return tuple(f"pause:{tag}" for tag in pins.PAUSE_TAGS)
        case _:
            return (f"{name}:{pins.KUBERNETES}",)


def files_of_kind(folder: Path) -> dict[str, archive.File]:
    """What is taken over from `images/base/files` of kind's Go module, by its place."""
    found = {
        f"/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {
        place: archive.File(path, mode(place))
        for place, path in found.items()
        if not place.startswith(NOT_TAKEN)
    }


def mode(place: str) -> int:
    """A file's permissions on the node."""
    return 0o755 if place.startswith(EXECUTABLE_PLACES) else 0o644


def reference() -> str:
    """The image's name in the engine."""
    return f"{REPOSITORY}:{pins.KUBERNETES}-{digest(_ingredients(), pins.architecture())[:12]}"


def cached_file() -> Path:
    """Where the image is kept as one zstd file."""
    return paths.cache() / f"node-{digest(_ingredients(), pins.architecture())[:12]}.tar.zst"


def digest(ingredients: Iterable[Path], architecture: str) -> str:
    """SHA-256 (hex) over the files' names and contents, and the architecture."""
    whole = hashlib.sha256(architecture.encode())
    for path in ingredients:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"\n{path.parent.name}/{path.name} {content}".encode())
    return whole.hexdigest()


def _ingredients() -> list[Path]:
    here = Path(__file__)
    modules = [build.MODULE, *(paths.MODULES / name for name in ("coredns", "kind", "pause"))]
    folders = [path for folder in (paths.NODE_FILES, *modules) for path in folder.iterdir()]
    return [here, here.with_name("pins.py"), *sorted(path for path in folders if path.is_file())]
