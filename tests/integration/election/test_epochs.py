"""The epoch of the leadership: what an old leader writes is refused, and nobody gets stuck."""

import copy
import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.errors import StaleWrite
from penstock.names import AgentKey
from penstock.traffic import Route, Split
from penstock_dev.state import StateDirectory
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.client import Cluster, ClusterError
from penstock_operator.cluster.kinds import AGENT, ROLLOUT, WATCHED, Object
from penstock_operator.leadership.election import Timing
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile.gather import Sources
from penstock_operator.reconcile.manifests import Installation
from penstock_operator.reconcile.measure import Measure
from penstock_operator.reconcile.reconciler import Reconciler
from penstock_operator.settings import Settings
from penstock_store.store import Store
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.election.operators import STEADY, Operators
from tests.integration.election.test_takeover import epochs, until_epochs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@dataclasses.dataclass
class Deposed:
    """A leader of an earlier epoch that believes to lead still, with what it knew then."""

    cluster: Cluster
    store: Store
    reconciler: Reconciler

    @classmethod
    async def believing(cls, product: Product, epoch: int) -> "Deposed":
        """It has listed everything and leads for ever, as it thinks."""
        leadership = Leadership(Timing(), epoch=epoch, deadline=float("inf"))
        state = StateDirectory.at(product.environment.state_dir)
        cluster = await Cluster.connect(
            str(state.root / "pki" / "operator.conf"), leadership.demand
        )
        assert product.environment.redis_url
        store = Store.connect(
            product.environment.redis_url, guard=leadership.demand, timeout_seconds=30
        )
        cache = Cache()
        for kind in WATCHED:
            listed, version = await cluster.listing(kind, product.namespace)
            cache.settle(kind, listed, version, product.namespace)
        installation = Installation.of(Settings(), None)
        sources = Sources(cluster, store, cache, Measure(store), installation, 0.2, leadership)
        return cls(cluster, store, Reconciler(sources, lambda: datetime.now(UTC)))

    async def aclose(self) -> None:
        """Close its connections."""
        await self.store.aclose()
        await self.cluster._api.close()


async def refusal(cluster: Cluster, kind: Any, obj: Object) -> tuple[int, str]:
    """How the API server refuses a status."""
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    with pytest.raises(ClusterError) as caught:
        await cluster.replace_status(kind, {**head, **obj})
    return caught.value.status, str(caught.value)


def in_epoch(obj: Object, epoch: int, *path: str) -> Object:
    """The object as an old leader would write it, on the newest resourceVersion."""
    changed = copy.deepcopy(obj)
    found = changed["status"]
    for part in path:
        found = found[part]
    found["epoch"] = epoch
    return changed


def test_of_two_leaders_the_old_one_is_refused_by_kubernetes_by_redis_and_by_itself(
    operators: Operators, product: Product
) -> None:
    first = operators.start("one")
    operators.until_leads(first)
    product.cluster.apply(manifests.agent("v1"), manifests.rollout())
    product.until_stable()
    old = operators.epoch()
    until_epochs(product, old)
    deposed = product.background.run(Deposed.believing(product, old))
    first.kill()
    operators.until_leads(operators.start("two"))
    new = operators.epoch()
    until_epochs(product, new)
    try:
        product.background.run(writes_are_refused(product, deposed, old, new))
    finally:
        product.background.run(deposed.aclose())
    assert epochs(product) == (new, new, new)


async def writes_are_refused(product: Product, deposed: Deposed, old: int, new: int) -> None:
    """Everything the old leader can try, with the old view and with a fresh one."""
    namespace, cluster = product.namespace, deposed.cluster
    [rollout], _ = await cluster.listing(ROLLOUT, namespace)
    [agent], _ = await cluster.listing(AGENT, namespace)
    status, words = await refusal(cluster, ROLLOUT, in_epoch(rollout, old))
    assert (status, "status.epoch never falls" in words) == (422, True), words
    status, words = await refusal(cluster, AGENT, in_epoch(agent, old, "traffic"))
    assert (status, "status.traffic.epoch never falls" in words) == (422, True), words
    key = AgentKey(namespace, "support")
    version = int(rollout["status"]["routeVersion"]) + 100
    with pytest.raises(StaleWrite, match=rf"\({old}, {version}\).*older.*\({new}, "):
        await deposed.store.routes.put(key, route(agent, old, version))
    with pytest.raises(Fenced, match=f"the route is of epoch {new}, above ours, {old}"):
        await deposed.reconciler.reconcile(key)


def route(agent: Object, epoch: int, version: int) -> Route:
    """All users to stable, in some epoch."""
    stable = str(agent["status"]["stableRevision"]).rpartition("-")[2]
    return Route(
        uid=agent["metadata"]["uid"],
        epoch=epoch,
        version=version,
        split=Split(stable),
        revisions={},
    )


def released(product: Product, words: str) -> None:
    """A change of the template reaches its users."""
    before = product.agent().get("latestRevision")
    product.cluster.apply(manifests.agent(words))
    product.until(
        f"{words} serves",
        lambda: (
            product.agent().get("latestRevision") not in (None, before)
            and product.agent().get("stableRevision") == product.agent()["latestRevision"]
        ),
    )


def test_from_no_election_to_one_and_back_and_after_the_lease_is_lost_releases_go_on(
    operators: Operators, product: Product
) -> None:
    alone = operators.start("alone", PENSTOCK_LEASE="")
    released(product, "v1")
    until_ungoverned(product, 0)
    alone.kill()
    first = operators.start("one", STEADY)
    until_ungoverned(product, operators.epoch())
    first.kill()
    again = operators.start("alone again", PENSTOCK_LEASE="")
    released(product, "v2")
    until_ungoverned(product, operators.epoch())
    again.kill()
    lost = operators.epoch()
    operators.delete_lease()
    second = operators.start("two", STEADY)
    operators.until_leads(second)
    released(product, "v3")
    assert operators.epoch() == lost + 1, "a Lease made anew begins above what is on record"
    until_ungoverned(product, lost + 1)


def until_ungoverned(product: Product, epoch: int) -> None:
    """Wait until Agent and route carry an epoch; there is no AgentRollout."""
    product.until(f"epoch {epoch}", lambda: epochs(product)[1:] == (epoch, epoch))


def test_an_epoch_from_elsewhere_is_outbid_by_who_holds_the_lease(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one", STEADY)
    operators.until_leads(leader)
    released(product, "v1")
    product.cluster.kubectl(
        "patch", "agent", "support", "--subresource", "status", "--type", "merge",
        "-p", '{"status": {"traffic": {"epoch": 4000}}}',
    )  # fmt: skip
    released(product, "v2")
    assert operators.epoch() == 4001
    until_ungoverned(product, 4001)
    assert leader.leads()
