"""Each example does what its README says, when the README's own commands are typed."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.examples.reader import Reader, commands_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]


async def test_the_smallest_agent_greets_and_a_change_takes_all_traffic(read) -> None:
    reader: Reader = read("01-minimal")
    reader.type("kubectl apply -f examples/01-minimal/agent.yaml")
    reader.type("kubectl wait --for=condition=Ready agent/hello --timeout=60s")
    answer = await reader.ask("hello", "Good morning")
    assert (answer.status, answer.output) == ("Succeeded", "You said: Good morning")
    row = reader.columns("kubectl get agents")
    assert row["MODEL"] == "claude-haiku-5-5"
    assert (row["READY"], row["STATUS"]) == ("True", "Serving")
    assert row["STABLE"] == answer.revision
    reader.type(
        "kubectl patch agent hello --type merge "
        """-p '{"spec":{"template":{"instructions":"You greet people in rhyme."}}}'"""
    )
    changed = reader.until(
        "another stable revision",
        lambda: reader.look("agent", "hello", ".status.stableRevision"),
        lambda seen: seen not in ("", answer.revision),
    )
    again = await reader.ask("hello", "Good morning")
    assert (again.status, again.revision) == ("Succeeded", changed)
    assert reader.typed_all_but("penstock dev up --detach", 'penstock run hello "Good morning"')


def test_a_good_change_climbs_and_a_bad_one_comes_back(read) -> None:
    reader: Reader = read("02-gradual-rollout")
    reader.type(
        "kubectl apply -f examples/02-gradual-rollout/agent-v1.yaml "
        "-f examples/02-gradual-rollout/rollout.yaml"
    )
    reader.type("kubectl wait --for=condition=Ready agent/support --timeout=60s")
    with reader.traffic("support"):
        good = climbs(reader)
        bad = comes_back(reader, good)
        stays_back_until_retried(reader, bad)
    assert reader.typed_all_but(
        "penstock dev up --detach",
        "penstock dev traffic support &",
        "kubectl get agentrollouts -w",
        "kubectl get agentrollout support -w",
    )


def rollout(reader: Reader, path: str) -> str:
    return reader.look("agentrollout", "support", path)


def climbs(reader: Reader) -> str:
    """The good revision reaches everybody, with a hand on the share in between."""
    reader.type("kubectl apply -f examples/02-gradual-rollout/agent-v2.yaml")
    share = lambda: rollout(reader, ".status.share.percent")
    reader.until("the first step", share, lambda seen: seen == "5")
    patch = "kubectl patch agentrollout support --type merge -p "
    reader.type(patch + """'{"spec":{"traffic":{"canaryPercent":20}}}'""")
    source = lambda: rollout(reader, ".status.share.source")
    reader.until("the share set by hand", source, lambda seen: seen == "Setpoint")
    assert share() == "20"
    reader.type(patch + """'{"spec":{"traffic":{"canaryPercent":null}}}'""")
    reader.until("the steps again", source, lambda seen: seen == "Automatic")
    canary = rollout(reader, ".status.canaryRevision")
    stable = lambda: rollout(reader, ".status.stableRevision")
    return reader.until("the promotion", stable, lambda seen: seen == canary)


def comes_back(reader: Reader, good: str) -> str:
    """The bad revision is found out; the last verdict says why."""
    reader.type("kubectl apply -f examples/02-gradual-rollout/agent-v3-bad.yaml")
    reader.until(
        "the rollback",
        lambda: rollout(reader, ".status.verdicts[-1:].result"),
        lambda seen: seen == "Rejected",
    )
    why = reader.type(
        "kubectl get agentrollout support -o jsonpath='{.status.verdicts[-1:].message}'"
    )
    assert re.match(r"rolled back at (5|20|50) %: error rate [\d.]+ % on the canary", why)
    assert rollout(reader, ".status.stableRevision") == good
    return rollout(reader, ".status.canaryRevision")


def stays_back_until_retried(reader: Reader, bad: str) -> None:
    """Applying again changes nothing; the annotation begins a second attempt."""
    reader.type("kubectl apply -f examples/02-gradual-rollout/agent-v3-bad.yaml")
    assert rollout(reader, ".status.share.percent") == "0"
    assert rollout(reader, ".status.attempt") == "1"
    retry = next(command for command in reader.commands if "retry/" in command)
    reader.type(retry)
    attempt = lambda: rollout(reader, ".status.attempt")
    reader.until("a second attempt", attempt, lambda seen: seen == "2")
    assert rollout(reader, ".status.canaryRevision") == bad


def test_a_tool_is_called_with_the_key_of_its_secret_once_that_is_there(read) -> None:
    reader: Reader = read("03-tools-and-secrets")
    with reader.beside("python examples/03-tools-and-secrets/orders.py"):
        reader.type("kubectl apply -f examples/03-tools-and-secrets/agent.yaml")
        shown = reader.until(
            "it says what is missing",
            lambda: reader.type("kubectl get agent orders -o wide"),
            lambda said: "create secret generic orders-api" in said,
        )
        assert "False" in shown
        reader.type(
            "kubectl create secret generic orders-api --from-literal=x-api-key=only-for-trying-out"
        )
        reader.type("kubectl wait --for=condition=Ready agent/orders --timeout=180s")
        said = reader.type('penstock run orders "Where is order 17?"')
    assert said.strip() in reader.page
    assert "due on Friday" in said
    assert reader.typed_all_but("penstock dev up --detach")


def test_a_change_waits_for_a_person_and_goes_to_everybody_when_one_agrees(read) -> None:
    reader: Reader = read("04-approval")
    reader.type(
        "kubectl apply -f examples/04-approval/agent-v1.yaml -f examples/04-approval/rollout.yaml"
    )
    reader.type("kubectl wait --for=condition=Ready agent/refunds --timeout=60s")
    with reader.traffic("refunds"):
        reader.type("kubectl apply -f examples/04-approval/agent-v2.yaml")
        shown = reader.until(
            "it asks",
            lambda: reader.type("kubectl get agentrollout refunds -o wide"),
            lambda said: "HoldForApproval" in said,
        )
        assert re.search(r"Approve: kubectl annotate .*promote/refunds-", shown)
        reader.type(next(command for command in reader.commands if "promote/" in command))
        reader.type("kubectl wait --for=condition=UpToDate agent/refunds --timeout=120s")
    assert reader.typed_all_but("penstock dev up --detach", "penstock dev traffic refunds &")


def test_small_refunds_are_paid_large_ones_take_a_person_and_very_large_ones_two(
    read, environment
) -> None:
    reader: Reader = read("06-refunds")
    persons = {
        "APPROVER": environment.approver_token,
        "SECOND": environment.second_approver_token,
    }
    approve = "penstock escalations approve ID --note "
    listed = "penstock escalations list refunds"

    def asked(amount: int) -> str:
        """The id of the question about a payment, once it is asked."""
        seen = reader.until(
            f"a question about {amount}",
            lambda: reader.type(listed),
            lambda said: f'"amount": {amount}}}' in said,
        )
        return seen.splitlines()[1].split()[0]

    with reader.beside("python examples/06-refunds/payments.py"):
        reader.type("kubectl apply -f examples/06-refunds/agent.yaml")
        reader.type("kubectl wait --for=condition=Ready agent/refunds --timeout=180s")
        reader.refused(next(command for command in reader.commands if "run refunds" in command))
        first = asked(150)
        denied = reader.outside(f"penstock escalations approve {first} 2>&1 || true")
        assert "decides on no calls" in denied
        assert "each at most 150" in reader.type("penstock escalations show ID", ID=first)
        lost = '"the parcel is lost" --remember session --token APPROVER'
        reader.type(approve + lost, ID=first, **persons)
        second = asked(1500)
        reader.type(approve + '"looked at it" --token APPROVER', ID=second, **persons)
        done = reader.type("penstock effects refunds")
        assert "refund 350" in done, "one of two persons is not enough"
        assert f"by approver, escalation {first}" in done, "nobody was asked about 120"
        reader.type(approve + '"so did I" --token SECOND', ID=second, **persons)
        reader.until(
            "its end",
            lambda: reader.type("penstock tasks list refunds"),
            lambda said: "Succeeded" in said,
        )
        sums = reader.type("penstock effects refunds").splitlines()[-1]
    assert sums == "4 done, 0 unknown, for 1 user; refund 1850"
    assert sums in reader.page
    assert reader.typed_all_but("penstock dev up --detach")


BAD_REVISION = "kubectl get agentrollout refunds -o jsonpath='{.status.verdicts[-1:].revision}'"


def test_what_a_rolled_back_revision_has_paid_is_told_listed_and_undone(read, environment) -> None:
    reader: Reader = read("07-wrong-refunds")
    with reader.beside("python examples/06-refunds/payments.py"):
        reader.type("kubectl delete agent,agentrollout refunds --ignore-not-found")
        reader.type(
            "kubectl apply -f examples/07-wrong-refunds/agent-v1.yaml "
            "-f examples/07-wrong-refunds/rollout.yaml"
        )
        reader.type("kubectl wait --for=condition=Ready agent/refunds --timeout=180s")
        with reader.traffic("refunds"):
            reader.type("kubectl apply -f examples/07-wrong-refunds/agent-v2-bad.yaml")
            reader.type(
                "kubectl wait --for=condition=RolledBack agentrollout/refunds --timeout=180s"
            )
        event = next(command for command in reader.commands if "EffectsLeft" in command)
        told = reader.until("the Event", lambda: reader.type(event), lambda said: "refund" in said)
        listed = reader.type(
            next(command for command in reader.commands if "penstock effects" in command)
        )
        shown = reader.until(
            "what it has done",
            lambda: reader.type("penstock get refunds"),
            lambda said: "changed something" in said,
        )
        undo = "penstock compensate refunds --revision REVISION{} --token APPROVER"
        given = {
            "REVISION": reader.outside(BAD_REVISION).strip(),
            "APPROVER": environment.approver_token,
        }
        would = reader.type(undo.format(" --dry-run"), **given)
        undone = reader.until(
            "the compensations",
            lambda: reader.type(undo.format(""), **given).splitlines()[-1],
            lambda said: said.endswith(" Done") and "," not in said,
        )
    assert would.splitlines()[-1].endswith(" WouldCall")
    assert int(undone.removesuffix(" Done")) >= int(would.splitlines()[-1].split()[0])
    assert "penstock effects refunds" in shown
    print(told, listed.splitlines()[-1], sep="\n")
    lines = [line.split() for line in listed.splitlines() if line.startswith("Done")]
    assert lines
    assert {line[3] for line in lines} == {"200"}, "version 1.0 pays 20"
    assert listed.splitlines()[-1].endswith(f"; refund {200 * len(lines)}")
    assert "penstock effects refunds" in told
    assert reader.typed_all_but("penstock dev up --detach", "penstock dev traffic refunds &")


def test_a_change_within_every_limit_comes_back_for_what_stable_does_at_the_same_time(read) -> None:
    reader: Reader = read("08-worse-within-limits")
    reader.type(
        "kubectl apply -f examples/08-worse-within-limits/agent-v1.yaml "
        "-f examples/08-worse-within-limits/rollout.yaml"
    )
    reader.type("kubectl wait --for=condition=Ready agent/travel --timeout=60s")
    change = "examples/08-worse-within-limits/agent-v2-worse.yaml"
    with reader.traffic("travel"):
        would = reader.type(f"penstock plan -f {change}", exits=1)
        reader.type(f"kubectl apply -f {change}")
        reader.type("kubectl wait --for=condition=RolledBack agentrollout/travel --timeout=300s")
        why = reader.type(
            "kubectl get agentrollout travel -o jsonpath='{.status.verdicts[-1:].message}'"
        )
        explained = reader.type("penstock explain travel")
    planned = re.search(r"→ (travel-\w+) \(2.0\), new", would)
    assert planned, would
    assert re.search(
        r"error rate .* on stable since it began, [\d.]+ points more in the same minutes: \d+:1 worse than stable",
        why,
    )
    assert why.split(":")[0] in explained
    assert planned[1] in reader.type("penstock history travel")
    verified = reader.type("penstock verify travel").splitlines()[-1]
    assert re.fullmatch(rf"{planned[1]}: (\d+) of \1 decisions are equal", verified)
    assert reader.typed_all_but(
        "penstock dev up --detach",
        "penstock dev traffic travel &",
        "penstock get travel --watch",
    )


def test_a_conversation_is_told_to_the_model_and_belongs_to_its_user(read) -> None:
    reader: Reader = read("05-sessions")
    reader.type("kubectl apply -f examples/05-sessions/agent.yaml")
    reader.type("kubectl wait --for=condition=Ready agent/desk --timeout=60s")
    reader.type('penstock run desk "My name is Ana." --user ana --session chat-1')
    asked = 'penstock run desk "What is my name?" --user {} --session chat-1'
    again = json.loads(reader.type(asked.format("ana") + " -o json"))
    assert again["status"] == "Succeeded"
    assert "session" in reader.refused(asked.format("bob"))
    alone = json.loads(reader.outside(asked.format("ana").replace("chat-1", "chat-2 -o json")))
    assert again["usage"]["inputTokens"] > alone["usage"]["inputTokens"]
    assert reader.typed_all_but("penstock dev up --detach")


def test_commands_are_read_from_code_blocks_with_their_continuation_lines() -> None:
    readme = (
        "kubectl not this\n```\nkubectl a   # why\npenstock b \\\n  c\nls\npython d &  # e\n```\n"
    )
    assert commands_of(readme) == ["kubectl a", "penstock b c", "python d &"]
