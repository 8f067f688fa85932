"""What `penstock get` and `penstock explain` show of a rollout, in every state that it can be in."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from penstock import names
from penstock.api.reasons import WaitReason
from penstock.rollout import onlooker
from penstock.rollout.requests import Verb
from penstock_cli import advice, exits, explaining, history, picture, steering
from penstock_cli.main import app
from penstock_cli.seen import read as read_documents
from tests.unit.cli import rollouts
from tests.unit.cli.rollouts import STATES, printed, read
from tests.unit.cli.test_terminal import penstock
from tests.unit.rollout.test_watch import braked
from tests.unit.rollout.world import C, S, world_at

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7])[0-9;]*m")


@pytest.mark.parametrize("state", STATES)
def test_the_picture_and_the_explanation_of_each_state_are_those_that_are_kept(state):
    """Accept what the code prints now: ``python -m tests.unit.cli.rollouts``."""
    assert rollouts.path(state).read_text(encoding="utf-8") == rollouts.text(state)


def test_no_other_text_is_kept():
    kept = {path.name for path in rollouts.path("x").parent.iterdir()}
    assert kept == {rollouts.path(state).name for state in STATES}


@pytest.mark.parametrize("state", STATES)
def test_in_80_columns_only_what_is_typed_is_longer(state):
    seen = read(STATES[state]())
    typed = {one.command for one in advice.commands(seen, outdated=True)}
    for lines in (picture.lines(seen, 80), explaining.lines(seen, 80)):
        for line in lines:
            is_typed = any(command in line.plain for command in typed)
            assert len(line) <= 80 or is_typed or line.plain.startswith("  kubectl ")


def test_a_long_name_loses_its_middle_and_keeps_both_its_ends():
    rows = [[("REVISION", ""), ("SHARE", "")], [("a" * 60 + "-7f3c9d2a", ""), ("20 %", "")]]
    (_, line) = picture.grid(rows, 40)
    assert len(line) <= 40
    assert line.plain.startswith("aaaa")
    assert "-7f3c9d2a" in line.plain


@pytest.mark.parametrize("reason", WaitReason)
def test_for_each_wait_it_is_known_what_can_be_typed(reason):
    assert reason in advice.BY_REASON


@pytest.mark.parametrize("state", STATES)
def test_what_can_be_typed_is_a_command_that_there_is(state):
    seen = read(STATES[state]())
    for one in advice.commands(seen, outdated=True):
        program, *words = shlex.split(one.command)
        if program == "kubectl":
            continue
        assert program == "penstock"
        found = get_command(app)
        while hasattr(found, "commands"):
            found = found.commands[words.pop(0)]
        found.make_context(found.name, words)  # raises on a word that it does not take


def test_what_the_operator_awaits_is_what_is_said_to_hold():
    for state, made in STATES.items():
        seen = read(made())
        found = explaining.document(seen)
        held = [one for one in found["answers"] if one["says"] == "Holds"]
        if state == "operator away":
            assert found["outdated"], state
            continue
        assert [one["reason"] for one in held] == [seen.status.waiting], state
        assert found["outdated"] is (state == "request not answered"), state


def test_the_checks_that_say_nothing_are_named_in_their_order_in_lines_that_fit():
    shown = printed(explaining.lines(read(STATES["paused"]()), 80, whole=True)).splitlines()
    first = next(line for line in shown if line.startswith("no "))
    assert first.startswith("no     refused request, undo requested, ")
    asked = [one["check"] for one in explaining.document(read(STATES["paused"]()))["answers"]]
    told = " ".join(line[7:] for line in shown if line[:7].strip() in ("no", ""))
    for name in asked[: asked.index("paused")]:
        assert name in told, name


@pytest.mark.parametrize("state", sorted(STATES))
def test_checks_that_say_nothing_are_one_line_and_all_of_them_where_they_are_asked_for(state):
    seen = read(STATES[state]())
    answers = explaining.document(seen)["answers"]
    silent = [one["check"] for one in answers if one["says"] == "Nothing"]
    short = printed(explaining.lines(seen, 80)).splitlines()
    assert [line for line in short if line.startswith("no  ")] == (
        [f"no     {len(silent)} others say nothing here (--all names them)"] if silent else []
    )
    whole = " ".join(printed(explaining.lines(seen, 80, whole=True)).split())
    assert all(name in whole for name in silent)
    for one in answers:
        if one["says"] != "Nothing":
            assert any(one["check"] in line for line in short)


def test_a_change_that_no_operator_has_seen_is_said_first():
    found = printed(explaining.lines(read(STATES["spec not seen"]()), 80)).splitlines()
    assert "generation 2, acted on 1" in found[2]
    assert "leases" in found[5]


def test_what_cannot_be_read_is_said_and_the_rest_is_shown():
    seen = read(world_at(20), missing={"pods": "pods is forbidden"})
    shown = printed(picture.lines(seen, 80))
    assert "pods cannot be read: pods is forbidden" in shown
    assert "canary 20 %" in shown


def test_without_a_status_it_says_that_no_operator_has_decided():
    documents = rollouts.documents(world_at(20))
    del documents.rollout["status"]
    seen = read_documents(documents, world_at(20).situation.now)
    shown = printed(explaining.lines(seen, 80))
    assert "No operator has decided on it yet." in shown
    assert "kubectl get pods,leases" in shown


def test_colours_are_for_a_terminal_that_wants_them():
    lines = list(picture.lines(read(world_at(20)), 80))
    assert "\x1b" not in printed(lines)
    assert COLOUR.search(printed(lines, force_terminal=True))
    assert not COLOUR.search(printed(lines, force_terminal=True, no_color=True))


def test_undo_goes_back_to_who_served_before():
    after_c = world_at(95).step_over()
    assert onlooker.ways_back(read(after_c).situation())[0] == S
    assert onlooker.ways_back(read(world_at(20)).situation())[0] == S


# ------------------------------------------------------------------------------- as it is typed


@pytest.fixture
def run(kubectl, tmp_path):
    def ended(*arguments, **variables):
        return penstock(
            *arguments, cwd=tmp_path, PATH=kubectl.path, KUBECONFIG="/nowhere", **variables
        )

    return ended


@pytest.fixture
def shop(kubectl):
    """The cluster has a rollout that is paused at 20 %."""
    documents = rollouts.documents(STATES["paused"]())
    work = [*documents.records, *documents.deployments]
    kubectl.answer("get agentrollouts.penstock.dev support", documents.rollout)
    kubectl.answer("get agents.penstock.dev support", documents.agent)
    kubectl.answer("get controllerrevisions.apps,deployments.apps", {"items": work})
    kubectl.answer("get pods", {"items": list(documents.pods)})
    return documents


def test_it_is_printed_for_programs_in_two_forms(run, shop):
    as_json, as_yaml = (run("get", "support", "-o", form) for form in ("json", "yaml"))
    found = json.loads(as_json.stdout)
    assert found == yaml.safe_load(as_yaml.stdout)
    assert (found["share"], found["step"]) == ({"percent": 20, "source": "Automatic"}, "2/3")
    assert [one["role"] for one in found["revisions"]] == ["canary", "stable"]
    began = found["stepStartedAt"]
    assert found["clock"] == {"since": began, "holdSeconds": 60, "standsStillSince": None}
    told = json.loads(run("explain", "support", "-o", "json").stdout)
    assert told["waiting"] == "Paused"
    for each in (found, told):  # what the table of checks shows
        assert each["checks"]
        assert each["gates"] == []
        assert each["countedAt"]
    assert told["commands"][0]["command"] == "penstock resume support -n shop"


def test_one_for_an_agent_is_found_by_the_agents_name(run, kubectl, shop):
    error = 'Error from server (NotFound): agentrollouts.penstock.dev "desk" not found'
    desk = {**shop.rollout, "spec": {**shop.rollout["spec"], "agentRef": {"name": "desk"}}}
    kept = {name: told for name, told in kubectl.answers.items() if "agentrollouts" not in name}
    listed = {"get agentrollouts.penstock.dev": {"items": [desk]}}
    kubectl.answers = {"get agentrollouts.penstock.dev desk": {"error": error}, **kept, **listed}
    kubectl.answer("get agents.penstock.dev desk", shop.agent)
    shown = run("get", "desk").stdout
    assert "canary 20 %" in shown
    assert "\x1b" not in shown, "no colour where there is no terminal"
    kubectl.answer("get agentrollouts.penstock.dev nobody", {"error": error})
    done = run("get", "nobody")
    assert (done.returncode, done.stdout) == (3, "")
    assert "there is no AgentRollout nobody, nor one for an Agent nobody" in done.stderr
    alone = {"metadata": {"name": "nobody", "namespace": "shop"}}
    kubectl.answer("get agents.penstock.dev nobody", alone)
    done = run("explain", "nobody")
    assert done.returncode == 3
    assert "Agent nobody has no AgentRollout, so its changes go to everybody at once" in done.stderr
    assert "kubectl describe agent nobody -n shop" in done.stderr
    assert "penstock plan" in done.stderr


def test_without_a_revision_the_copies_of_the_canary_are_meant(run, kubectl, gateway, shop):
    reached = {"PENSTOCK_GATEWAY_URL": f"http://127.0.0.1:{gateway.port}", "PENSTOCK_TOKEN": "t"}
    done = run("copies", "support", **reached)
    assert (done.returncode, f"no copy of {C} is kept" in done.stderr) == (0, True)
    assert [path for path, _ in gateway.asked] == [
        f"/v1/namespaces/default/agents/support/copies?revision={C}"
    ]
    status = {**shop.rollout["status"], "canaryRevision": None}
    kubectl.answer("get agentrollouts.penstock.dev support", {**shop.rollout, "status": status})
    done = run("copies", "support", **reached)
    assert (done.returncode, done.stdout) == (exits.Exit.USAGE, "")
    assert "has no canary now; say --revision with one of: " in done.stderr
    assert S in done.stderr


FORBIDDEN = 'agentrollouts.penstock.dev "support" is forbidden: User "ada" cannot patch resource'
POLICY = "denied request: spec.traffic says who gets the canary, so it needs the verb promote on agentrollouts"


@pytest.mark.parametrize(
    ("error", "verb"), [(FORBIDDEN, "patch"), (POLICY, "promote")], ids=["role", "policy"]
)
def test_who_may_not_reads_which_verb_is_missing_and_how_to_look_it_up(
    run, kubectl, shop, error, verb
):
    kubectl.answer("patch agentrollouts.penstock.dev support", {"error": error})
    done = run("set-percent", "support", "20")
    assert done.returncode == 3, done.stderr
    assert error in done.stderr
    assert f"kubectl auth can-i {verb} agentrollouts.penstock.dev/support -n shop" in done.stderr


def test_a_request_that_nobody_answers_ends_with_4_and_where_to_look(run, kubectl, shop):
    kubectl.answer("annotate agentrollouts.penstock.dev support", shop.rollout)
    done = run("promote", "support", "--full", "--wait", "1")
    assert done.returncode == 4, done.stderr
    assert "penstock explain support -n shop" in done.stderr
    (asked,) = [call for call in kubectl.calls if call.startswith("annotate")]
    assert f"penstock.dev/request=promote-full/{C}/" in asked
    assert "$ kubectl annotate agentrollouts.penstock.dev support" in done.stderr


@pytest.fixture
def alone(kubectl, shop):
    """An Agent that has no AgentRollout, and answers the request that it is asked next."""
    error = 'Error from server (NotFound): agentrollouts.penstock.dev "desk" not found'
    agent = {**shop.agent, "metadata": {"name": "support", "namespace": "shop"}}
    agent["spec"] = {"suspended": False}
    kubectl.answer("get agentrollouts.penstock.dev support", {"error": error})
    kubectl.answer("get agentrollouts.penstock.dev", {"items": []})
    kubectl.answer("get agents.penstock.dev support", agent)
    kubectl.answer("annotate agents.penstock.dev support", agent)
    return agent


@pytest.mark.parametrize(("verb", "flag"), [("undo", "--to"), ("retry", "--revision")])
def test_an_agent_without_an_agentrollout_takes_undo_and_retry_itself(
    run, kubectl, alone, verb, flag
):
    done = run(verb, "support", flag, C[-8:], "--wait", "1")
    assert done.returncode == 4, done.stderr
    assert "kubectl describe agent support -n shop" in done.stderr
    (asked,) = [call for call in kubectl.calls if call.startswith("annotate")]
    assert asked.startswith("annotate agents.penstock.dev support --namespace=shop")
    value = re.search(rf"penstock.dev/request=({verb}/{C}/\S+)", asked)[1]
    status = {
        **alone["status"],
        "lastRequest": {"value": value, "result": "Waiting", "message": "x"},
    }
    kubectl.answer("get agents.penstock.dev support", {**alone, "status": status})
    done = run(verb, "support", flag, C, "--no-wait")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_what_stable_is_braked_for_is_let_go_on_without_its_name():
    world = braked().decide()
    seen = read(world)
    assert steering._meant(seen, Verb.RETRY, ungoverned=False) == world.status.stable_revision
    with pytest.raises(exits.Stopped, match="nothing to abort"):
        steering._meant(seen, Verb.ABORT, ungoverned=False)


def test_of_such_an_agent_nobody_knows_where_undo_goes_and_other_verbs_are_refused(
    run, kubectl, alone
):
    done = run("undo", "support")
    assert done.returncode == 2
    assert "since support has no AgentRollout; on record are: " in done.stderr
    assert all(one in done.stderr for one in (C, S))
    done = run("promote", "support", "--revision", C)
    assert (done.returncode, "has no AgentRollout" in done.stderr) == (3, True)
    assert "undo and retry it takes" in done.stderr
    error = 'agents.penstock.dev "support" is forbidden: User "ada" cannot patch resource'
    kubectl.answer("annotate agents.penstock.dev support", {"error": error})
    done = run("retry", "support", "--revision", C)
    assert "kubectl auth can-i patch agents.penstock.dev/support -n shop" in done.stderr


def test_for_a_setpoint_the_present_canary_is_meant(run, kubectl, shop):
    kubectl.answer("patch agentrollouts.penstock.dev support", shop.rollout)
    done = run("set-percent", "support", "20", "--no-wait")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    asked = [call for call in kubectl.calls if call.startswith("patch")]
    assert f'"traffic":{{"canaryPercent":20,"canaryRevision":"{C}"}}' in asked[-1]
    assert run("set-percent", "support", "auto", "--no-wait").returncode == 0
    asked = [call for call in kubectl.calls if call.startswith("patch")]
    assert '"traffic":{"canaryPercent":null,"canaryRevision":null}' in asked[-1]


@pytest.mark.parametrize(("status", "code"), [("True", 0), ("False", 0), ("Unknown", 4)])
def test_a_setpoint_that_is_not_in_force_in_time_ends_with_4_and_what_it_waits_for(
    run, kubectl, shop, status, code
):
    written = json.loads(json.dumps(shop.rollout))
    written["status"]["observedGeneration"] = written["metadata"]["generation"]
    (told,) = (one for one in written["status"]["conditions"] if one["type"] == "ManualSetpoint")
    told |= {"status": status, "reason": "x", "message": "20 % is said."}
    kubectl.answer("patch agentrollouts.penstock.dev support", written)
    kubectl.answer("get agentrollouts.penstock.dev support", written)
    done = run("set-percent", "support", "20", "--wait", "1")
    assert done.returncode == code, done.stderr
    assert "20 % is said." in (done.stderr if code else done.stdout)


@pytest.mark.parametrize("reason", ["SharedIncident", "NotComparable", "RowsLost"])
def test_where_a_canary_is_off_for_a_while_everybody_can_be_said_at_once(reason):
    seen = read(STATES["suspended"]())
    verbs = [one.command.split()[1:4] for one in advice.BY_REASON[reason](seen)]
    assert verbs == [["promote", "support", "--full"], ["abort", "support", "-n"]]


@pytest.mark.parametrize("percent", ["101", "-1", "x", "1e1", "٣"])
def test_a_share_that_is_none_is_wrong_usage(percent):
    done = CliRunner().invoke(app, ["set-percent", "support", "--", percent])
    assert done.exit_code == 2
    assert "0 to 100, or auto" in done.stderr


def test_an_output_for_programs_is_no_watch():
    assert CliRunner().invoke(app, ["get", "support", "-w", "-o", "json"]).exit_code == 2


# --------------------------------------------------------------------------- history and difference


def declared(seen, name, **template):
    """The revision's record, with what it declares."""
    record = next(one for one in seen.documents.records if one["metadata"]["name"] == name)
    record["data"] = {"declared": {"version": record["data"]["declared"]["version"], **template}}
    return record["data"]


@pytest.fixture
def two():
    """Stable and canary, of which the canary's prompt has another last line."""
    seen = read(world_at(20))
    words = "Be kind.\nPromise no date.\n"
    declared(seen, S, instructions=words + "Write English.", model={"name": "a"})
    declared(seen, C, instructions=words + "Write Spanish.", model={"name": "a"})
    return seen


def test_the_difference_is_that_of_stable_and_canary_line_by_line(two):
    found = history.between(two, "", "")
    changed = [line for line in found if line[:1] in "+-"]
    assert changed == [
        f"--- {S} (1.0)",
        f"+++ {C} (2.0)",
        "-    Write English.",
        "+    Write Spanish.",
        "-  version: '1.0'",
        "+  version: '2.0'",
    ]
    assert history.between(two, "2.0", C) == []


def test_programs_are_told_which_fields_differ_and_what_each_declares(two):
    found = history.difference(two, "", "")
    assert found["changed"] == ["template.version", "template.instructions"]
    assert (found["before"]["name"], found["after"]["name"]) == (S, C)
    assert found["after"]["template"]["instructions"].endswith("Write Spanish.")
    assert history.difference(two, "2.0", C)["changed"] == []


def test_what_a_revision_refers_to_is_compared_as_well(two):
    declared(two, C, instructions="x")["references"] = {"prompts/system": "one\ntwo\n"}
    found = history.between(two, S, C)
    assert "+  prompts/system: |" in found
    assert "+    two" in found


@pytest.mark.parametrize(("before", "after"), [("9.0", ""), ("", "9.0")])
def test_a_revision_that_is_not_on_record_is_said_with_those_that_are(two, before, after):
    with pytest.raises(exits.Stopped) as stopped:
        history.between(two, before, after)
    assert "revision 9.0: it must be the name of a revision" in stopped.value.sentence
    assert "a version that one declares (1.0, 2.0" in stopped.value.sentence


@pytest.mark.parametrize("said", [C, names.hash_of(C), C[-8:-3], C[:-3], "2.0", "v2.0"])
def test_a_revision_is_said_as_history_shows_it(two, said):
    assert history.named(two, said)["metadata"]["name"] == C


def test_a_whole_hash_that_is_not_on_record_is_said_so(two):
    with pytest.raises(exits.Stopped, match="revision ffffffff is not on record; there are: "):
        history.named(two, "ffffffff")


def test_without_a_canary_somebody_must_say_what_is_compared():
    with pytest.raises(exits.Stopped, match="has not a canary"):
        history.between(read(STATES["stable"]()), "", "")


def test_a_prompt_moves_no_cursor():
    assert "\x1b" not in history.coloured("+ \x1b[2Jgone").plain


def test_history_has_the_newest_first_with_its_verdict():
    seen = read(STATES["rejected"]())
    told = seen.status.verdicts[-1].wire()
    for number, record in enumerate(seen.documents.records):
        record["revision"] = number + 1
        if record["metadata"]["name"] == C:
            record["metadata"]["annotations"] = {names.ANNOTATION_VERDICT: json.dumps(told)}
    head, *rows = printed(history.lines(seen, 80)).splitlines()
    assert head.split() == ["REVISION", "ROLE", "AGE", "SERVED", "VERDICT", "SHARE"]
    assert [row.split()[0] for row in rows if not row.startswith(" ")] == [
        record.name for record in reversed(seen.records.values())
    ]
    (rejected,) = [row for row in rows if row.startswith(C)]
    assert rejected.split()[2:] == ["rejected", "-", "-", "✗", "ErrorRateRegression", "20", "%"]
    items = history.document(seen)["items"]
    assert [item["served"] for item in items if item["name"] == S] == [1]
    assert max(map(len, [head, *rows])) <= 80


def test_history_names_the_ring_of_who_had_no_share_yet():
    seen = read(STATES["rejected"]())
    told = seen.status.verdicts[-1].wire() | {"percent": 0, "ring": "staff"}
    seen.documents.records[-1]["metadata"]["annotations"] = {
        names.ANNOTATION_VERDICT: json.dumps(told)
    }
    rows = printed(history.lines(seen, 80)).splitlines()
    (row,) = [row for row in rows if "✗" in row and not row.startswith(" ")]
    assert row.rstrip().endswith("ring staff")
