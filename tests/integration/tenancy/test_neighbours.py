"""What happens in one namespace, on purpose or not, stops the operator in no other."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from penstock_dev import environment as embedded
from penstock_dev.controlplane import cluster as controlplane
from penstock_dev.state import StateDirectory
from tests.integration.cluster import Cluster, agent
from tests.integration.tenancy.conftest import Tenancy

INDEX = "{penstock}:agents"
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]


def routed(tenancy: Tenancy, namespace: str, name: str) -> bool:
    """Whether an agent has a route and is in the index."""
    known = tenancy.redis.hexists(INDEX, f"{namespace}/{name}")
    return bool(known and tenancy.redis.exists(f"{{{namespace}/{name}}}:route"))


def closed(tenancy: Tenancy, namespace: str, name: str) -> bool:
    """Whether an agent has neither a route nor a place in the index."""
    known = tenancy.redis.hexists(INDEX, f"{namespace}/{name}")
    return not (known or tenancy.redis.exists(f"{{{namespace}/{name}}}:route"))


def test_what_workers_write_to_their_own_keys_does_not_end_the_operator(tenancy: Tenancy) -> None:
    namespace, cluster = tenancy.namespace, tenancy.cluster
    operator = tenancy.start("operator")
    cluster.apply(agent(name="bad"), agent(name="good"))
    for name in ("bad", "good"):
        cluster.until(f"{name} is routed", lambda name=name: routed(tenancy, namespace, name))
    secret = tenancy.secret()
    assert secret
    revisions = f"{{{namespace}/bad}}:revisions"
    with Redis.from_url(secret["url"], driver_info=None, protocol=2) as tenant:
        tenant.execute_command("DEL", revisions)
        tenant.execute_command("LPUSH", revisions, "a")
    for name in ("bad", "good"):
        cluster.kubectl("delete", "agent", name)
    for name in ("bad", "good"):
        cluster.until(f"{name} is closed", lambda name=name: closed(tenancy, namespace, name))
    assert operator.process.poll() is None
    assert operator.ready()


@dataclass(frozen=True)
class Narrow:
    """Two namespaces, and an account that has the operator's rights in them and nowhere else."""

    environment: embedded.Environment
    namespaces: tuple[str, str]
    conf: Path

    def cluster(self, namespace: str) -> Cluster:
        """kubectl as administrator in one of them."""
        return Cluster(lambda *words, stdin=None: self.kubectl(namespace, *words, stdin=stdin))

    def kubectl(self, namespace: str, *words: str, stdin: str | None = None) -> str:
        """kubectl as administrator."""
        done = subprocess.run(
            [
                str(self.environment.kubectl),
                f"--kubeconfig={self.environment.kubeconfig}",
                f"--namespace={namespace}",
                *words,
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def allow(self, namespace: str) -> None:
        """Bind the shipped rights in a namespace."""
        account = f"--serviceaccount={self.namespaces[0]}:narrow"
        role = ("rolebinding", "narrow", "--clusterrole=penstock-operator")
        self.kubectl(namespace, "create", *role, account)

    def forbid(self, namespace: str) -> None:
        """Take them away, as a namespace's end does with what is in it."""
        self.kubectl(namespace, "delete", "rolebinding", "narrow")


@pytest.fixture
def narrow(environment: embedded.Environment, namespace: str, tmp_path: Path) -> Iterator[Narrow]:
    other = f"test-{uuid.uuid4().hex[:10]}"
    made = Narrow(environment, (namespace, other), tmp_path / "narrow.conf")
    made.kubectl(other, "create", "namespace", other)
    made.kubectl(namespace, "create", "serviceaccount", "narrow")
    for each in made.namespaces:
        made.allow(each)
    token = {"token": made.kubectl(namespace, "create", "token", "narrow").strip()}
    server = made.kubectl(
        namespace, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"
    )
    authority = StateDirectory.at(environment.state_dir).root / "pki" / "ca.crt"
    controlplane.write_kubeconfig(made.conf, server, authority.read_bytes(), token)
    yield made
    made.kubectl(namespace, "delete", "namespace", other, "--wait=false")


def test_a_new_operator_serves_the_others_when_one_namespace_is_refused(
    tenancy: Tenancy, narrow: Narrow
) -> None:
    here, there = narrow.namespaces
    settings = {
        "PENSTOCK_KUBECONFIG": str(narrow.conf),
        "PENSTOCK_NAMESPACES": f"{there},{here}",
    }
    first = tenancy.start("first", **settings)
    for namespace in narrow.namespaces:
        cluster = narrow.cluster(namespace)
        cluster.apply(agent(name="first"))
        cluster.until("routed", lambda ns=namespace: routed(tenancy, ns, "first"))
    first.kill()
    narrow.forbid(there)
    second = tenancy.start("second", **settings)
    refused = f'penstock_operator_namespace_refused{{namespace="{there}"}}'
    assert second.number(refused) == 1
    narrow.cluster(here).apply(agent(name="second"))
    narrow.cluster(there).apply(agent(name="second"))
    tenancy.cluster.until("routed", lambda: routed(tenancy, here, "second"))
    narrow.cluster(here).kubectl("delete", "agent", "first")
    tenancy.cluster.until("closed", lambda: not routed(tenancy, here, "first"))
    assert routed(tenancy, there, "first"), "nobody knows whether it was deleted"
    narrow.allow(there)
    tenancy.cluster.until("it is listed again", lambda: second.number(refused) == 0)
    tenancy.cluster.until("routed", lambda: routed(tenancy, there, "second"))
    assert routed(tenancy, there, "first")
    assert second.process.poll() is None
    assert second.ready()
