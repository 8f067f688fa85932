"""A Kubernetes control plane of four processes on loopback ports: command lines and identities."""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from pathlib import Path

import yaml

from penstock_dev.controlplane import certificates

NODE_NAME = "penstock-dev"
_SERVICE_RANGE = "10.96.0.0/16"
_KUBECONFIGS = {
    "admin": ("penstock-dev-admin", ("system:masters",)),
    "kube-controller-manager": ("system:kube-controller-manager", ()),
    "kube-scheduler": ("system:kube-scheduler", ()),
    "node": (f"system:node:{NODE_NAME}", ("system:nodes",)),
}
_KUBELET_CLIENT = "apiserver-kubelet-client"
# No Services here (an EndpointSlice refuses loopback addresses) and no disks to attach.
_CONTROLLERS_OFF = (
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
)


@dataclass(frozen=True)
class ControlPlane:
    """Where one control plane keeps its files and which loopback ports are its own."""

    root: Path
    binaries: dict[str, Path]
    etcd_port: int
    etcd_peer_port: int
    api_port: int

    @property
    def server(self) -> str:
        """The API server, without a trailing slash."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def pki(self) -> Path:
        """Certificates, keys and kubeconfigs of the parts."""
        return self.root / "pki"

    def kubeconfig(self, identity: str) -> Path:
        """The kubeconfig of admin, node, kube-controller-manager or kube-scheduler."""
        return self.root / "kubeconfig" if identity == "admin" else self.pki / f"{identity}.conf"


def prepare(plane: ControlPlane, now: datetime.datetime) -> None:
    """Write certificates once, and kubeconfigs for the present port."""
    if not (plane.pki / "complete").exists():
        _write_certificates(plane, now)
    if not (plane.pki / f"{_KUBELET_CLIENT}.key").exists():
        _write_kubelet_client(plane, now)
    authority = (plane.pki / "ca.crt").read_bytes()
    for identity in _KUBECONFIGS:
        pair = certificates.KeyPair(
            (plane.pki / f"{identity}.crt").read_bytes(),
            (plane.pki / f"{identity}.key").read_bytes(),
        )
        user = {
            "client-certificate-data": _encoded(pair.certificate),
            "client-key-data": _encoded(pair.key),
        }
        write_kubeconfig(plane.kubeconfig(identity), plane.server, authority, user)


def _write_certificates(plane: ControlPlane, now: datetime.datetime) -> None:
    authority = certificates.Authority.create(now)
    authority.pair.write(plane.pki, "ca")
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    authority.server(names, ["127.0.0.1", "10.96.0.1"]).write(plane.pki, "kube-apiserver")
    for identity, (user, groups) in _KUBECONFIGS.items():
        authority.client(user, *groups).write(plane.pki, identity)
    private, public = certificates.service_account_keys()
    certificates.KeyPair(public, private).write(plane.pki, "service-account")
    (plane.pki / "complete").touch()


def _write_kubelet_client(plane: ControlPlane, now: datetime.datetime) -> None:
    pair = certificates.KeyPair(
        (plane.pki / "ca.crt").read_bytes(), (plane.pki / "ca.key").read_bytes()
    )
    authority = certificates.Authority.of(pair, now)
    authority.client(f"kube-{_KUBELET_CLIENT}", "system:masters").write(plane.pki, _KUBELET_CLIENT)


def write_kubeconfig(path: Path, server: str, authority: bytes, user: dict[str, str]) -> None:
    """Write a self-contained kubeconfig, readable by its owner only; the old or new, whole."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "penstock-dev",
                "cluster": {"server": server, "certificate-authority-data": _encoded(authority)},
            }
        ],
        "users": [{"name": "penstock-dev", "user": user}],
        "contexts": [
            {
                "name": "penstock-dev",
                "context": {
                    "cluster": "penstock-dev",
                    "user": "penstock-dev",
                    "namespace": "default",
                },
            }
        ],
        "current-context": "penstock-dev",
    }
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_text(yaml.safe_dump(config, sort_keys=False))
    temporary.replace(path)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def etcd_command(plane: ControlPlane) -> list[str]:
    """etcd without fsync: a crash of the machine may lose the environment, a crash of etcd not."""
    client = f"http://127.0.0.1:{plane.etcd_port}"
    peer = f"http://127.0.0.1:{plane.etcd_peer_port}"
    return [
        str(plane.binaries["etcd"]),
        f"--data-dir={plane.root / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--auto-compaction-retention=10m",
    ]


def api_server_command(plane: ControlPlane) -> list[str]:
    """Node and RBAC authorization, admission plugins by default, audit off."""
    pki = plane.pki
    return [
        str(plane.binaries["kube-apiserver"]),
        f"--etcd-servers=http://127.0.0.1:{plane.etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={plane.api_port}",
        # The loopback address may not stand in an EndpointSlice: no `kubernetes` endpoints then.
        "--endpoint-reconciler-type=none",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        # How it asks the node for logs. A kubelet's certificate signs itself and is not checked.
        f"--kubelet-client-certificate={pki / _KUBELET_CLIENT}.crt",
        f"--kubelet-client-key={pki / _KUBELET_CLIENT}.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.crt'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--service-cluster-ip-range={_SERVICE_RANGE}",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
    ]


def controller_manager_command(plane: ControlPlane) -> list[str]:
    """All default controllers but those that need Services or disks."""
    pki, config = plane.pki, plane.kubeconfig("kube-controller-manager")
    return [
        str(plane.binaries["kube-controller-manager"]),
        f"--kubeconfig={config}",
        "--secure-port=0",
        "--leader-elect=false",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        "--use-service-account-credentials=true",
        f"--controllers=*,{','.join(f'-{name}' for name in _CONTROLLERS_OFF)}",
        # The default of 20 requests a second alone takes five seconds of every start.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--profiling=false",
    ]


def scheduler_command(plane: ControlPlane) -> list[str]:
    """The default scheduler."""
    config = plane.kubeconfig("kube-scheduler")
    return [
        str(plane.binaries["kube-scheduler"]),
        f"--kubeconfig={config}",
        "--secure-port=0",
        "--leader-elect=false",
        "--profiling=false",
    ]
