"""`penstock plan` where not all can be read, and of manifests that other readers take otherwise."""

from __future__ import annotations

import json

import pytest
import yaml

from penstock import inputs, names
from penstock_cli.exits import Exit, Stopped
from penstock_cli.plan import foresight, manifests, words
from penstock_cli.plan.drafts import REVISIONS, ROLLOUTS, Around, Draft
from penstock_cli.plan.outcome import Plan, Planned
from tests.unit.cli.fake_kubectl import FakeKubectl
from tests.unit.cli.test_plan import AGENT, DECLARED, NEW, NOW, name_of, planned, real, text
from tests.unit.cli.test_terminal import penstock
from tests.unit.rollout.world import S, stable_world

FORBIDDEN = {"error": "Error from server (Forbidden): it is forbidden"}
ROLLOUT = {
    "apiVersion": names.API_VERSION,
    "kind": "AgentRollout",
    "metadata": {"name": "support", "namespace": "shop"},
    "spec": {"agentRef": {"name": "support"}},
}
CONFIGMAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "prompt", "namespace": "shop"},
    "data": {"k": "Be kind."},
}


# ------------------------------------------------------------------------------ what cannot be read


@pytest.mark.parametrize(("unread", "governed"), [(ROLLOUTS, False), (REVISIONS, True)])
def test_who_cannot_read_what_is_there_tells_no_course(unread, governed):
    found = planned(stable_world(), NEW, governed=governed, unread={unread: "Forbidden"})
    assert (found.after, found.standing, found.rollout) == (name_of(NEW), None, None)
    assert f"{unread} cannot be read: Forbidden" in text(found)
    assert Plan((found,)).exit == Exit.UNFINISHED


def test_an_agentrollout_of_the_manifests_holds_though_others_are_unread():
    found = planned(stable_world(), NEW, unread={ROLLOUTS: "Forbidden"})
    assert found.rollout.course == "Climbs"
    assert Plan((found,)).exit == Exit.UNFINISHED


@pytest.mark.parametrize(
    "around",
    [
        {"unread": {"ConfigMap prompt": "ConfigMap prompt cannot be read: Forbidden"}},
        {"prices": None},
    ],
)
def test_what_is_checked_in_part_is_no_change_that_is_known(around):
    after = (
        {**DECLARED[S], "model": {"name": "of-the-house"}} if "prices" in around else DECLARED[S]
    )
    found = planned(stable_world(), after, **around)
    assert Plan((found,)).exit == Exit.UNFINISHED
    assert text(found).count("ConfigMap prompt") == ("unread" in around)


def test_what_is_known_of_an_agentrollout_that_does_nothing_is_no_doubt():
    draft = Draft("AgentRollout", "shop", "support", "-", ROLLOUT)
    found = foresight.of_rollout(draft, None, Around(), NOW)
    assert "it waits for one" in text(found)
    assert Plan((found,)).exit == 1
    unread = foresight.of_rollout(draft, None, Around(unread={"Agent support": "Forbidden"}), NOW)
    assert "it waits for one" not in text(unread)
    assert Plan((unread,)).exit == Exit.UNFINISHED


@pytest.mark.parametrize("unread", [ROLLOUTS, REVISIONS])
def test_an_agentrollout_tells_no_way_where_others_or_revisions_are_unread(unread):
    rollout, agent, records, deployments = real(stable_world())
    metadata = {"name": rollout["metadata"]["name"], "namespace": "shop"}
    live = {**rollout, "metadata": metadata}
    after = {**live, "spec": {**live["spec"], "paused": True}}
    of = Draft("Agent", "shop", "support", "-", agent, agent)
    draft = Draft("AgentRollout", "shop", metadata["name"], "-", after, live)
    known = Around(after, records, deployments)
    assert foresight.of_rollout(draft, of, known, NOW).rollout is not None
    found = foresight.of_rollout(draft, of, Around(after, unread={unread: "Forbidden"}), NOW)
    assert (found.rollout, len(found.doubts)) == (None, 1)


@pytest.fixture
def typed(tmp_path):
    """`penstock plan` of some objects with a cluster that answers as it is told."""
    fake = FakeKubectl.install(tmp_path / "programs")
    path = tmp_path / "a.yaml"

    def run(*objects, flags=("-o", "json"), **answers):
        path.write_text(yaml.safe_dump_all(objects))
        fake.answers = {
            "get --raw=/version": {},
            "get": {"items": []},
            "config view": "shop",
            "apply": objects[0],
            "get agents.penstock.dev support": "",
            "get configmaps": "",
            "get configmaps prompt": "",
            **answers,
        }
        where = ("--kubeconfig", "none")
        done = penstock("plan", "-f", str(path), *where, *flags, cwd=tmp_path, PATH=fake.path)
        items = json.loads(done.stdout)["items"] if done.stdout and "-o" in flags else []
        return done, items

    return run


@pytest.mark.parametrize(
    "what", ["agentrollouts.penstock.dev", "controllerrevisions.apps,deployments.apps"]
)
def test_a_role_that_may_not_list_reads_so(typed, what):
    done, (found,) = typed(AGENT, **{f"get {what}": FORBIDDEN})
    assert done.returncode == 4, done.stderr
    assert (found["rollout"], found["revision"]["standing"]) == (None, "")
    assert "Forbidden" in found["notKnown"][0]


def test_an_object_that_cannot_be_read_is_compared_with_nothing(typed):
    done, (found,) = typed(AGENT, **{"get agents.penstock.dev support": FORBIDDEN})
    assert done.returncode == 4, done.stderr
    assert (found["change"], found["revision"]["after"]) == ("Unknown", name_of(NEW))
    assert "Agent support cannot be read" in found["notKnown"][0]


def test_the_agent_of_an_agentrollout_that_cannot_be_read_is_not_known(typed):
    answers = {
        "get agents.penstock.dev support": FORBIDDEN,
        "get agentrollouts.penstock.dev support": "",
    }
    done, (found,) = typed(ROLLOUT, **answers)
    assert done.returncode == 4, done.stderr
    (told,) = found["notKnown"]
    assert told.startswith("Agent support cannot be read")


def test_agents_that_cannot_be_listed_are_a_doubt_of_the_configmap(typed):
    done, (found,) = typed(CONFIGMAP, **{"get agents.penstock.dev": FORBIDDEN})
    assert done.returncode == 4, done.stderr
    assert (found["kind"], found["change"]) == ("ConfigMap", "New")
    assert "Agents cannot be listed" in found["notKnown"][0]
    done, _ = typed(CONFIGMAP, flags=(), **{"get agents.penstock.dev": FORBIDDEN})
    assert "ConfigMap prompt in shop: new" in done.stdout


# ------------------------------------------------------------------------------ manifests


@pytest.mark.parametrize("data", [{"k": [1]}, {"k": 5}, [1], "text"])
def test_a_configmap_that_holds_no_text_is_a_sentence(typed, data):
    source = {"configMapKeyRef": {"name": "prompt", "key": "k"}}
    spec = {"template": {"instructionsFrom": source, "model": DECLARED[S]["model"]}}
    agent, configmap = {**AGENT, "spec": spec}, {**CONFIGMAP, "data": data}
    wanted = inputs.source(agent)
    found, why = inputs.content(wanted, configmap, "shop")
    assert (found, "ConfigMap prompt" in why) == ({}, True)
    done, items = typed(agent, configmap, flags=("--offline", "-o", "json"))
    assert done.returncode == 3
    assert items[0]["refused"]["reason"] == "ReferenceMissing"


REFUSED = {
    "Agent": {**AGENT, "spec": {"template": {"model": {"provider": "nobody", "name": "x"}}}},
    "AgentRollout": {**ROLLOUT, "spec": {**ROLLOUT["spec"], "strategy": {"steps": 5}}},
}


@pytest.mark.parametrize(
    ("written", "refused", "other"),
    [
        ((REFUSED["Agent"], ROLLOUT), "Agent", "AgentRollout"),
        (({**AGENT, "spec": {"template": NEW}}, REFUSED["AgentRollout"]), "AgentRollout", "Agent"),
    ],
)
def test_without_a_cluster_a_refused_partner_is_a_doubt_with_its_reason(
    typed, written, refused, other
):
    done, items = typed(*written, flags=("--offline", "-o", "json"))
    assert done.returncode == 3, done.stdout
    (found,) = [one for one in items if one["kind"] == other]
    reason = f"{refused} support would be refused, and what is there in its place was not asked"
    assert found["notKnown"] == [reason]
    done, _ = typed(*written, flags=("--offline",))
    assert reason in " ".join(done.stdout.split())


def read(tmp_path, written):
    path = tmp_path / "x.yaml"
    path.write_text(written)
    return [one.document for one in manifests.read([str(path)])]


@pytest.mark.parametrize("items", ["5", "text", "{a: 1}", "[5]"])
@pytest.mark.parametrize("kind", ["List", "AgentList"])
def test_a_list_of_no_objects_is_wrong_usage(tmp_path, kind, items):
    with pytest.raises(Stopped) as stopped:
        read(tmp_path, f"kind: {kind}\nitems: {items}\n")
    assert stopped.value.code is Exit.USAGE


@pytest.mark.parametrize("kind", ["Agent", "AgentRollout", "ConfigMap"])
def test_lists_of_one_kind_are_taken_apart(tmp_path, kind):
    item = {"metadata": {"name": "a"}}
    version = "v1" if kind == "ConfigMap" else names.API_VERSION
    listed = {"apiVersion": version, "kind": f"{kind}List", "items": [item, {**item, "kind": "X"}]}
    said, other = read(tmp_path, json.dumps(listed))
    assert said == {**item, "apiVersion": version, "kind": kind}
    assert other["kind"] == "X"
    assert read(tmp_path, f"kind: {kind}List\nitems: null\n") == []


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("12:30", "12:30"),
        ("1:20.5", "1:20.5"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("12", 12),
        ("-1_000", -1000),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b11", 3),
        ("0", 0),
        ("1e3", 1000),
        ("1.0", 1),
        ("1.5e-1", 0.15),
        (".5", 0.5),
        (".inf", float("inf")),
        ("1.2.3", "1.2.3"),
        ("1_", 1),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("'12'", "12"),
        ("a.b", "a.b"),
    ],
)
def test_scalars_are_what_kubectl_takes_them_for(tmp_path, written, value):
    (found,) = read(tmp_path, f"kind: X\na: {written}\n")
    assert (found["a"], type(found["a"])) == (value, type(value))


def test_the_plan_of_a_doubt_is_in_words():
    draft = Draft("ConfigMap", "shop", "prompt", "-", CONFIGMAP)
    one = foresight.of_configmap(draft, ("Agents cannot be listed: Forbidden",))
    assert isinstance(one, Planned)
    told = " ".join(line.plain for line in words.lines(Plan((one,))))
    assert "not known Agents cannot be listed" in " ".join(told.split())
