"""Calls of one reply that change nothing run at the same time, and leave what they would have left one by one."""

import asyncio
import itertools

import pytest

from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime.agent import loop, step
from penstock_runtime.agent.boundary import caught
from penstock_runtime.agent.context import Live
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.tools.toolset import ToolResult
from tests.unit.runtime.fakes import Notebook, Tools


class Held(Tools):
    """Holds each call until it is let go, by its order; keeps which are under way and which were cut."""

    def __init__(self):
        super().__init__()
        self.gates = {}
        self.begun = []
        self.cut = []
        self.news = asyncio.Event()

    @property
    def under_way(self):
        return sorted(self.gates)

    async def call(self, request):
        order = request.input["order"]
        answer = self.gates[order] = asyncio.get_running_loop().create_future()
        self.begun.append((request.tool.name, order))
        self.calls.append((request.tool.name, request.input, request.headers))
        self.news.set()
        try:
            return await answer
        except asyncio.CancelledError:
            self.cut.append(order)
            raise
        finally:
            del self.gates[order]

    async def until(self, *orders):
        """Wait until exactly these are under way."""
        async with asyncio.timeout(10):
            while self.under_way != sorted(orders):
                self.news.clear()
                await self.news.wait()

    def answer(self, order, **how):
        self.gates[order].set_result(ToolResult(f"of {order}", **{"ok": True, **how}))


def reads(*orders):
    return [(f"c{order}", "look_up", {"order": order}) for order in orders]


def replies(*calls):
    return [scripted.tool_use(*calls), scripted.text("Done.")]


def results(ended):
    """What the model was told, in the order in which it is told."""
    blocks = ended.transcript.messages[2]["content"]
    return [(block["content"], block.get("is_error", False)) for block in blocks]


async def test_results_are_in_the_order_of_the_calls_whichever_comes_first(agent, run):
    tools, notebook = Held(), Notebook()
    task = asyncio.create_task(
        loop.run_task(agent(replies(*reads("A1", "A2", "A3")), tools), run, notebook)
    )
    await tools.until("A1", "A2", "A3")
    for order in ("A3", "A2", "A1"):
        tools.answer(order)
    ended = await task
    assert results(ended) == [("of A1", False), ("of A2", False), ("of A3", False)]
    assert ended.usage.tool_calls == 3
    assert [kind for kind, _ in notebook.events] == ["model", "tool", "tool", "tool", "model"]
    standing = [len(state.transcript.results) for state in notebook.saved]
    assert standing == [0, 1, 2, 0, 0], "each result is kept by itself"
    keys = [headers["Idempotency-Key"] for *_, headers in tools.calls]
    assert keys == ["task.1.1", "task.1.2", "task.1.3"]


async def test_one_that_fails_is_told_to_the_model_and_the_others_count(agent, run):
    tools = Held()
    task = asyncio.create_task(
        loop.run_task(agent(replies(*reads("A1", "A2")), tools), run, Notebook())
    )
    await tools.until("A1", "A2")
    tools.answer("A1", ok=False, known=False)
    tools.answer("A2")
    ended = await task
    assert ended.outcome.status == TaskStatus.SUCCEEDED
    assert results(ended) == [("of A1", True), ("of A2", False)]


async def test_no_more_run_at_once_than_the_bound_says(agent, run):
    orders = [f"A{number}" for number in range(10, 10 + step.CALLS_AT_ONCE + 3)]
    first, rest = orders[: step.CALLS_AT_ONCE], orders[step.CALLS_AT_ONCE :]
    tools = Held()
    task = asyncio.create_task(
        loop.run_task(agent(replies(*reads(*orders)), tools, toolCalls=40), run, Notebook())
    )
    for batch in (first, rest):
        await tools.until(*batch)
        for order in batch:
            tools.answer(order)
    ended = await task
    assert [text for text, _ in results(ended)] == [f"of {order}" for order in orders]


async def test_a_call_that_changes_something_runs_alone_between_those_that_do_not(agent, run):
    calls = [*reads("A1", "A2"), ("c", "cancel", {"order": "B1"}), *reads("A3", "A4")]
    tools = Held()
    task = asyncio.create_task(loop.run_task(agent(replies(*calls), tools), run, Notebook()))
    for batch in (("A1", "A2"), ("B1",), ("A3", "A4")):
        await tools.until(*batch)
        for order in batch:
            tools.answer(order)
    ended = await task
    assert ended.outcome.status == TaskStatus.SUCCEEDED
    assert [name for name, _ in tools.begun] == ["look_up"] * 2 + ["cancel"] + ["look_up"] * 2


async def test_a_task_that_is_put_down_keeps_what_it_has_and_cuts_the_rest(agent, run):
    tools, notebook = Held(), Notebook(stop_at=2)
    made = agent(replies(*reads("A1", "A2", "A3")), tools)
    task = asyncio.create_task(loop.run_task(made, run, notebook))
    await tools.until("A1", "A2", "A3")
    tools.answer("A1")
    with pytest.raises(Interrupted):
        await task
    assert tools.cut == ["A2", "A3"]
    assert tools.under_way == []
    kept = notebook.saved[-1]
    assert [call.position for call in kept.transcript.pending] == [2, 3]
    later = Tools()
    ended = await loop.run_task(agent([scripted.text("Done.")], later), kept, Notebook())
    assert ended.outcome.status == TaskStatus.SUCCEEDED
    assert ended.usage.tool_calls == 3
    keys = [headers["Idempotency-Key"] for *_, headers in later.calls]
    assert keys == ["task.1.2", "task.1.3"]


async def test_a_task_that_is_cut_leaves_no_call_under_way(agent, run):
    tools = Held()
    task = asyncio.create_task(
        loop.run_task(agent(replies(*reads("A1", "A2")), tools), run, Notebook())
    )
    await tools.until("A1", "A2")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(tools.cut) == ["A1", "A2"]
    assert tools.under_way == []


class Breaking(Tools):
    """Breaks at the first order, and never answers another."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.cut = []

    async def call(self, request):
        if request.input["order"] == "A1":
            raise self.error
        try:
            await asyncio.Event().wait()
        finally:
            self.cut.append(request.input["order"])


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
async def test_what_breaks_in_one_is_its_tasks_and_not_the_processes(agent, run, error):
    tools = Breaking(error)
    broken = await caught(loop.run_task(agent(replies(*reads("A1", "A2")), tools), run, Notebook()))
    assert broken.error is error
    assert tools.cut == ["A2"]


async def test_no_call_gets_more_time_than_the_task_has_and_none_is_begun_after_it(agent, run):
    notebook = Notebook()

    class Slow(Tools):
        seconds = []

        async def call(self, request):
            self.seconds.append(request.timeout_seconds)
            notebook.milliseconds = 3000
            return await super().call(request)

    orders = [f"A{number}" for number in range(10, 10 + step.CALLS_AT_ONCE + 3)]
    tools = Slow()
    made = agent(replies(*reads(*orders)), tools, toolCalls=40, wallSeconds=3)
    ended = await loop.run_task(made, run, notebook)
    assert ended.outcome.reason == OutcomeReason.LIMIT_WALL_SECONDS
    assert len(tools.calls) == step.CALLS_AT_ONCE
    assert max(tools.seconds) <= 3
    assert len(notebook.saved[-1].transcript.results) == step.CALLS_AT_ONCE, "they are kept"


class Repeating(Live):
    """A context that gives each run the same time, ids and chance."""

    def __init__(self):
        self.numbers = itertools.count(1)

    def seconds(self):
        return float(next(self.numbers))

    def identifier(self, characters):
        return f"{next(self.numbers):0{characters}x}"


async def test_a_task_with_the_context_of_its_first_run_does_the_same_again(agent, run):
    def told(notebook, tools):
        return [state.transcript.encode() for state in notebook.saved], tools.calls

    seen = []
    for _ in range(2):
        notebook, tools = Notebook(), Tools()
        notebook.context = Repeating()
        made = agent(replies(*reads("A1", "A2"), ("c", "cancel", {"order": "B1"})), tools)
        await loop.run_task(made, run, notebook)
        seen.append(told(notebook, tools))
    assert seen[0] == seen[1]
    spans = [headers["traceparent"].split("-")[2] for *_, headers in seen[0][1]]
    assert len(set(spans)) == 3
