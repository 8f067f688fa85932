"""``penstock models``: what gateways tell of Agents, put together, in words and columns."""

from __future__ import annotations

import http.server
import json
import threading

import pytest
import yaml

from penstock_cli import model_words, models
from tests.unit.cli.test_terminal import penstock

URL = "https://api.anthropic.com"
CLOSED = {
    "state": "Closed",
    "failuresInRow": 0,
    "openUntil": None,
    "lastFailure": "",
    "lastFailureAt": None,
}
OPEN = CLOSED | {
    "state": "Open",
    "failuresInRow": 5,
    "openUntil": "2026-11-30T12:31:05.120Z",
    "lastFailure": "Overloaded 529",
}
HALF_OPEN = OPEN | {"state": "HalfOpen", "openUntil": None}
UNBOUNDED = {"limit": 0, "source": "", "used": 0}
LISTED = {
    "inputPerMTok": "3",
    "cachedInputPerMTok": "0.3",
    "outputPerMTok": "15",
    "source": "genai-prices",
    "release": "0.2.3",
    "since": "",
}


def pool(requests=UNBOUNDED, waiting=(), until=None, account="0a1b2c3d4e5f"):
    return {
        "account": account,
        "requests": requests,
        "inputTokens": UNBOUNDED,
        "outputTokens": UNBOUNDED,
        "waiting": list(waiting),
        "toldToWaitUntil": until,
    }


def model(name="claude-sonnet-5-5", breaker=CLOSED, uses=("primary",), role="stable", **more):
    use = {"revision": f"support-{role}", "role": role, "as": list(uses)}
    said = {"provider": "Anthropic", "address": URL, "model": name, "usedBy": [use]}
    spend = {"todayUSD": "0.500000", "monthUSD": "12.345678"}
    told = {"breaker": breaker, "pools": [pool()], "prices": [LISTED], "spend": spend}
    return said | told | more


def document(*found, agent="support", namespace="acme", silent=(), former=(), rest="0.000000"):
    return {
        "namespace": namespace,
        "agent": agent,
        "asOf": "2026-11-30T12:30:00.000Z",
        "models": list(found),
        "silent": list(silent),
        "former": list(former),
        "unattributedTodayUSD": rest,
    }


def shown(*documents, **how):
    return model_words.text(models.together(documents), **{"with_namespace": False, **how})


def cells(line):
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_an_open_breaker_is_first_names_whom_it_concerns_and_when_it_is_tried():
    dear = model("claude-opus-5-5", spend={"todayUSD": "9.0", "monthUSD": "900.000000"})
    away = model(breaker=OPEN)
    text = shown(
        document(dear, away),
        document(model(breaker=OPEN, uses=("fallback 1",), role="canary"), agent="billing"),
    )
    sentence, table = text.split("\n\n")
    assert sentence == (
        f"claude-sonnet-5-5 at {URL} is left alone: 5 calls in a row got no answer, the last: Overloaded 529. It is "
        "tried again at 12:31:05Z; until then its fallbacks are asked, or calls wait. Affected in acme: "
        "billing (fallback 1, canary), support (primary)."
    )
    head, first, second = map(cells, table.splitlines())
    assert first[head.index("BREAKER")] == "Open until 12:31:05Z"
    assert first[head.index("FAILURES")] == "5 Overloaded 529"
    assert (first[0], second[0]) == ("claude-sonnet-5-5", "claude-opus-5-5")


def test_a_half_open_one_is_said_too_and_comes_before_closed_ones():
    text = shown(document(model("claude-a"), model("claude-b", HALF_OPEN)))
    assert text.startswith(f"claude-b at {URL} is tried by the next call, alone: 5 calls in a row")
    assert cells(text.splitlines()[3])[:3] == ["claude-b", URL, "HalfOpen"]


def test_a_row_has_limits_prices_and_costs_of_all_agents_together():
    bounded = {"limit": 4000, "source": "learned", "used": 250}
    one = model(pools=[pool(bounded, ["billing"], "2026-11-30T12:30:20.000Z")])
    table = shown(document(one), document(one, agent="billing"))
    assert cells(table.splitlines()[1]) == [
        "claude-sonnet-5-5", URL, "Closed", "0", "250/4k", "any", "any", "learned",
        "billing, all until 12:30:20Z (429)", "3/0.3/15", "genai-prices 0.2.3", "1.00", "24.691356",
        "billing (primary), support (primary)",
    ]  # fmt: skip


def test_agents_with_one_credential_share_a_row_of_limits_as_it_was_told_last():
    """Each request finds another moment of the same pool."""

    def told(used, agent, second, **more):
        bounded = {"limit": 100, "source": "declared", "used": used}
        at = f"2026-11-30T12:30:0{second}.000Z"
        return document(model(pools=[pool(bounded, **more)]), agent=agent) | {"asOf": at}

    found = models.together([told(3, "billing", 2), told(4, "support", 1)])
    assert [one["requests"]["used"] for one in found["models"][0]["pools"]] == [3]
    text = shown(told(3, "billing", 1), told(4, "support", 2), told(9, "sales", 3, account="ff"))
    assert "4/100, 9/100" in text
    assert "3/100" not in text
    before = told(3, "billing", 1), told(4, "support", 2), told(4, "sales", 3)
    for one in before:
        del one["models"][0]["pools"][0]["account"]  # a gateway of the version before
    assert "3/100, 4/100 " in shown(*before)


def test_what_an_agent_has_spent_is_said_once_however_many_of_its_revisions_ask():
    two = model()
    two["usedBy"] = two["usedBy"] + model(role="canary")["usedBy"]
    (found,) = models.together([document(two), document(model(), agent="billing")])["models"]
    spend = {"todayUSD": "0.500000", "monthUSD": "12.345678"}
    assert found["spendBy"] == [{"agent": one, **spend} for one in ("billing", "support")]
    assert not any("spend" in use for use in found["usedBy"])
    assert found["spend"] == {"todayUSD": "1.000000", "monthUSD": "24.691356"}


def test_the_same_model_of_two_namespaces_is_two():
    found = models.together([document(model()), document(model(breaker=OPEN), namespace="shop")])
    assert [(one["namespace"], one["breaker"]["state"]) for one in found["models"]] == [
        ("shop", "Open"),
        ("acme", "Closed"),
    ]


def test_an_unknown_price_says_so_and_two_of_one_model_are_both_there():
    declared = LISTED | {"inputPerMTok": "1", "source": "model.price", "release": ""}
    dated = declared | {"source": "prices of the chart", "since": "2026-11-01"}
    text = shown(document(model("a", prices=[]), model("b", prices=[declared, dated])))
    head, first, second = map(cells, text.splitlines())
    assert first[head.index("USD/MTOK")] == "Unknown"
    assert second[head.index("PRICE-OF")] == "model.price, prices of the chart since 2026-11-01"


def test_who_sees_one_tenant_alone_gets_dashes_and_why():
    found = models.together([document(model(pools=None, spend=None), former=(), rest=None)])
    assert found["models"][0]["spend"] is None
    assert cells(model_words.text(found, with_namespace=False).splitlines()[1])[4:9] == ["-"] * 5
    (remark,) = model_words.remarks(found)
    assert "verb list on agents/tasks" in remark


def test_empty_states_are_said_in_words():
    assert shown() == "no Agent is there"
    silent = document(silent=["support-1a2b"])
    assert shown(silent) == "no model is known: no worker has said yet which it asks"
    (remark,) = model_words.remarks(models.together([silent]))
    assert remark.startswith("not known is whom acme/support-1a2b asks: no worker of it has run")
    many = models.together([document(silent=[f"support-{n}" for n in range(5)])])
    assert "acme/support-2 and 2 more asks" in next(model_words.remarks(many))


def test_what_was_asked_before_and_what_is_of_no_model_is_beneath():
    former = {"model": "claude-old", "todayUSD": "0.000000", "monthUSD": "3.100000"}
    text = shown(document(model(), former=[former], rest="0.250000"))
    *_, head, first, second = map(cells, text.splitlines())
    assert head == ["AGENT", "ASKED-BEFORE", "TODAY", "MONTH"]
    assert first == ["acme/support", "claude-old", "0.00", "3.10"]
    assert second == ["acme/support", "(model not known)", "0.25", "-"]


def test_three_hundred_models_are_three_hundred_rows():
    documents = [
        document(*(model(f"m-{n}-{k}") for k in range(3)), agent=f"a{n}") for n in range(100)
    ]
    assert len(shown(*documents).splitlines()) == 301


# ----------------------------------------------------------------------------------- the command


class Answering(http.server.ThreadingHTTPServer):
    """A gateway that answers by the Agent's name; ``refused`` are not for this token."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.refused = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, _, _, namespace, _, agent, _ = self.path.split("/")
        forbidden = {"type": "x/agent-forbidden", "title": "No", "detail": f"not {agent}"}
        refused = agent in self.server.refused
        said = forbidden if refused else document(model(), agent=agent, namespace=namespace)
        body = json.dumps(said).encode()
        self.send_response(403 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: standard error belongs to what is tested."""


@pytest.fixture
def answering():
    with Answering() as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def run(kubectl, answering, tmp_path):
    agents = [("acme", "support"), ("shop", "billing"), ("acme", "search")]
    items = [{"metadata": {"namespace": namespace, "name": name}} for namespace, name in agents]
    kubectl.answer("get agents.penstock.dev", {"items": items})

    def ended(*arguments):
        where = f"http://127.0.0.1:{answering.server_address[1]}"
        at = {"PENSTOCK_GATEWAY_URL": where, "PENSTOCK_TOKEN": "t", "KUBECONFIG": "/nowhere"}
        return penstock("models", *arguments, cwd=tmp_path, PATH=kubectl.path, **at)

    return ended


def test_all_agents_of_all_namespaces_are_put_together(run, kubectl):
    done = run("-A")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [cells(line) for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["NAMESPACE", "acme", "shop"]
    assert rows[1][-1] == "search (primary), support (primary)"
    assert "--all-namespaces" in kubectl.calls[-1]


def test_one_that_is_refused_is_named_and_the_others_are_shown(run, answering):
    answering.refused = {"search"}
    done = run("-A", "-o", "yaml")
    assert done.returncode == 4
    assert done.stderr == (
        "penstock: not shown: acme/search: the gateway refused the request. No: not search\n"
    )
    found = yaml.safe_load(done.stdout)
    assert [one["usedBy"][0]["agent"] for one in found["models"]] == ["support", "billing"]


def test_all_refused_is_refused_and_one_agent_needs_no_kubectl(run, answering, kubectl):
    answering.refused = {"support", "billing", "search"}
    done = run("-A")
    assert (done.returncode, done.stdout) == (3, "")
    answering.refused = set()
    before = len(kubectl.calls)
    done = run("support", "-n", "acme", "-o", "json")
    assert json.loads(done.stdout)["models"][0]["usedBy"][0]["agent"] == "support"
    assert len(kubectl.calls) == before


def test_a_namespace_without_agents_says_so(run, kubectl):
    kubectl.answer("get agents.penstock.dev", {"items": []})
    done = run("-n", "empty")
    assert (done.returncode, done.stdout) == (0, "no Agent is there\n")


@pytest.mark.parametrize("wrong", [("support", "-A"), ("-o", "xml")])
def test_wrong_usage_is_2(run, wrong):
    assert run(*wrong).returncode == 2


def test_a_gateway_that_cannot_be_reached_is_named_without_what_opens_it(tmp_path):
    url = "http://user:hunter2@127.0.0.1:1"
    done = penstock("models", "support", cwd=tmp_path, PENSTOCK_GATEWAY_URL=url, PENSTOCK_TOKEN="t")
    assert done.returncode == 3
    assert "the gateway at http://127.0.0.1:1 cannot be reached" in done.stderr.replace("1/ ", "1 ")
    assert "hunter2" not in done.stderr
