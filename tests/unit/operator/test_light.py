"""What was read once is not read again: records in their life, AgentRollouts in a pass."""

from __future__ import annotations

import pytest

from penstock_operator.cluster import reading
from penstock_operator.cluster.kinds import ROLLOUT
from penstock_operator.reconcile import stock
from penstock_operator.reconcile.memory import record_version
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
    assert list(cuts) == [record_version(records[0])]


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
