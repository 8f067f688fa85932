"""`penstock plan`: what it says of each kind of change, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import yaml

from penstock import names, revision
from penstock.api.strategy import Strategy
from penstock.money.prices import EMPTY, Table, flat
from penstock_cli import fieldpaths
from penstock_cli.exits import Exit, Stopped
from penstock_cli.plan import checks, costs, document, foresight, manifests, words
from penstock_cli.plan.drafts import Around, Draft
from penstock_cli.plan.outcome import Change, Course, Plan, Standing
from tests.unit.cli import rollouts
from tests.unit.cli.fake_kubectl import FakeKubectl
from tests.unit.cli.rollouts import STATES
from tests.unit.cli.test_terminal import penstock
from tests.unit.rollout.world import C, S, promotion, stable_world

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def template(text):
    return {"instructions": text, "model": {"name": "claude-haiku-5-5", "maxTokens": 512}}


def name_of(declared):
    return revision.cut("support", declared, {}, "").name


#: The revisions of the worlds, by what they would declare.
DECLARED = {S: template("Be kind."), C: template("Be brief.")}
NEW = template("Be bold.")


def real(world):
    """The objects of a world, its revisions named by what they declare."""
    found = rollouts.documents(world)
    text = json.dumps([found.rollout, found.agent, list(found.records), list(found.deployments)])
    for name, declared in DECLARED.items():
        text = text.replace(names.hash_of(name), names.hash_of(name_of(declared)))
    rollout, agent, records, deployments = json.loads(text)
    for record in records:
        declared = [one for one in DECLARED.values() if name_of(one) == record["metadata"]["name"]]
        record["data"]["declared"] = declared[0] if declared else {}
    return rollout, agent, tuple(records), tuple(deployments)


def planned(world, after, *, governed=True, spec=None, status=None, **around):
    """What an apply of a template would do in a world, where the present one is that of its latest."""
    rollout, agent, records, deployments = real(world)
    before = DECLARED.get(world.situation.latest, DECLARED[S])
    metadata = {"name": "support", "namespace": "shop"}
    live = {
        "metadata": metadata,
        "spec": {**agent["spec"], "template": before},
        "status": {**agent["status"], **(status or {})},
    }
    wanted = {"metadata": metadata, "spec": {**live["spec"], "template": after, **(spec or {})}}
    around = {"rollout": rollout if governed else None, "records": records, **around}
    draft = Draft("Agent", "shop", "support", "a.yaml", wanted, live)
    return foresight.of_agent(draft, Around(deployments=deployments, **around), NOW)


def text(*items):
    told = " ".join(line.plain for line in words.lines(Plan(items)))
    return " ".join(told.split())


# ------------------------------------------------------------------------------- who is served


@pytest.mark.parametrize(
    ("state", "after", "standing", "course", "given_up", "held"),
    [
        ("stable", NEW, "New", "Climbs", None, ""),
        ("stable", DECLARED[C], "Known", "Climbs", None, ""),
        ("step", NEW, "New", "Climbs", (C, 20), ""),
        ("step", DECLARED[S], "Stable", "Nothing", (C, 20), ""),
        ("paused", NEW, "New", "Climbs", (C, 20), "paused"),
        ("ceiling", NEW, "New", "Climbs", (C, 0), "canaryPercent"),
        ("kill switch", NEW, "New", "Climbs", (C, 20), "suspended"),
        ("rejected", NEW, "New", "Climbs", None, ""),
        ("first revision climbs", NEW, "New", "Climbs", (C, 5), ""),
    ],
)
def test_what_becomes_of_a_revision(state, after, standing, course, given_up, held):
    found = planned(STATES[state](), after)
    assert (found.change, found.standing, found.rollout.course) == ("Changed", standing, course)
    wanted = (name_of(DECLARED[given_up[0]]), given_up[1]) if given_up else None
    assert found.rollout.given_up == wanted
    assert held in found.rollout.held
    assert bool(held) is bool(found.rollout.held)
    assert found.after == name_of(after)


def test_a_rejected_revision_gets_no_user_and_the_command_that_helps_is_told():
    world = STATES["rejected"]()
    same = planned(world, DECLARED[C])
    assert (same.change, same.rollout.course) == (Change.UNCHANGED, Course.REJECTED)
    world.change(latest=S)  # the manifest went back, and comes again
    found = planned(world, DECLARED[C])
    assert (found.standing, found.rollout.course) == (Standing.REJECTED, Course.REJECTED)
    hash_ = names.hash_of(name_of(DECLARED[C]))
    told = text(found)
    assert f"penstock retry support --revision {hash_} -n shop" in told
    assert "ErrorRateRegression" in told
    assert "an apply gives it no user" in told


def test_a_rejection_whose_record_is_pruned_is_known_from_the_agent():
    rejection = {"revision": name_of(NEW), "attempt": 1, "reason": "Aborted", "message": "by ann"}
    found = planned(stable_world(), NEW, status={"rejected": [rejection]})
    assert found.rollout.course is Course.REJECTED
    assert "by ann" in text(found)


def test_a_former_revision_within_the_window_comes_back_without_steps():
    world = stable_world().record(C, served_sequence=1, promoted_sequence=1, verdict=promotion(C))
    world = world.record(S, promoted_sequence=2, served_sequence=2)
    found = planned(world, DECLARED[C])
    assert (found.standing, found.rollout.course) == (Standing.FORMER, Course.CLIMBS)
    world.edit(strategy=Strategy(rollback_window_revisions=2))
    found = planned(world, DECLARED[C])
    assert (found.rollout.course, found.rollout.legs) == (Course.RETURNS, ())


@pytest.mark.parametrize(
    ("spec", "status", "course"),
    [
        ({}, {}, "Serves"),
        ({}, {"hadRollout": True}, "Waits"),
        ({"rolloutPolicy": "Immediate"}, {"hadRollout": True}, "Serves"),
        ({}, {"rejected": [{"revision": name_of(NEW)}]}, "Rejected"),
    ],
)
def test_without_an_agentrollout(spec, status, course):
    found = planned(stable_world(), NEW, governed=False, spec=spec, status=status)
    assert found.rollout.course == course
    if course == "Rejected":
        assert "kubectl annotate agent support -n shop --overwrite penstock.dev/request" in text(
            found
        )


def test_a_first_revision_serves_and_all_of_it_is_added():
    after = {"metadata": {"name": "support", "namespace": "shop"}, "spec": {"template": NEW}}
    found = foresight.of_agent(Draft("Agent", "shop", "support", "-", after), Around(), NOW)
    assert (found.change, found.standing, found.cuts) == (Change.NEW, Standing.NEW, ())
    assert "+    instructions: Be bold." in found.diff
    assert all(line.startswith(("+", "@", "---")) for line in found.diff)
    assert found.rollout.course is Course.SERVES


def test_a_long_object_that_is_new_is_folded_for_people_alone():
    long = template("\n".join(f"Rule {number}." for number in range(100)))
    after = {"metadata": {"name": "support", "namespace": "shop"}, "spec": {"template": long}}
    found = foresight.of_agent(Draft("Agent", "shop", "support", "-", after), Around(), NOW)
    told = text(found)
    assert "Rule 3." in told
    assert "Rule 99." not in told
    assert f"… {len(found.diff) - 30} more lines, all added" in told
    (item,) = document.of(Plan((found,)))["items"]
    assert "Rule 99." in item["diff"]


def test_what_is_left_over_of_a_setpoint_is_a_ceiling():
    found = planned(STATES["setpoint"](), NEW)
    assert found.rollout.ceiling == 20
    assert "its steps do not pass that share" in text(found)


# ------------------------------------------------------------------------------- which fields


def test_fields_of_the_template_cut_and_the_others_act_at_once():
    spec = {"budgets": {"costUSD": {"daily": "5"}}, "revisionHistoryLimit": 3}
    found = planned(stable_world(), {**NEW, "version": "2.0"}, spec=spec)
    assert found.cuts == ("template.instructions", "template.version")
    assert found.acts == ("budgets", "revisionHistoryLimit")
    assert "-    instructions: Be kind." in found.diff
    assert "+    instructions: Be bold." in found.diff


def test_what_does_not_cut_rolls_out_nothing():
    found = planned(stable_world(), DECLARED[S], spec={"revisionHistoryLimit": 3})
    assert (found.change, found.cuts, found.rollout) == (Change.CHANGED, (), None)
    assert "nothing is rolled out" in text(found)


def test_nothing_is_another_where_the_same_is_applied():
    found = planned(stable_world(), DECLARED[S])
    assert (found.change, found.acts, found.diff) == (Change.UNCHANGED, (), ())


def test_a_text_that_is_referred_to_cuts_a_revision():
    source = {"configMapKeyRef": {"name": "prompt", "key": "k"}}
    after = {"instructionsFrom": source, "model": DECLARED[S]["model"]}
    key = "configmap/prompt/k"
    found = planned(stable_world(), after, references={key: "new"}, referred={key: "old"})
    assert "ConfigMap prompt, key k" in found.cuts
    assert found.after == revision.cut("support", after, {key: "new"}, "").name
    missing = planned(stable_world(), after, missing="ConfigMap prompt is not in namespace shop")
    assert (missing.refusal.reason, missing.after) == ("ReferenceMissing", "")
    unread = planned(stable_world(), after, unread={"ConfigMap prompt": "Forbidden"})
    assert (unread.refusal, unread.after) == (None, "")
    assert "Forbidden" in text(unread)


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, ()),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 2, "c": 2}}, ("a.b",)),
        ({"t": [{"name": "x", "v": 1}]}, {"t": [{"name": "x", "v": 2}]}, ("t[x].v",)),
        ({"t": [{"name": "x"}]}, {"t": [{"name": "x"}, {"name": "y"}]}, ("t[y]",)),
        ({"t": [1]}, {"t": [2]}, ("t",)),
        ({}, {"a": {"b": 1}}, ("a",)),
        ({"a": {"b": 1}}, {}, ("a",)),
        ({"t": [{"name": "x"}]}, {"t": []}, ("t",)),
    ],
)
def test_paths_of_what_is_another(before, after, paths):
    assert fieldpaths.paths(before, after) == paths


# ------------------------------------------------------------------------------- refusals


def test_what_would_not_be_accepted_says_what_goes_on():
    wrong = {**NEW, "model": {"name": "claude-haiky-5-5"}}
    found = planned(stable_world(), wrong)
    assert (found.refusal.by, found.refusal.reason) == ("Accepted", "UnknownModel")
    assert f"{name_of(DECLARED[S])} would go on serving" in text(found)
    after_a_rejection = planned(STATES["rejected"](), wrong)
    assert f"{name_of(DECLARED[S])} would go on serving" in text(after_a_rejection)
    degrade = planned(stable_world(), NEW, spec={"budgets": {"onExceeded": "Degrade"}})
    assert "onExceeded" in degrade.refusal.message


def test_prices_that_cannot_be_read_are_a_doubt_and_no_refusal():
    wrong = {**NEW, "model": {"name": "of-the-house"}}
    found = planned(stable_world(), wrong, prices=None)
    assert found.refusal is None
    assert "prices cannot be read" in found.doubts[0]


def test_what_was_cut_before_a_check_was_added_goes_on():
    wrong = {**NEW, "model": {"name": "claude-haiky-5-5"}}
    record = {"metadata": {"name": name_of(wrong)}, "data": {"declared": wrong}}
    assert planned(stable_world(), wrong, records=(record,)).refusal is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"apiVersion": "penstock.dev/v9"}, "is of penstock.dev/v1alpha1"),
        ({"metadata": {"name": "Support"}}, "DNS name"),
        ({"metadata": None}, "metadata.name"),
        ({"metadata": {"name": "a" * 64}}, "at most 63"),
        ({"spec": {"template": {**NEW, "tool": []}}}, "unknown field spec.template.tool"),
        ({"spec": {"template": {**NEW, "tools": [{"nam": 1}]}}}, "template.tools[0].nam"),
        ({"spec": {"template": {"instructions": "x"}}}, "spec.template.model is missing"),
        ({"spec": None}, "spec"),
    ],
)
def test_without_an_api_server_our_own_checks_refuse(change, says):
    good = {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "metadata": {"name": "support"},
        "spec": {"template": NEW},
    }
    assert checks.complaint(good) == ""
    assert says in checks.complaint(good | change)


def test_a_schema_of_a_tool_may_have_any_fields():
    tool = {"name": "x", "inputSchema": {"type": "object", "properties": {"any": {}}}}
    document = {
        "apiVersion": names.API_VERSION,
        "kind": "Agent",
        "metadata": {"name": "support"},
        "spec": {"template": {**NEW, "tools": [tool]}},
    }
    assert "unknown field" not in checks.complaint(document)


# ----------------------------------------------------------------------------------- costs


def task(inputs, outputs, **more):
    usage = {"modelCalls": 1, "inputTokens": inputs, "outputTokens": outputs, **more}
    return {"finishedAt": "2026-11-21T11:00:00Z", "usage": usage}


def test_a_task_costs_its_tokens_at_both_prices():
    tasks = [task(1000, 100), task(3000, 300), task(9, 9, tier="easy"), task(0, 0, modelCalls=0)]
    cost = costs.of_tasks(tasks, ("a", "b"), flat("1", "5"), flat("3", "15"), NOW)
    assert (cost.tasks, cost.before, cost.after) == (2, 3000, 9000)
    told = words.in_words(cost)
    assert "0.003 USD → 0.009 USD a task with b (+200 %): the mean of 2 tasks" in told


def test_without_a_task_or_a_price_it_says_so():
    none = costs.of_tasks([], ("a", "b"), None, flat("1", "1"), NOW)
    assert "no task of the revision before" in words.in_words(none)
    half = costs.of_tasks([task(10, 0)], ("a", "b"), None, flat("1", "1"), NOW)
    assert "no price of a is known" in words.in_words(half)


def test_the_price_is_found_as_a_worker_finds_it():
    own = Table({"claude-haiku-5-5": replace(EMPTY.entry("x"), price=flat("7", "8"))})
    declared = {"name": "claude-haiku-5-5", "price": {"inputPerMTok": "1", "outputPerMTok": "2"}}
    rate = lambda model, table: costs.price_of(model, table).rates(NOW.date()).input.base
    assert rate(declared, own) == 1
    assert rate({"name": "claude-haiku-5-5"}, own) == 7
    assert rate({"name": "claude-haiku-5-5"}, EMPTY) > Decimal(0)
    assert costs.price_of({"name": "of-the-house"}, EMPTY) is None


# ------------------------------------------------------------------------- files and exit codes


def test_objects_are_read_of_files_directories_and_lists(tmp_path):
    one = {"kind": "Agent", "metadata": {"name": "a"}}
    (tmp_path / "a.yaml").write_text(
        yaml.safe_dump_all([one, None, {"kind": "List", "items": [one]}])
    )
    (tmp_path / "b.json").write_text(json.dumps(one))
    (tmp_path / "c.txt").write_text("no: object")
    assert [m.name for m in manifests.read([str(tmp_path)])] == ["a", "a", "a"]
    (tmp_path / "d.yaml").write_text(
        "kind: Agent\nmetadata: {name: b}\nspec: {version: 2026-01-01}\n"
    )
    (found,) = manifests.read([str(tmp_path / "d.yaml")])
    assert found.document["spec"]["version"] == "2026-01-01", "a date is a text"


@pytest.mark.parametrize("text", ["a: [", "- just\n- a list", "plain"])
def test_what_is_no_object_is_wrong_usage(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(Stopped) as stopped:
        manifests.read([str(path)])
    assert stopped.value.code is Exit.USAGE


def test_the_exit_code_is_that_of_kubectl_diff():
    changed, same = planned(stable_world(), NEW), planned(stable_world(), DECLARED[S])
    wrong = planned(stable_world(), {**NEW, "model": {"name": "claude-haiky-5-5"}})
    assert Plan((same,)).exit == 0
    assert Plan((same, changed)).exit == 1
    assert Plan((changed, wrong)).exit == 3
    assert Plan((changed,), away="no route").exit == 4


AGENT = {
    "apiVersion": names.API_VERSION,
    "kind": "Agent",
    "metadata": {"name": "support", "namespace": "shop"},
    "spec": {"template": NEW},
}


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """`penstock plan` with a cluster that answers as it is told."""
    fake = FakeKubectl.install(tmp_path / "programs")
    fake.answers = {
        "get --raw=/version": {},
        "get": {"items": []},
        "config view": "shop",
        "apply": AGENT,
        "get agents.penstock.dev support": "",
        "get configmaps": "",
    }
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(AGENT))

    def run(*arguments, **answers):
        fake.answers = {**fake.answers, **{key.replace("_", " "): v for key, v in answers.items()}}
        where = ("--kubeconfig", "none")
        return fake, penstock(
            "plan", "-f", str(path), *where, *arguments, cwd=tmp_path, PATH=fake.path
        )

    return run


def test_it_asks_for_a_dry_run_and_for_nothing_that_writes(typed):
    fake, done = typed()
    assert done.returncode == 1, done.stderr
    assert "Agent support in shop: new" in done.stdout
    assert "1 new. Nothing was applied." in done.stdout
    writing = [call for call in fake.calls if not call.startswith("--kubeconfig=none get ")]
    assert [call.split()[1] for call in writing] == ["config", "apply"]
    assert all("--dry-run=server" in call for call in writing if " apply " in call)


def test_the_words_of_the_api_server_are_told_in_full(typed):
    _, done = typed(apply={"error": 'The Agent "support" is invalid: spec.x: wrong'})
    assert done.returncode == 3
    assert 'by the API server: error: The Agent "support" is invalid: spec.x: wrong' in done.stdout


def test_no_object_is_quoted_with_what_is_wrong_in_it(typed):
    quoted = json.dumps(json.dumps({"status": {"salt": "secret"}, "spec": {"x": 'a "b" \\ c'}}))
    wrong = 'strict decoding error: unknown field "spec.strategy.rings[0].user"'
    said = f"Error from server (BadRequest): The request is invalid: patch: Invalid value: {quoted}: {wrong}"
    _, done = typed(apply={"error": said})
    assert "secret" not in done.stdout
    told = " ".join(done.stdout.split())
    assert f"The request is invalid: {wrong}" in told


def test_without_a_cluster_it_is_checked_in_part(typed):
    _, done = typed("--offline")
    assert done.returncode == 4
    assert "compared with nothing" in done.stdout
    assert "were not asked" in done.stdout


def test_an_error_is_never_taken_for_a_change(typed):
    _, done = typed(apply=["no object"])
    assert done.returncode == 3
    assert "it cannot be told" in done.stderr
    done = penstock("plan", "-f", "/nowhere.yaml")
    assert done.returncode == 2


def test_for_programs_there_is_json_and_yaml(typed):
    _, done = typed("-o", "json")
    (found,) = json.loads(done.stdout)["items"]
    assert (found["change"], found["revision"]["after"]) == ("New", name_of(NEW))
    _, done = typed("-o", "yaml")
    assert yaml.safe_load(done.stdout)["items"] == [found]


def test_its_exit_codes_are_in_its_help():
    done = penstock("plan", "--help")
    assert done.returncode == 0
    assert "0 nothing would change; 1 something would" in " ".join(done.stdout.split())
