"""Gates are asked for aside: one question in flight for each, few to a server, and what is known is told at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from penstock.analysis.gates import Answer, Said, Unresolved
from penstock.api.external import ExternalGate
from penstock.names import AgentKey
from penstock_operator.external import gates as asking
from penstock_operator.external import servers
from penstock_operator.external.gates import Gates
from penstock_operator.external.prometheus import Unasked
from penstock_operator.external.servers import Server, ServersUnreadable

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)
KEY = AgentKey("acme", "support")
MAIN = Server(url="http://prometheus:9090", namespaces=("acme",))
LIMITED = Server(url="http://other:9090", namespaces=("*",), namespace_label="namespace")
GATE = ExternalGate(name="csat", address="main", query="csat", min="4")


class Source:
    """A clock that is set by hand, and a server whose answers are."""

    def __init__(self):
        self.at = 100.0
        self.answers = []
        self.asked = []
        self.open = asyncio.Event()
        self.open.set()
        self.gates = Gates({"main": MAIN, "limited": LIMITED}, lambda: self.at, self.ask)

    async def ask(self, _connections, server, query):
        self.asked.append((server.url, query))
        await self.open.wait()
        answer = self.answers.pop(0) if self.answers else Said(Decimal("4.5"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def look(self, *gates, key=KEY, asks=True):
        return self.gates.look(key, gates or (GATE,), NOW, asks=asks)

    async def later(self, seconds=0.0):
        """So much time passes, and what is in flight comes in where it can."""
        self.at += seconds
        for _ in range(20):
            await asyncio.sleep(0)

    async def end(self):
        """Nothing is held up any more."""
        self.open.set()
        await self.gates.aclose()


@pytest.fixture
async def source():
    made = Source()
    yield made
    await made.end()


async def test_the_first_look_waits_for_nothing_and_the_next_has_the_answer(source):
    assert source.look() == {"csat": Answer()}
    await source.later(3)
    assert source.look()["csat"].said == Said(Decimal("4.5"))


async def test_an_answer_is_as_old_as_it_is(source):
    source.look()
    await source.later()
    source.at += 7
    assert source.look()["csat"] == Answer(Said(Decimal("4.5")), NOW - timedelta(seconds=7))


async def test_a_gate_is_asked_every_ten_seconds_however_often_it_is_looked_at(source):
    for _ in range(60):
        source.look()
        await source.later(0.5)
    assert len(source.asked) == 3


async def test_one_question_is_in_flight_for_a_gate_and_nobody_waits_for_it(source):
    source.open.clear()
    for _ in range(50):
        assert source.look() == {"csat": Answer()}
        await source.later(1)
    assert len(source.asked) == 1
    await source.end()


async def test_an_answer_counts_for_half_a_minute_while_later_questions_fail(source):
    source.look()
    await source.later()
    source.answers = [Unasked("no answer within 5 s")] * 9
    for _ in range(3):
        await source.later(10)
        assert source.look()["csat"].said.value == Decimal("4.5")
        await source.later()
    await source.later(1)
    known = source.look()["csat"]
    assert known.said == Said(problem="no answer within 5 s")
    assert known.at == NOW - timedelta(seconds=1)


async def test_a_failure_is_tried_again_sooner(source):
    source.answers = [Unasked("it cannot be reached")]
    source.look()
    await source.later()
    assert source.look()["csat"].said.problem == "it cannot be reached"
    await source.later(5)
    source.look()
    await source.later()
    assert source.look()["csat"].said.value == Decimal("4.5")


async def test_an_answer_without_a_number_takes_the_place_of_the_number(source):
    source.answers = [Said(Decimal("4.5")), Said(problem="the query yields no series")]
    source.look()
    await source.later()
    await source.later(10)
    source.look()
    await source.later()
    assert source.look()["csat"].said.value is None


async def test_an_edited_gate_is_another_one(source):
    source.look()
    await source.later()
    edited = GATE.model_copy(update={"query": "nps"})
    assert source.look(edited) == {"csat": Answer()}
    await source.later()
    assert source.asked[-1] == (MAIN.url, "nps")
    bounds = edited.model_copy(update={"min": "1"})
    assert source.look(bounds)["csat"].said.value == Decimal("4.5")


@pytest.mark.parametrize("leaves", ["edit", "no canary", "gone"])
async def test_what_nobody_wants_any_more_is_not_asked_for(source, leaves):
    source.open.clear()
    source.look()
    await source.later()
    if leaves == "edit":
        source.look(GATE.model_copy(update={"query": "nps"}), asks=False)
    elif leaves == "no canary":
        assert source.look(asks=False) == {}
    else:
        source.gates.forget(KEY)
    await source.later()
    assert source.gates._in_flight.total() == 0


async def test_a_namespace_has_few_questions_in_flight_and_others_go_on(source):
    source.open.clear()
    limited = GATE.model_copy(update={"address": "limited", "query": "csat{}"})
    for number in range(20):
        source.look(limited, key=AgentKey("acme", f"agent-{number}"))
    await source.later()
    assert len(source.asked) == asking.MOST_OF_NAMESPACE
    source.look(limited, key=AgentKey("globex", "support"))
    await source.later()
    assert len(source.asked) == asking.MOST_OF_NAMESPACE + 1
    await source.end()


async def test_a_server_has_so_many_questions_in_flight_and_no_more(source):
    source.open.clear()
    limited = GATE.model_copy(update={"address": "limited", "query": "csat{}"})
    for number in range(100):
        source.look(limited, key=AgentKey(f"tenant-{number}", "support"))
    await source.later()
    assert len(source.asked) == asking.MOST_AT_SERVER
    source.look()  # of another server
    await source.later()
    assert len(source.asked) == asking.MOST_AT_SERVER + 1
    source.open.set()
    await source.later()
    assert source.gates._in_flight.total() == 0


async def test_what_cannot_be_asked_for_want_of_room_says_so_once_nothing_counts(source):
    source.look()
    await source.later()
    source.gates._in_flight = Counter({("main", ""): asking.MOST_AT_SERVER})
    source.at += 31
    assert "too many questions" in source.look()["csat"].said.problem
    await source.end()


async def test_at_the_end_nothing_is_left_in_flight(source):
    source.open.clear()
    standing = asyncio.create_task(source.gates.run())
    source.look()
    await source.later()
    standing.cancel()
    await asyncio.gather(standing, return_exceptions=True)
    assert source.gates._in_flight.total() == 0


# ---------------------------------------------------------------------------- who may ask whom


def unresolved(gate=GATE, namespace="acme"):
    known = {"main": MAIN, "limited": LIMITED}
    return servers.query_for(known, namespace, gate)


def test_an_unknown_name_is_told_with_those_that_may_be_asked():
    found = unresolved(GATE.model_copy(update={"address": "mian"}))
    assert found.unresolved is Unresolved.UNKNOWN
    assert found.said.problem == (
        "this installation knows no Prometheus mian. Have it added to operator.prometheus of the chart, "
        "or name one that the namespace may ask: limited, main."
    )


def test_a_name_that_another_namespace_may_ask_is_told_with_the_remedy():
    found = unresolved(namespace="globex")
    assert found.unresolved is Unresolved.NOT_ALLOWED
    assert "added to operator.prometheus.main.namespaces of the chart" in found.said.problem
    assert found.said.problem.endswith("ask: limited.")
    assert unresolved(GATE.model_copy(update={"address": "limited", "query": "a{}"}), "globex")


def test_a_server_with_a_label_is_asked_for_the_namespaces_own_series():
    gate = GATE.model_copy(update={"address": "limited", "query": "sum(csat{})"})
    assert unresolved(gate) == 'sum(csat{namespace="acme"})'
    found = unresolved(gate.model_copy(update={"query": "sum(csat)"}))
    assert found.unresolved is Unresolved.QUERY
    assert "write csat{}" in found.said.problem


async def test_what_cannot_be_asked_is_told_also_while_nothing_is_tried(source):
    unknown = GATE.model_copy(update={"address": "mian"})
    assert source.look(unknown, asks=False)["csat"].unresolved is Unresolved.UNKNOWN
    assert source.asked == []


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"main": {}}',
        '{"main": {"url": "file:///etc/passwd", "namespaces": ["*"]}}',
        '{"main": {"url": "http://user:secret@host", "namespaces": ["*"]}}',
        '{"main": {"url": "http://host", "namespaces": ["*"], "namespace_label": "a b"}}',
    ],
)
def test_what_the_chart_would_not_write_ends_the_operator_with_a_sentence(text):
    with pytest.raises(ServersUnreadable, match="PENSTOCK_PROMETHEUS cannot be read") as told:
        servers.read(text)
    assert "secret" not in str(told.value)


def test_without_a_word_there_is_no_server():
    assert servers.read("") == {}
