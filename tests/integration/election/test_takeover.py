"""One of two operators leads; when it goes, however it goes, the other one does, and only it."""

import json
import signal

import pytest

from penstock.names import AgentKey
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.cluster import version
from tests.integration.election.operators import STEADY, Operators, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def epochs(product: Product) -> tuple[int, int, int]:
    """The leadership that the rollout, the Agent and Redis were last written in."""
    look = product.background.run(
        product.store.routes.look(AgentKey(product.namespace, "support"), [])
    )
    decided = int(product.rollout().get("epoch", 0))
    return decided, int(product.agent()["traffic"].get("epoch", 0)), look.route_epoch


def until_epochs(product: Product, epoch: int) -> None:
    """Wait until all three carry an epoch."""
    product.until(f"all is written in epoch {epoch}", lambda: epochs(product) == (epoch,) * 3)


def versions(product: Product) -> str:
    """Which version each object of the namespace has: any write of an operator changes it."""
    kinds = "agents,agentrollouts,deployments,configmaps,controllerrevisions"
    shown = json.loads(product.cluster.kubectl("get", kinds, "-o", "json"))
    found = {f"{one['kind']}/{one['metadata']['name']}": version(one) for one in shown["items"]}
    return json.dumps(found, sort_keys=True)


def settled(product: Product) -> str:
    """The versions, once two looks see the same."""
    looks = [""]

    def same() -> str:
        looks.append(versions(product))
        return looks[-1] if looks[-1] == looks[-2] else ""

    return str(product.until("nothing is written", same))


def test_one_leads_and_the_other_is_ready_and_writes_nothing(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one", STEADY)
    operators.until_leads(leader)
    standby = operators.start("two", STEADY)
    product.cluster.apply(manifests.agent(), manifests.rollout())
    product.until_stable()
    until_epochs(product, operators.epoch())
    assert operators.holder() == "one"
    assert leader.writes()["AgentRollout"] >= 1
    assert standby.number("penstock_leader") == 0
    assert standby.number("penstock_leader_transitions") == operators.epoch()
    assert standby.ready()

    assert standby.writes() == {}


def test_when_the_leader_is_killed_the_other_leads_and_reconciles(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one")
    operators.until_leads(leader)
    standby = operators.start("two")
    product.cluster.apply(manifests.agent("v1"), manifests.rollout())
    product.until_stable()
    before = operators.epoch()
    until_epochs(product, before)
    leader.kill()
    product.cluster.apply(manifests.agent("v2"))
    operators.until_leads(standby)
    assert operators.epoch() == before + 1
    product.until_canary(str(product.agent()["stableRevision"]))
    until_epochs(product, before + 1)


def test_a_leader_that_sleeps_and_wakes_writes_nothing_more_and_ends(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one")
    operators.until_leads(leader)
    standby = operators.start("two")
    product.cluster.apply(manifests.agent("v1"), manifests.rollout(manifests.PARKED))
    stable = product.until_stable()
    leader.signal(signal.SIGSTOP)
    product.cluster.apply(manifests.agent("v2"))  # work for it, should it wake as a leader
    operators.until_leads(standby)
    product.until_canary(stable)
    product.until_share(5)
    product.set_percent(20)
    product.until_share(20)
    until_epochs(product, operators.epoch())
    before = settled(product)
    leader.signal(signal.SIGCONT)
    until("the old leader ends", lambda: leader.process.poll() is not None)
    assert leader.process.returncode == 3
    last = leader.said()[-1]
    assert last["event"].startswith("another operator has taken the Lease"), last
    assert last["holder"].startswith("two_")
    assert versions(product) == before
    assert epochs(product) == (operators.epoch(),) * 3
    assert standby.leads()


def test_a_leader_that_is_told_to_end_hands_over_at_once(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one", STEADY)
    operators.until_leads(leader)
    standby = operators.start("two", STEADY)
    product.cluster.apply(manifests.agent("v1"), manifests.rollout())
    product.until_stable()
    before = operators.epoch()
    leader.signal(signal.SIGTERM)
    operators.until_leads(standby, seconds=STEADY[0] / 2)  # long before it expires
    assert operators.epoch() == before + 1
    assert leader.process.wait(60) == 0
    assert leader.says("Lease given back")
    until_epochs(product, before + 1)


def test_an_outage_of_the_api_server_costs_the_leader_nothing(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one")
    operators.until_leads(leader)
    standby = operators.start("two")
    product.cluster.apply(manifests.agent("v1"))
    product.until_stable()
    before = operators.epoch()
    product.stop("kube-apiserver", kill=True)
    try:
        until("the Lease runs out for its holder", lambda: not leader.leads())
    finally:
        product.start("kube-apiserver")
    operators.until_leads(leader)
    assert operators.epoch() == before
    assert not standby.says("leads")
    product.cluster.apply(manifests.agent("v2"))
    product.until(
        "the leader works again",
        lambda: product.agent()["latestRevision"] != product.agent()["stableRevision"],
    )
    product.until_stable()


def test_a_lease_that_a_person_deletes_is_put_back_by_its_holder(
    operators: Operators, product: Product
) -> None:
    leader = operators.start("one", STEADY)
    operators.until_leads(leader)
    standby = operators.start("two", STEADY)
    before = operators.epoch()
    operators.delete_lease()
    until("the Lease is back", operators.holder)
    assert (operators.holder(), operators.epoch()) == ("one", before)
    assert leader.leads()
    assert not standby.says("leads")
    assert product
