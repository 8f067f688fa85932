"""A pass asks for the gates of its AgentRollout, decides on what is known of them, and waits for no answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from penstock.analysis.gates import Said
from penstock.api import condition
from penstock.api.reasons import ConditionType
from penstock_operator.cluster import reading
from penstock_operator.cluster.kinds import AGENT, ROLLOUT
from penstock_operator.external.gates import Gates
from penstock_operator.external.servers import Server
from tests.unit.operator import worlds
from tests.unit.operator.calm import KEY, Calm
from tests.unit.operator.test_never_again import rollout

GATE = {"name": "csat", "address": "main", "query": "csat", "min": "4"}
STEPS = [{"percent": percent, "holdSeconds": 300, "minTasks": 1} for percent in (5, 50)]


class Passes:
    """Passes over an agent whose AgentRollout has a gate; the server answers as it is told."""

    def __init__(self, **gate):
        self.calm = Calm()
        self.asked = []
        self.answer = asyncio.Future()
        declared = rollout(strategy={"steps": STEPS}, analysis={"external": [{**GATE, **gate}]})
        self.reconciler = self.calm.reconciler(declared)
        server = Server(url="http://prometheus:9090", namespaces=("acme",))
        self.gates = Gates({"main": server}, self.calm.boot, self.ask)
        self.reconciler.sources = replace(self.reconciler.sources, gates=self.gates)

    async def ask(self, _connections, server, query):
        self.asked.append((server.url, query))
        return await self.answer

    async def passes(self, count=4):
        for _ in range(count):
            self.calm.boot.seconds += 11  # past any rest of a canary
            await self.reconciler.reconcile(KEY)
            await asyncio.sleep(0)

    async def try_another(self):
        await self.passes()
        cache = self.reconciler.sources.cache
        edited = {**cache.of_agent(AGENT, KEY)[0], "spec": worlds.agent("Be brief.")["spec"]}
        cache.observe(AGENT, self.calm.written(edited))
        await self.passes()

    @property
    def status(self):
        (found,) = self.reconciler.sources.cache.of_agent(ROLLOUT, KEY)
        return reading.rollout_status(found).value


@pytest.fixture
async def passes():
    made = Passes()
    yield made
    await made.gates.aclose()


async def test_nobody_is_asked_until_a_canary_is_tried(passes):
    await passes.passes()
    assert passes.asked == []


async def test_passes_go_on_while_the_server_hangs_and_one_question_is_in_flight(passes):
    await passes.try_another()
    await passes.passes(5)
    assert passes.asked == [("http://prometheus:9090", "csat")]
    assert passes.status.analysis.external == ()
    await passes.gates.aclose()


async def test_what_it_answers_is_in_the_status_with_the_next_numbers(passes):
    await passes.try_another()
    passes.answer.set_result(Said(Decimal("3.8")))
    await asyncio.sleep(0)
    await passes.passes(2)
    (report,) = passes.status.analysis.external
    assert (report.name, report.value, report.verdict) == ("csat", "3.8", "Outside")


async def test_a_name_that_the_chart_does_not_have_is_told_in_conditions():
    passes = Passes(address="mian")
    await passes.try_another()
    for kind, status in (
        (ConditionType.REFERENCES_RESOLVED, "False"),
        (ConditionType.STALLED, "True"),
    ):
        found = condition.find(passes.status.conditions, kind)
        assert (found.status, found.reason) == (status, "SourceUnknown")
    assert passes.asked == []


async def test_an_agent_that_is_gone_is_asked_for_no_more(passes):
    await passes.try_another()
    cache = passes.reconciler.sources.cache
    cache.forget(AGENT, cache.of_agent(AGENT, KEY)[0])
    await passes.passes(1)
    assert passes.gates._kept == {}
    await asyncio.sleep(0)
