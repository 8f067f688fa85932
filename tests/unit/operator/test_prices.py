"""The installation's own prices: read live, given to each Agent's workers, and heard by who accepts."""

from dataclasses import replace

import pytest

from penstock import names
from penstock.money.prices import Tokens
from penstock_operator.reconcile.gather import read_spec
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.tenancy.prices import MOST_BYTES, PriceFile
from tests.unit.operator import worlds
from tests.unit.operator.worlds import INSTALLATION, agent, projected, record, world

V1 = "Be kind."
PRICED = '{"team-*": {"prices": [{"inputPerMTok": "1", "outputPerMTok": "2"}]}}'
NAME = names.prices_name("support")


def with_own_prices(text=PRICED, **more):
    made = world(records=(record(V1),), projected_for=(V1,), ready_for=(V1,), **more)
    return replace(made, installation=replace(INSTALLATION, own_prices=True), prices=text)


def children(plan):
    return [(kind.kind, obj["metadata"]["name"]) for kind, obj in plan.children]


def test_the_workers_of_an_agent_get_the_prices_before_they_are_changed_to_read_them():
    plan = plan_agent(with_own_prices())
    assert children(plan) == [("ConfigMap", NAME), ("Deployment", worlds.cut(V1).name)]
    (_, made), (_, deployment) = plan.children
    assert made["data"] == {"prices.json": PRICED}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "agent-uid"
    pod = deployment["spec"]["template"]["spec"]
    assert {"name": "prices", "configMap": {"name": NAME, "optional": True}} in pod["volumes"]
    told = {item["name"]: item.get("value") for item in pod["containers"][0]["env"]}
    assert told["PENSTOCK_PRICES_FILE"] == "/etc/penstock/prices/prices.json"


def test_without_any_no_pod_is_changed():
    plan = plan_agent(world(records=(record(V1),), projected_for=(V1,), ready_for=(V1,)))
    assert not children(plan)
    _, deployment = projected(V1)
    assert "prices" not in str(deployment)


def test_changed_prices_are_written_and_no_worker_is_restarted():
    before = with_own_prices()
    live = {obj["metadata"]["name"]: obj for _, obj in plan_agent(before).children}
    there = replace(
        before,
        configmaps={**before.configmaps, NAME: live[NAME]},
        deployments={**before.deployments, worlds.cut(V1).name: live[worlds.cut(V1).name]},
    )
    assert not plan_agent(there).children
    assert children(plan_agent(replace(there, prices="{}"))) == [("ConfigMap", NAME)]


def test_prices_that_are_taken_away_leave_nothing_behind():
    before = with_own_prices()
    (_, made), _ = plan_agent(before).children
    after = replace(before, installation=INSTALLATION, configmaps={**before.configmaps, NAME: made})
    assert [obj["metadata"]["name"] for _, obj in plan_agent(after).deletions] == [NAME]


def test_a_model_that_the_installation_prices_is_accepted(tmp_path):
    declared = agent()
    declared["spec"]["template"]["model"]["name"] = "team-sonnet"
    file = tmp_path / "prices.json"
    file.write_text("{}")
    prices = PriceFile(file)
    _, problem = read_spec(declared, {}, prices.read().table)
    assert problem[0] == "UnknownModel"
    file.write_text(PRICED)
    assert read_spec(declared, {}, prices.read().table)[1] is None


@pytest.mark.parametrize("broken", ["{", '{"team": 1}', "[]", " " * (MOST_BYTES + 1)])
def test_a_table_that_cannot_be_used_changes_nothing(tmp_path, broken):
    file = tmp_path / "prices.json"
    file.write_text(PRICED)
    prices = PriceFile(file)
    before = prices.read()
    file.write_text(broken)
    assert prices.read() == before
    rates = before.table.entry("team-1").price.dated[0][1]
    assert rates.cost(Tokens(1, 0)) == 1


def test_no_file_is_no_table(tmp_path):
    assert PriceFile(None).read().text == ""
    assert PriceFile(tmp_path / "none").read().text == ""
