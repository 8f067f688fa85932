"""What is a difference between a child as declared and as stored, and what is none."""

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_operator.cluster import drift
from penstock_operator.reconcile.memory import Memory
from tests.unit.operator.test_manifests import deployment

TOLERATION = {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}


def as_stored(wanted):
    """A Deployment as the API server gives it back: with status and defaults filled in."""
    stored = copy.deepcopy(wanted)
    stored["status"] = {"replicas": 1}
    stored["spec"]["progressDeadlineSeconds"] = 600
    worker = the_worker(stored)
    worker["imagePullPolicy"] = "IfNotPresent"
    worker["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] = "v1"
    return stored


def the_worker(made):
    return made["spec"]["template"]["spec"]["containers"][0]


def without_empty(value):
    """As the API server stores it: fields without content are left out."""
    if isinstance(value, dict):
        kept = {key: without_empty(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in ("", None, [], {})}
    return [without_empty(part) for part in value] if isinstance(value, list) else value


def test_what_the_api_server_fills_in_is_no_difference():
    assert not drift.differs(deployment(), as_stored(deployment()))


def test_an_environment_variable_without_a_value_is_stored_without_it():
    declared = {"worker": {"env": [{"name": "EMPTY", "value": ""}, {"name": "UNSET"}]}}
    wanted = deployment(template=declared)
    stored = as_stored(wanted)
    for item in the_worker(stored)["env"]:
        if item.get("value") == "":
            del item["value"]
    assert not drift.differs(wanted, stored)
    the_worker(stored)["env"][-2]["value"] = "somebody's"
    assert drift.differs(wanted, stored)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON))
def test_whatever_is_stored_without_its_empty_parts_is_no_difference(wanted):
    assert not drift.differs(wanted, wanted)
    assert not drift.differs(wanted, without_empty(wanted) or {})


@pytest.mark.parametrize("stated", [False, 0])
def test_a_zero_is_stored_and_its_absence_means_something_else(stated):
    assert drift.differs({"automountServiceAccountToken": stated}, {})
    assert not drift.differs({"maxUnavailable": stated}, {"maxUnavailable": stated})
    assert drift.differs({"maxUnavailable": 0}, {"maxUnavailable": False})


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("1000m", "1"),
        ("0.5Gi", "512Mi"),
        ("1024Ki", "1Mi"),
        ("2.50", "2500m"),
        ("1e3", "1k"),
        ("5.", "5"),
        (".5", "500m"),
        ("+1", "1"),
        ("100u", "1m"),
        ("1n", "1m"),
        ("-0", "0"),
        ("8Ei", "9223372036854775807"),
    ],
)
def test_a_quantity_in_another_spelling_is_no_difference(declared, stored):
    wanted = deployment(worker={"resources": {"limits": {"cpu": declared}}})
    live = as_stored(wanted)
    the_worker(live)["resources"] = {"limits": {"cpu": stored}, "requests": {"cpu": stored}}
    assert not drift.differs(wanted, live)


@given(st.decimals(0, 1000, places=3), st.sampled_from(["", "k", "Ki", "Mi"]))
def test_equal_quantities_are_equal_however_many_zeros_they_have(number, unit):
    def limits(text):
        return {"limits": {"memory": text}}

    assert not drift.differs(limits(f"{number}{unit}"), limits(f"0{number}00{unit}"))
    more = number + Decimal(1)
    assert drift.differs(limits(f"{number}{unit}"), limits(f"{more}{unit}"))


@pytest.mark.parametrize("text", ["", "one", "1x", "0x10", "1e", "--1", "1 Gi"])
def test_what_is_no_quantity_is_compared_as_it_is_written(text):
    assert not drift.differs({"limits": {"cpu": text}}, {"limits": {"cpu": text}})
    assert drift.differs({"limits": {"cpu": text}}, {"limits": {"cpu": "1"}})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("concurrency", 4),
        ("resources", {"limits": {"cpu": "1"}}),
        ("nodeSelector", {"pool": "agents"}),
        ("tolerations", [TOLERATION]),
        ("imagePullSecrets", [{"name": "registry"}]),
        ("serviceAccountName", "support-worker"),
    ],
)
def test_every_field_of_the_worker_acts_on_a_deployment_that_is_there(field, value):
    assert drift.differs(deployment(worker={field: value}), as_stored(deployment()))
    # ... and when it is taken away again.
    assert drift.differs(deployment(), as_stored(deployment(worker={field: value})))


def test_another_number_of_workers_is_no_other_pod():
    three, four = deployment(replicas=3), deployment(replicas=4)
    assert three["metadata"] == four["metadata"]
    assert drift.differs(four, as_stored(three))


def test_a_field_that_somebody_else_changed_is_a_difference():
    stored = as_stored(deployment())
    the_worker(stored)["image"] = "evil:1"
    assert drift.differs(deployment(), stored)


def test_an_item_that_somebody_else_added_to_a_list_with_keys_stays_and_is_no_difference():
    stored = as_stored(deployment())
    stored["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar"})
    stored["metadata"]["ownerReferences"].append({"uid": "another", "kind": "Fleet"})
    stored["metadata"]["ownerReferences"].reverse()
    assert not drift.differs(deployment(), stored)
    stored["spec"]["template"]["spec"]["containers"].pop()
    assert drift.differs(deployment(), stored), "ours is gone"


def test_an_item_more_or_less_in_a_list_without_keys_is_a_difference():
    assert drift.differs({"tolerations": [TOLERATION]}, {"tolerations": [TOLERATION] * 2})
    assert drift.differs({"command": ["a", "b"]}, {"command": ["a"]})
    assert drift.differs({"command": ["a", "b"]}, {"command": ["b", "a"]})


def test_an_entry_of_a_map_of_texts_is_kept_even_where_it_is_empty():
    assert drift.differs({"nodeSelector": {"pool": ""}}, {"nodeSelector": {}})
    assert not drift.differs(
        {"nodeSelector": {"pool": ""}}, {"nodeSelector": {"pool": "", "b": "c"}}
    )


def test_a_thing_that_is_not_there_differs_unless_nothing_is_wanted_of_it():
    assert drift.differs(deployment(), {})
    assert drift.differs({"a": [1]}, {"a": None})
    assert not drift.differs({"a": {}, "b": []}, {})


def test_what_is_stored_otherwise_than_applied_is_not_applied_again_until_either_changes():
    wanted, memory = deployment(), Memory()
    made = as_stored(wanted)
    the_worker(made)["image"] = "mirror/runtime:1"  # an admission webhook does that
    assert drift.pending(wanted, made, memory.answers)
    assert memory.answered(wanted, made)
    made["status"] = {"replicas": 7}
    made["metadata"]["resourceVersion"] = "17"
    assert not drift.pending(wanted, made, memory.answers)
    assert drift.pending(deployment(replicas=2), made, memory.answers)
    the_worker(made)["image"] = "evil:1"
    assert drift.pending(wanted, made, memory.answers)
    assert drift.pending(wanted, None, memory.answers)
    assert not memory.answered(wanted, as_stored(wanted))
    assert not memory.answers
