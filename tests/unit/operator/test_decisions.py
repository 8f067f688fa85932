"""Decisions beside the record of a revision: added to what is there, bounded, tried again, and no rollback waits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penstock import names
from penstock.effects import Sums
from penstock.rollout.situation import Entry
from penstock_operator.cluster.client import ClusterError
from penstock_operator.cluster.kinds import CONFIGMAP, RECORD
from penstock_operator.reconcile import decisions
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.plan import plan_agent
from penstock_operator.reconcile.stock import take_stock
from tests.unit.operator.test_plan import V2, trying_v2
from tests.unit.operator.test_reconcile import Writes, aborted, carry_out, has_done
from tests.unit.operator.worlds import cut, record, world

DIGEST = "ab" * 32
REVISION = cut(V2).name


def entry(number, text="{}", digest=DIGEST):
    return Entry(REVISION, number, text, digest)


class Cluster(Writes):
    """Keeps what is applied; ``refuses`` the kinds in it."""

    def __init__(self, *refuses, status=403):
        super().__init__()
        self.kept = {}
        self.refuses, self.status = set(refuses), status

    async def get(self, kind, namespace, name):
        return self.kept.get((kind.kind, name))

    async def apply(self, kind, obj, manager):
        if manager != names.VERDICT_MANAGER and kind.kind in self.refuses:
            raise ClusterError(self.status, "no")
        place = kind.kind, obj["metadata"]["name"]
        noted_before = self.kept.get(place, {}).get("metadata", {}).get("annotations", {})
        self.kept[place] = obj
        made = await super().apply(kind, obj, manager)
        notes = {**noted_before, **obj["metadata"].get("annotations", {})}
        return {**made, "metadata": {**made["metadata"], "annotations": notes}}

    @property
    def data(self):
        found = self.kept.get(("ConfigMap", names.decisions_name(REVISION)))
        return found["data"] if found else {}


# ---------------------------------------------------------------------------------- the object


def test_a_decision_is_added_and_one_that_is_decided_anew_takes_its_own_place():
    kept = decisions.merged({}, [entry(1, "one"), entry(2, "two")])
    assert kept == {"000001.json": "one", "000002.json": "two"}
    assert decisions.merged(kept, [entry(2, "anew")])["000002.json"] == "anew"


def test_of_many_the_first_and_the_last_stay():
    kept: dict[str, str] = {}
    for number in range(1, 200):
        kept = decisions.merged(kept, [entry(number)])
    numbers = sorted(int(name[:6]) for name in kept)
    assert numbers == [1, *range(200 - decisions.MOST_ENTRIES + 1, 200)]


def test_of_large_ones_as_many_stay_as_there_is_room_for():
    kept: dict[str, str] = {}
    for number in range(1, 20):
        kept = decisions.merged(kept, [entry(number, "ü" * 50_000)])
        assert sum(len(text.encode()) for text in kept.values()) <= decisions.MOST_BYTES
    assert min(kept) == "000001.json"
    assert max(kept) == "000019.json"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"7 {DIGEST}", (7, DIGEST)),
        ("", (0, "")),
        ("7", (0, "")),
        (f"-7 {DIGEST}", (0, "")),
        (f"seven {DIGEST}", (0, "")),
        (f"{10**12} {DIGEST}", (0, "")),
        ("7 short", (0, "")),
    ],
)
def test_the_end_of_the_chain_is_read_from_the_record(text, found):
    obj = record(V2)
    obj["metadata"]["annotations"][names.ANNOTATION_DECISIONS] = text
    assert decisions.last_of(obj) == found
    assert take_stock(world(records=(obj,))).records[REVISION].decided == found


async def test_they_belong_to_the_record_and_are_not_watched():
    cluster, obj = Cluster(), record(V2)
    await decisions.keep(cluster, obj, (entry(1), entry(2)))
    made = cluster.kept["ConfigMap", names.decisions_name(REVISION)]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("ControllerRevision", obj["metadata"]["uid"])
    assert names.LABEL_MANAGED not in made["metadata"]["labels"]
    assert made["metadata"]["labels"][names.LABEL_AGENT] == "support"
    head = cluster.kept["ControllerRevision", REVISION]["metadata"]
    assert head["annotations"] == {names.ANNOTATION_DECISIONS: f"2 {DIGEST}"}
    assert head["uid"] == obj["metadata"]["uid"], "it never makes a record"


# ------------------------------------------------------------------------------------ the pass


async def test_a_decision_is_kept_with_the_pass_that_took_it():
    cluster, memory = Cluster(), Memory()
    await carry_out(aborted(), cluster, memory)
    assert list(cluster.data) == ["000001.json"]
    assert '"rule":"checks.abort_requested"' in cluster.data["000001.json"]
    assert memory.unkept == {}


@pytest.mark.parametrize("kind", [CONFIGMAP.kind, RECORD.kind])
@pytest.mark.parametrize("status", [403, 422, 500, 0])
async def test_where_none_is_taken_the_rollback_acts_and_it_is_tried_again(kind, status):
    cluster, memory = Cluster(kind, status=status), Memory()
    await carry_out(aborted(), cluster, memory)
    assert ("route", "0 %") in cluster.steps
    assert [one.number for one in memory.unkept[REVISION]] == [1]
    cluster.refuses.clear()
    await carry_out(world(records=(record(V2),)), cluster, memory)
    assert list(cluster.data) == ["000001.json"]
    assert memory.unkept == {}


async def test_what_is_refused_is_told():
    memory = Memory()
    await carry_out(aborted(), Cluster(CONFIGMAP.kind), memory)
    assert memory.refused.startswith(f"ConfigMap {REVISION}-decisions: ")


# --------------------------------------------------------------------- what the canary has done


def noted(cluster):
    """What the canary's record says of its calls."""
    return (
        cluster.kept.get(("ConfigMap", names.decisions_name(REVISION)), {})
        .get("data", {})
        .get(decisions.EFFECTS)
    )


async def test_what_the_canary_has_done_is_noted_beside_the_decisions_with_the_pass_that_knows():
    cluster, memory = Cluster(), Memory()
    await carry_out(has_done(aborted(), Sums(12, 3, 9, {"refund": 1_350_000_000})), cluster, memory)
    told = json.loads(noted(cluster))
    assert (told["unknown"], told["done"], told["amounts"]) == (3, 12, {"refund": "1350"})
    head = cluster.kept["ControllerRevision", REVISION]["metadata"]
    assert head["annotations"] == {names.ANNOTATION_EFFECTS: noted(cluster)}


async def test_what_nobody_knows_is_not_noted():
    cluster = Cluster()
    await carry_out(aborted(), cluster)
    assert noted(cluster) is None


async def test_what_was_not_written_is_owed_and_what_stands_there_is_not_written_again():
    cluster, memory = Cluster("ConfigMap"), Memory()
    made = has_done(aborted(), Sums(12))
    await carry_out(made, cluster, memory)
    assert memory.owes_effects
    cluster.refuses.clear()
    await carry_out(made, cluster, memory)
    assert not memory.owes_effects
    assert noted(cluster)
    del cluster.kept["ConfigMap", names.decisions_name(REVISION)]
    now, status = trying_v2(), plan_agent(made).course.rollout_status
    later = replace(now, rollouts=(replace(now.rollouts[0], status=status),))
    await carry_out(has_done(later, Sums(12)), cluster, memory)
    assert noted(cluster) is None


async def test_a_later_decision_keeps_its_hands_off_it():
    cluster, obj = Cluster(), record(V2)
    await decisions.keep_effects(cluster, obj, "{}")
    await decisions.keep(cluster, obj, (entry(1),))
    assert list(cluster.data) == ["000001.json"], "another field manager has the rest"
