"""Which versions of foreign programs and images the cluster is made of, all in one place."""

from __future__ import annotations

import platform

from penstock_dev.controlplane import binaries

KIND = "v0.33.0"
HELM = "v4.3.1"
PROMETHEUS = "v0.305.0"  # the module's version of Prometheus 3.5
KUBERNETES = binaries.KUBERNETES_VERSION

# What kind v0.33.0 was released with for Kubernetes 1.34; its own default is newer than that.
UPSTREAM_NODE_IMAGE = (
    "docker.io/kindest/node:v1.34.11"
    "@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)

# The rest is for the node image that is built from source.
COREDNS = "v1.12.1"
PAUSE = "v1"
DEBIAN_RELEASE = "bookworm"  # systemd 252: still runs on a host with cgroup v1
# The tags under which kubeadm v1.34 and kind's containerd look for the images.
IMAGE_REGISTRY = "registry.k8s.io"
ETCD_TAG = "3.6.5-0"
PAUSE_TAGS = ("3.10", "3.10.1")

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def architecture() -> str:
    """This machine's architecture as Go and the image formats call it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)
