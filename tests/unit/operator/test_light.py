"""What was read once is not read again: records in their life, all else until it is written."""

from __future__ import annotations

import pytest

from penstock_operator.cluster import reading
from penstock_operator.cluster.kinds import ROLLOUT
from penstock_operator.reconcile import plan, stock
from penstock_operator.reconcile.memory import Once, object_version
from tests.unit.operator import worlds
from tests.unit.operator.test_never_again import rollout
from tests.unit.operator.test_providing import Everything, reconciler
from tests.unit.operator.test_reconcile import KEY
from tests.unit.operator.worlds import record, world

TEXTS = ("Be kind.", "Be brief.", "Be exact.")


@pytest.fixture
def read(monkeypatch):
    """The names of the records that were read, in order."""
    names = []
    before = stock.revision.read

    def counted(document, name):
        names.append(name)
        return before(document, name)

    monkeypatch.setattr(stock.revision, "read", counted)
    return names


def recorded():
    made = tuple(record(text, n + 1, promoted=n + 1) for n, text in enumerate(TEXTS))
    for obj in made:
        obj["metadata"]["resourceVersion"] = "7"
    return made


def test_a_record_is_read_once_in_its_life(read):
    records, cuts = recorded(), {}
    first = stock.take_stock(world(worlds.agent(TEXTS[2]), records=records, cuts=cuts))
    again = stock.take_stock(world(worlds.agent(TEXTS[2]), records=records, cuts=cuts))
    assert len(read) == len(TEXTS)
    assert again == first


def test_a_record_that_was_written_is_read_again(read):
    records, cuts = recorded(), {}
    stock.take_stock(world(records=records, cuts=cuts))
    records[1]["metadata"]["resourceVersion"] = "8"
    records[1]["data"]["resolved"]["instructions"] = "Be gone."
    stock.take_stock(world(records=records, cuts=cuts))
    assert len(read) == len(TEXTS) + 1


def test_what_is_known_of_a_record_goes_with_it():
    records, cuts = recorded(), {}
    stock.take_stock(world(records=records, cuts=cuts))
    stock.take_stock(world(records=records[:1], cuts=cuts))
    assert list(cuts) == [object_version(records[0])]


async def test_in_a_pass_spec_and_status_of_each_agentrollout_are_read_once(monkeypatch):
    read, parse = [], reading.validation.parse_rollout
    status_of, agent_of = reading.rollout_status, reading.agent_status
    odd = {**rollout(unit="Ring"), "metadata": {**rollout()["metadata"], "name": "odd"}}
    passes = reconciler(Everything(has_way=True), None, rollout(), odd)
    await passes.reconcile(KEY)  # an operator begins with what it has told before

    def noted(what, call):
        def counted(obj):
            read.append((what, obj["metadata"]["name"]))
            return call(obj)

        return counted

    monkeypatch.setattr(reading.validation, "parse_rollout", noted("spec", parse))
    monkeypatch.setattr(reading, "rollout_status", noted("status", status_of))
    monkeypatch.setattr(reading, "agent_status", noted("agent", agent_of))
    await passes.reconcile(KEY)
    assert sorted(read) == [
        ("agent", "support"),
        ("spec", "odd"),
        ("spec", "support"),
        ("status", "odd"),
        ("status", "support"),
    ]
    assert passes.sources.cache.size(ROLLOUT) == 2


@pytest.fixture
def compared(monkeypatch):
    """The children that were compared with what is live, in order."""
    names, before = [], plan.drift.pending

    def counted(wanted, live, answers):
        names.append((wanted["kind"], wanted["metadata"]["name"]))
        return before(wanted, live, answers)

    monkeypatch.setattr(plan.drift, "pending", counted)
    return names


def serving(**more):
    """An Agent whose only revision serves, its children as declared."""
    text = TEXTS[0]
    made = world(records=recorded()[:1], projected_for=(text,), ready_for=(text,), **more)
    for obj in (made.agent, *made.configmaps.values(), *made.deployments.values()):
        obj["metadata"]["resourceVersion"] = "7"
    return made


def test_a_child_is_compared_once_with_what_it_was_declared_as(compared):
    made = serving()
    first = plan.plan_agent(made)
    assert sorted(kind for kind, _ in compared) == ["ConfigMap", "Deployment"]
    made.once.begin()
    assert plan.plan_agent(made).children == first.children
    assert len(compared) == 2


@pytest.mark.parametrize("kind", ["Agent", "ConfigMap", "Deployment"])
def test_a_child_is_compared_again_when_it_or_its_agent_was_written(compared, kind):
    made = serving()
    plan.plan_agent(made)
    compared.clear()
    for obj in (made.agent, *made.configmaps.values(), *made.deployments.values()):
        if obj["kind"] == kind:
            obj["metadata"]["resourceVersion"] = "8"
    if kind == "Deployment":
        [live] = made.deployments.values()
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "another"
    made.once.begin()
    children = plan.plan_agent(made).children
    again = {"Agent": {"ConfigMap", "Deployment"}}.get(kind, {kind})
    assert {each for each, _ in compared} == again
    assert [each.kind for each, _ in children] == (["Deployment"] if kind == "Deployment" else [])


def test_what_a_pass_did_not_ask_for_is_forgotten():
    once, made = Once(), []

    def make():
        made.append(len(made))
        return made[-1]

    assert [once.of("a", 1, make), once.of("a", 1, make)] == [0, 0]
    assert once.of("a", 2, make) == 1, "made from something else"
    once.begin()
    once.of("b", 1, make)
    once.begin()
    assert once.of("a", 2, make) == 3
