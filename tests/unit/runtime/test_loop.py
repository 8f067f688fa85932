"""The loop with a scripted model: what is kept, what is paid, when it is put down."""

import asyncio

import pytest

from penstock.names import AgentKey
from penstock.task import OutcomeReason, TaskStatus, Usage
from penstock_runtime import metrics
from penstock_runtime.agent import loop, retry, scripted, toolbox
from penstock_runtime.agent.http import ToolResult
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.model import Failure, ModelFailed, Tokens
from penstock_store.records import Directive

A1 = {"order": "A1"}


class Tools:
    """Answers every call alike and keeps what was asked."""

    def __init__(self, result=None):
        self.calls = []
        self.result = result or ToolResult("shipped", ok=True)

    async def call(self, tool, given, headers, seconds, before_sending=None):
        if before_sending is not None:
            await before_sending()
        self.calls.append((tool.name, given, headers))
        return self.result


class Notebook:
    """Keeps what is saved; says a directive at the save of that number, and from then on."""

    task_id = "task"
    trace_id = "0" * 32

    def __init__(self, stop_at=None, directive=Directive.GIVE_BACK):
        self.saved = []
        self.events = []
        self.stop_at = stop_at
        self.directive = directive
        self.milliseconds = 0

    def wall_ms(self):
        self.milliseconds += 1
        return self.milliseconds

    async def save(self, run, events, *, replicated=False):
        self.saved.append(run)
        self.events += events
        if self.stop_at is not None and len(self.saved) >= self.stop_at:
            raise Interrupted(self.directive)

    async def interruptible(self, call):
        return await call


@pytest.fixture
def agent(template):
    def make(replies, tools=None, **limits):
        declared = template(**limits)
        return loop.Agent(
            template=declared,
            model=scripted.ScriptedModel(replies),
            price=lambda tokens: tokens.input + 5 * tokens.output,
            toolbox=toolbox.build(declared.tools),
            tools=tools or Tools(),
            retries=retry.Policy(2, 0.0),
            meter=metrics.Meter(AgentKey("test", "agent"), "agent-00000000", "model"),
        )

    return make


async def test_a_tool_call_is_answered_and_the_answer_ends_the_task(agent, run):
    tools = Tools()
    replies = [scripted.tool_use(("c1", "look_up", A1)), scripted.text("It shipped.")]
    notebook = Notebook()
    ended = await loop.run_task(agent(replies, tools), run, notebook)
    assert ended.outcome.output == "It shipped."
    assert [name for name, *_ in tools.calls] == ["look_up"]
    assert [kind for kind, _ in notebook.events] == ["model", "tool", "model"]
    assert ended.usage == Usage(2, 1, 20, 10, 70, ended.usage.wall_ms)


async def test_all_calls_of_a_turn_are_answered_in_one_message_in_order(agent, run):
    calls = [("c1", "look_up", A1), ("c2", "unknown", {}), ("c3", "look_up", {"order": 7})]
    ended = await loop.run_task(
        agent([scripted.tool_use(*calls), scripted.text("x")]), run, Notebook()
    )
    results = ended.transcript.messages[2]["content"]
    assert [block["tool_use_id"] for block in results] == ["c1", "c2", "c3"]
    assert [block.get("is_error", False) for block in results] == [False, True, True]


async def test_failed_attempts_are_paid_though_the_task_fails(agent, run):
    failed = ModelFailed(Failure.INCOMPLETE, "cut", tokens=Tokens(10, 2))
    ended = await loop.run_task(agent([failed] * 3), run, Notebook())
    assert ended.outcome.reason == OutcomeReason.MODEL_ERROR
    assert "3 attempts" in ended.outcome.message
    assert ended.usage.cost_micro_usd == 60


async def test_the_intent_of_an_irreversible_call_is_kept_before_it_is_made(agent, run):
    notebook = Notebook()
    tools = Tools()

    async def look(*arguments):
        await arguments[-1]()
        tools.begun = notebook.saved[-1].transcript.begun
        return ToolResult("done", ok=True)

    tools.call = look
    replies = [scripted.tool_use(("c1", "cancel", A1)), scripted.text("x")]
    await loop.run_task(agent(replies, tools), run, notebook)
    assert tools.begun == {(1, 1)}
    assert notebook.saved[-1].transcript.begun == set()  # its result is held by now


@pytest.mark.parametrize("directive", [Directive.GIVE_BACK, Directive.CANCEL])
async def test_an_irreversible_call_that_was_stopped_in_time_is_not_taken_for_made(
    agent, run, directive
):
    tools = Tools()
    notebook = Notebook(stop_at=2, directive=directive)
    with pytest.raises(Interrupted):
        await loop.run_task(agent([scripted.tool_use(("c1", "cancel", A1))], tools), run, notebook)
    assert tools.calls == []
    assert [state.transcript.begun for state in notebook.saved] == [set(), {(1, 1)}, set()]


async def test_an_irreversible_call_without_a_known_result_escalates(agent, run):
    tools = Tools(ToolResult("timed out", ok=False, known=False))
    ended = await loop.run_task(
        agent([scripted.tool_use(("c1", "cancel", A1))], tools), run, Notebook()
    )
    assert (ended.outcome.status, ended.outcome.reason) == (
        TaskStatus.ESCALATED,
        OutcomeReason.TOOL_ERROR,
    )


async def test_what_was_paid_is_kept_when_a_retried_call_is_put_down(agent, run):
    class Impatient(Notebook):
        async def interruptible(self, call):
            task = asyncio.ensure_future(call)
            done, _ = await asyncio.wait([task], timeout=0.05)
            assert not done
            task.cancel()
            raise Interrupted(Directive.GIVE_BACK)

    cut = ModelFailed(Failure.INCOMPLETE, "cut", retry_after_seconds=60, tokens=Tokens(10, 2))
    notebook = Impatient()
    with pytest.raises(Interrupted):
        await loop.run_task(agent([cut], wallSeconds=3600), run, notebook)
    assert notebook.saved[-1].usage.cost_micro_usd == 20


async def test_a_task_that_is_put_down_goes_on_where_it_stood(agent, run):
    tools = Tools()
    replies = [scripted.tool_use(("c1", "look_up", A1)), scripted.text("It shipped.")]
    with pytest.raises(Interrupted):
        await loop.run_task(agent(replies, tools), run, notebook := Notebook(stop_at=1))
    ended = await loop.run_task(agent(replies[1:], tools), notebook.saved[-1], Notebook())
    assert ended.outcome.output == "It shipped."
    assert ended.usage.model_calls == 2
    assert len(tools.calls) == 1


async def test_a_repeated_call_has_the_same_idempotency_key(agent, run):
    tools = Tools()
    asked = [scripted.tool_use(("c1", "look_up", A1))]
    with pytest.raises(Interrupted):
        await loop.run_task(agent(asked, tools), run, notebook := Notebook(stop_at=1))
    for _ in range(2):
        with pytest.raises(Interrupted):
            await loop.run_task(agent([], tools), notebook.saved[-1], Notebook(stop_at=1))
    keys = {headers["Idempotency-Key"] for *_, headers in tools.calls}
    assert len(tools.calls) == 2
    assert len(keys) == 1
