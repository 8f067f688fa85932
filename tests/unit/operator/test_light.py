"""A pass over an Agent whose records have not changed does not read them again."""

from __future__ import annotations

import pytest

from penstock_operator.reconcile import stock
from penstock_operator.reconcile.memory import record_version
from tests.unit.operator import worlds
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
