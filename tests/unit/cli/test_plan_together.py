"""`penstock plan` of several manifests: what one means to another, and what is none of its business."""

from __future__ import annotations

import json

import pytest
import yaml

from penstock import names, revision
from penstock_cli import options, places
from penstock_cli.kubectl import KubectlFailed
from penstock_cli.plan import command
from tests.unit.cli.rollouts import STATES
from tests.unit.cli.test_plan import DECLARED, NEW, name_of, real
from tests.unit.cli.test_terminal import penstock
from tests.unit.rollout.world import C, S

BEFORE = DECLARED[S]
FROM_TEXT = {
    "instructionsFrom": {"configMapKeyRef": {"name": "prompt", "key": "k"}},
    "model": BEFORE["model"],
}
RESOURCES = {"agents.penstock.dev": "Agent", "agentrollouts.penstock.dev": "AgentRollout"}


def an_object(kind, name, spec, version=names.API_VERSION):
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **spec}


def agent(declared=NEW, **spec):
    return an_object("Agent", "support", {"spec": {"template": declared, **spec}})


def rollout(*percents, name="support"):
    steps = [{"percent": one, "holdSeconds": 300} for one in percents or (5, 50)]
    spec = {"agentRef": {"name": "support"}, "strategy": {"steps": steps}}
    return an_object("AgentRollout", name, {"spec": spec})


def prompt(text, name="prompt"):
    return an_object("ConfigMap", name, {"data": {"k": text}}, "v1")


def namespace(name="shop"):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def serving(declared=BEFORE, text=None):
    """An Agent whose revision serves, and the record of it."""
    references = {"configmap/prompt/k": text} if text else {}
    name = revision.cut("support", declared, references, "").name
    record = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": name, "namespace": "shop"},
        "data": {"declared": declared, "references": references},
    }
    status = {"stableRevision": name, "latestRevision": name}
    return {**agent(declared), "status": status}, record


class Server:
    """An API server in memory: it takes what it is not told to refuse, and says no to what it is."""

    def __init__(self, *objects, namespaces=("default", "shop")):
        self.objects = list(objects)
        self.namespaces = namespaces
        self.refused = {}
        self.forbidden = set()
        self.asked = []

    async def read(self, *words, written=None):
        self.asked.append(words)
        if words[0] == "config":
            return "shop"
        if "--raw=/version" in words:
            return "{}"
        if words[1:2] and words[1] in self.forbidden:
            raise KubectlFailed("no", "Error from server (Forbidden): it is forbidden")
        found = [one for one in self.objects if one["kind"] in self.kinds(words[1])]
        if "--ignore-not-found" not in words:
            return json.dumps({"items": found})
        named = [one for one in found if one["metadata"]["name"] == words[2]]
        return json.dumps(named[0]) if named else ""

    async def read_json(self, *words, written=None):
        self.asked.append(words)
        if words[0] == "get":
            return json.loads(await self.read(*words))
        return self.dry_run(words, json.loads(written))

    @staticmethod
    def kinds(resources):
        if resources.startswith("controllerrevisions"):
            return {"ControllerRevision", "Deployment"}
        return {RESOURCES.get(resources, "ConfigMap")}

    def dry_run(self, words, document):
        metadata = document["metadata"]
        name = metadata.get("name") or f"{metadata['generateName'][:58]}x7k2p"
        space = next(word for word in words if word.startswith("--namespace=")).split("=")[1]
        if space not in self.namespaces:
            raise KubectlFailed(
                "no", f'Error from server (NotFound): namespaces "{space}" not found'
            )
        said = self.refused.get((document["kind"], metadata.get("name", "")))
        said = said or self.refused.get(document["kind"])
        if said:
            raise KubectlFailed("no", said.format(name=name))
        return {**document, "metadata": {**metadata, "name": name, "namespace": space}}


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """The exit code of a plan, and what it prints for programs."""

    def planned(server, *objects, output="json", **wanted):
        path = tmp_path / "all.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        monkeypatch.setattr(places, "cluster", lambda _: server)
        code = command.plan(options.Place(), command.Wanted((str(path),), output, **wanted))
        said = capsys.readouterr().out
        return code, json.loads(said) if output == "json" else " ".join(said.split())

    return planned


INVALID = 'The {{}} "{name}" is invalid'

# ---------------------------------------------------------------------- where one is refused


def test_a_refused_agentrollout_of_the_cluster_goes_on_governing(plan):
    live, record = serving()
    server = Server(live, record, rollout(10))
    server.refused["AgentRollout"] = INVALID
    code, found = plan(server, agent(), rollout(5, 50))
    changed, refused = found["items"]
    assert (code, refused["change"]) == (3, "Refused")
    assert [leg["percent"] for leg in changed["rollout"]["legs"]] == [10, 95]
    assert changed["besideRefused"] == ["AgentRollout support would be refused, and stays as it is"]


def test_a_refused_agentrollout_that_is_new_holds_nothing(plan):
    live, record = serving()
    server = Server(live, record)
    server.refused["AgentRollout"] = INVALID
    _, found = plan(server, agent(), rollout(5, 50))
    assert found["items"][0]["rollout"]["course"] == "Serves"
    assert found["items"][0]["besideRefused"] == [
        "AgentRollout support would be refused, and is not there"
    ]


def test_nothing_is_told_of_users_where_nobody_knows_what_stays(plan):
    live, record = serving()
    server = Server(live, record, rollout(10))
    server.refused["AgentRollout"] = "Error from server (Forbidden): it is forbidden"
    server.forbidden = {"agentrollouts.penstock.dev"}
    _, found = plan(server, agent(), rollout(5, 50))
    assert found["items"][0]["rollout"] is None
    assert any("AgentRollout support" in why for why in found["items"][0]["notKnown"])


@pytest.mark.parametrize(("live", "idle"), [(True, ""), (False, "it waits for one")])
def test_an_agentrollout_of_a_refused_agent_is_for_the_one_in_the_cluster(plan, live, idle):
    server = Server(*(serving() if live else ()))
    server.refused["Agent"] = INVALID
    code, found = plan(server, agent(), rollout(5, 50))
    refused, new = found["items"]
    stays = "stays as it is" if live else "is not there"
    assert (code, refused["rollout"]) == (3, None)
    assert new["besideRefused"] == [f"Agent support would be refused, and {stays}"]
    assert idle in new["idle"]
    assert bool(new["rollout"]) is live


def test_a_canary_goes_on_where_the_agent_would_not_be_accepted(plan):
    governing, there, records, deployments = real(STATES["step"]())
    live = agent(DECLARED[C]) | {"status": there["status"]}
    governing["kind"], governing["metadata"]["namespace"] = "AgentRollout", "shop"
    kinds = {"ControllerRevision": records, "Deployment": deployments}
    made = [{**one, "kind": kind} for kind, listed in kinds.items() for one in listed]
    server = Server(live, governing, *made)
    changed = {**governing, "apiVersion": names.API_VERSION}
    changed["spec"] = {**governing["spec"], "paused": True}
    wrong = {**NEW, "model": {"name": "claude-haiky-5-5"}}
    _, found = plan(server, agent(wrong), changed)
    refused, policy = found["items"]
    assert refused["refused"]["reason"] == "UnknownModel"
    assert policy["rollout"]["course"] == "GoesOn"
    _, found = plan(server, agent(NEW), changed)
    assert found["items"][1]["rollout"]["course"] == "Nothing"


@pytest.mark.parametrize(
    ("there", "reason", "told"),
    [
        ("Be kind.", None, "stays as it is"),
        (None, "ReferenceMissing", "is not there"),
    ],
)
def test_an_agent_takes_the_text_that_stays_of_a_refused_configmap(plan, there, reason, told):
    live, record = serving(FROM_TEXT, "Be kind.")
    server = Server(live, record, *([prompt(there)] if there else []))
    server.refused["ConfigMap"] = INVALID
    code, found = plan(server, agent(FROM_TEXT, revisionHistoryLimit=7), prompt("Be quick."))
    one = found["items"][0]
    assert (code, one["cutsRevision"]) == (3, [])
    assert (one["refused"] or {}).get("reason") == reason
    assert one["besideRefused"] == [f"ConfigMap prompt would be refused, and {told}"]


def test_the_text_of_a_refused_agent_reaches_the_one_in_the_cluster(plan):
    live, record = serving(FROM_TEXT, "Be kind.")
    server = Server(live, record, prompt("Be kind."), rollout(10))
    server.refused["Agent"] = INVALID
    code, found = plan(server, agent(FROM_TEXT, suspended=True), prompt("Be quick."))
    (one,) = found["items"]
    assert (code, one["change"], one["refused"]["by"]) == (3, "Refused", "API server")
    assert one["cutsRevision"] == ["ConfigMap prompt, key k"]
    assert (one["rollout"]["course"], one["actsAtOnce"]) == ("Climbs", [])
    _, same = plan(server, agent(FROM_TEXT, suspended=True), prompt("Be kind."))
    assert same["items"][0]["rollout"] is None


# ------------------------------------------------------------------ what is none of its business


def test_other_kinds_are_left_out_in_one_line_and_change_no_code(plan):
    others = [{"kind": "Secret", "apiVersion": "v1", "metadata": {"name": f"s{n}"}} for n in (1, 2)]
    live, record = serving()
    server = Server(live, record)
    code, found = plan(server, namespace(), agent(BEFORE), *others, prompt("none", "other"))
    assert code == 0
    assert found["notPlanned"] == ["Namespace/shop", "Secret/s1", "Secret/s2", "ConfigMap/other"]
    code, said = plan(server, agent(BEFORE), *others, output="text")
    assert code == 0
    assert "left out Secret s1, Secret s2: no Agent, AgentRollout or instructions" in said
    _, said = plan(server, namespace(), agent(BEFORE), *others * 3, output="text")
    assert "left out Namespace ×1, Secret ×6: no Agent" in said


def test_objects_of_a_namespace_that_is_made_with_them_are_new(plan):
    server = Server(namespaces=("default",))
    code, found = plan(server, namespace(), agent(FROM_TEXT), rollout(5), prompt("Be kind."))
    assert code == 1
    one, policy = found["items"]
    assert (one["change"], policy["change"]) == ("New", "New")
    assert (one["namespace"], one["name"], one["checkedByServer"]) == ("shop", "support", True)
    assert one["revision"]["after"].startswith("support-")
    assert "metadata" not in one["diff"]
    tried = [words for words in server.asked if words[0] == "create"]
    assert len(tried) == 3
    assert all("--dry-run=server" in words for words in tried)


def test_what_is_wrong_with_them_is_told_by_their_own_names(plan):
    server = Server(namespaces=("default",))
    server.refused["Agent"] = 'The Agent "{name}" is invalid: spec.x'
    code, found = plan(server, namespace(), agent())
    assert (code, found["items"][0]["refused"]["message"]) == (
        3,
        'The Agent "support" is invalid: spec.x',
    )
    unnamed = agent()
    unnamed["metadata"]["name"] = "Support"
    code, found = plan(Server(namespaces=("default",)), namespace(), unnamed)
    assert code == 3
    assert "DNS name" in found["items"][0]["refused"]["message"]


def test_who_may_try_nothing_elsewhere_has_checked_in_part(plan):
    server = Server(namespaces=("default",))
    server.refused["Agent"] = "Error from server (Forbidden): it is forbidden"
    code, found = plan(server, namespace(), agent())
    assert code == 4
    assert (found["items"][0]["change"], found["items"][0]["checkedByServer"]) == ("New", False)
    assert "before namespace shop is there" in found["items"][0]["notKnown"][0]


def test_without_its_namespace_in_the_manifests_it_is_refused(plan):
    code, found = plan(Server(namespaces=("default",)), agent())
    assert code == 3
    assert 'namespaces "shop" not found' in found["items"][0]["refused"]["message"]


# ------------------------------------------------------------------------------ of one name


def test_of_several_manifests_of_one_object_the_last_counts(plan):
    live, record = serving()
    server = Server(live, record)
    code, found = plan(server, agent(NEW), agent(BEFORE))
    assert code == 0
    (one,) = found["items"]
    assert (one["change"], len(one["repeats"])) == ("Unchanged", 1)
    _, said = plan(server, agent(BEFORE), agent(NEW), output="text")
    assert "applied one after the other, the last one stays" in said
    assert name_of(NEW) in said


def test_a_url_is_refused_with_what_to_type():
    done = penstock("plan", "-f", "https://example.com/a.yaml")
    assert done.returncode == 2
    assert "curl -fsSL https://example.com/a.yaml | penstock plan -f -" in done.stderr
