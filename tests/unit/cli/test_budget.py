"""``penstock budget top`` and ``lift`` go by kubectl; what it says is what they say."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.test_terminal import penstock

AGENT = "get agents.penstock.dev support"


@pytest.fixture
def run(kubectl, tmp_path):
    def ended(*arguments):
        return penstock(
            *("budget", *arguments),
            cwd=tmp_path,
            PATH=kubectl.path,
            KUBECONFIG="/nowhere",
        )

    return ended


def spent(name, cost, budget="", namespace="shop"):
    summary = {"costToday": cost, "budget": budget}
    ready = {"type": "Ready", "reason": "Serving"}
    status = {"summary": summary, "conditions": [ready]}
    return {"metadata": {"name": name, "namespace": namespace}, "status": status}


AGENTS = {
    "items": [
        spent("a", "0.00"),
        spent("b", "12.50", "31% of daily"),
        spent("c", "<0.01", namespace="acme"),
        spent("d", "100.00"),
        {"metadata": {"name": "new", "namespace": "shop"}},
    ]
}


def test_top_has_those_first_that_have_cost_most(run, kubectl):
    kubectl.answer("get agents.penstock.dev", AGENTS)
    done = run("top", "-A")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[1] for row in rows] == ["AGENT", "d", "b", "c", "a", "new"]
    assert rows[2] == ["shop", "b", "12.50", "31%", "of", "daily", "Serving"]
    assert "--all-namespaces" in kubectl.calls[-1]


def test_top_shows_as_many_as_were_asked_for_and_says_that_there_are_more(run, kubectl):
    kubectl.answer("get agents.penstock.dev", AGENTS)
    done = run("top", "-n", "shop", "--limit", "2", "-o", "json")
    assert [one["agent"] for one in json.loads(done.stdout)["items"]] == ["d", "b"]
    assert done.stderr == "penstock: 3 more: --limit 0 shows all\n"
    assert "--namespace=shop" in kubectl.calls[-1]


def test_top_says_why_nothing_can_be_listed(run, kubectl):
    kubectl.answer("get agents.penstock.dev", {"error": "agents is forbidden"})
    done = run("top")
    assert (done.returncode, done.stdout) == (3, "")
    assert "agents is forbidden" in done.stderr


@pytest.fixture
def answering(kubectl):
    """The operator has answered an earlier request with this."""

    def answers(result, message):
        kubectl.answer("auth whoami", "ada\n")
        kubectl.answer("annotate agents.penstock.dev support", "annotated\n")
        kubectl.answer(AGENT, {"status": {"lastRequest": {"result": result, "message": message}}})

    return answers


def annotated(kubectl):
    (call,) = [call for call in kubectl.calls if call.startswith("annotate")]
    return call


def test_a_lift_is_asked_for_in_the_name_of_who_asks_and_says_when_nobody_answers(
    run, kubectl, answering
):
    answering("Accepted", "of another one")
    done = run("lift", "support", "agent/daily", "4.50", "-n", "shop", "--wait", "1")
    assert done.returncode == 4, done.stderr
    assert "has not answered within 1 s" in done.stderr
    assert "penstock.dev/request=budget-lift/agent/daily/4.50/" in annotated(kubectl)
    assert "penstock.dev/requested-by=ada" in annotated(kubectl)
    assert "--namespace=shop" in annotated(kubectl)
    assert "$ kubectl annotate agents.penstock.dev support" in done.stderr


@pytest.mark.parametrize(
    ("of", "amount"), [("agent", "4"), ("agent/day", "4"), ("agent/daily", "-4"), ("x/daily", "4")]
)
def test_what_is_no_lift_is_said_before_anybody_is_asked(run, kubectl, of, amount):
    done = run("lift", "support", of, "--", amount)
    assert done.returncode == 2
    assert "budget-lift/SCOPE/WINDOW/AMOUNT/NONCE" in done.stderr
    assert not kubectl.calls


def test_a_lift_that_may_not_be_asked_for_is_said_in_the_api_server_s_words(
    run, kubectl, answering
):
    answering("", "")
    kubectl.answer("annotate agents.penstock.dev support", {"error": "it needs the verb budget"})
    done = run("lift", "support", "agent/daily", "4")
    assert done.returncode == 3
    assert "it needs the verb budget" in done.stderr
