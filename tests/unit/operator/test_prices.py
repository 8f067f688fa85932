"""The installation's own prices: read live, given to each Agent's workers, and heard by who accepts."""

import json
from dataclasses import replace

import pytest

from penstock import inputs, names
from penstock.money.prices import Tokens
from penstock_operator.cluster.cache import Cache
from penstock_operator.cluster.kinds import CONFIGMAP
from penstock_operator.metrics import REGISTRY
from penstock_operator.reconcile import gather, manifests
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
    _, problem = inputs.read_spec(declared, {}, prices.read().table)
    assert problem[0] == "UnknownModel"
    file.write_text(PRICED)
    assert inputs.read_spec(declared, {}, prices.read().table)[1] is None


BROKEN = (
    '{"team-*": {"prices": [{"from": "2027-02-30", "inputPerMTok": "1", "outputPerMTok": "2"}]}}'
)


@pytest.fixture
def unreadable(tmp_path):
    """The prices of an operator that starts with a table that cannot be read."""
    file = tmp_path / "prices.json"
    file.write_text(BROKEN)
    return PriceFile(file).read()


def test_a_start_with_an_unreadable_table_leaves_the_workers_their_prices(unreadable):
    before = with_own_prices()
    (_, made), _ = plan_agent(before).children
    there = replace(with_own_prices(unreadable.text), configmaps={**before.configmaps, NAME: made})
    plan = plan_agent(there)
    assert NAME not in [name for _, name in children(plan)]
    assert NAME not in [obj["metadata"]["name"] for _, obj in plan.deletions]
    assert NAME not in [name for _, name in children(plan_agent(with_own_prices(unreadable.text)))]


def of_team():
    declared = agent()
    declared["spec"]["template"]["model"]["name"] = "team-sonnet"
    return declared


def test_a_start_with_an_unreadable_table_judges_an_agent_by_the_prices_its_workers_have(
    unreadable,
):
    standing = {NAME: manifests.prices(of_team(), PRICED)}
    spec, problem = gather.judged(of_team(), {}, unreadable, standing)
    assert (spec is None, problem) == (False, None)


@pytest.mark.parametrize("standing", [{}, {NAME: manifests.prices(of_team(), BROKEN)}])
def test_where_nobody_can_tell_whether_a_model_has_a_price_it_is_unknown(unreadable, standing):
    spec, problem = gather.judged(of_team(), {}, unreadable, standing)
    assert problem[0] == "PricesUnreadable"
    assert "2027" in problem[1] or "from" in problem[1]
    status = plan_agent(world(of_team(), spec=spec, problem=problem)).agent_status
    accepted = {item.type: item for item in status.conditions}["Accepted"]
    assert (accepted.status, accepted.reason) == ("Unknown", "PricesUnreadable")


def test_an_unreadable_table_is_no_matter_to_a_model_with_a_list_price(unreadable):
    assert gather.judged(agent(), {}, unreadable, {})[1] is None


def test_a_table_that_becomes_readable_is_taken(tmp_path):
    file = tmp_path / "prices.json"
    prices = PriceFile(file)
    assert prices.read().text is None
    assert "No such file" in prices.read().unread
    assert REGISTRY.get_sample_value("penstock_operator_prices_unreadable") == 1
    file.write_text(PRICED)
    assert prices.read().text == PRICED
    assert REGISTRY.get_sample_value("penstock_operator_prices_unreadable") == 0


def test_a_file_that_could_not_be_read_for_a_moment_is_read_again(tmp_path, monkeypatch):
    file = tmp_path / "prices.json"
    file.write_text(PRICED)
    prices = PriceFile(file)
    with monkeypatch.context() as away:
        away.setattr(
            type(file), "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError("EIO"))
        )
        assert prices.read().text is None
    assert prices.read().text == PRICED


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


def test_the_text_that_all_agents_have_alike_is_kept_once():
    cache, made = Cache(), []
    for number in range(2):
        obj = manifests.prices(agent(), PRICED)
        obj["metadata"] |= {"name": f"p-{number}", "uid": f"u-{number}", "resourceVersion": "1"}
        obj = json.loads(json.dumps(obj))
        cache.observe(CONFIGMAP, obj)
        made.append(obj["data"]["prices.json"])
    first, second = made
    assert first == PRICED
    assert first is second


def test_no_file_is_no_table():
    assert PriceFile(None).read().text == ""
