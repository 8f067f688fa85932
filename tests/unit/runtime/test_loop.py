"""The loop with a scripted model: what is kept, what is paid, when it is put down."""

import asyncio
import cProfile
import dataclasses

import pytest

from penstock import errors
from penstock.money.prices import Tokens
from penstock.task import OutcomeReason, TaskStatus, Usage
from penstock_runtime import redaction
from penstock_runtime.agent import endings, loop, step
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.models.model import Failure, ModelFailed, Reply
from penstock_runtime.agent.tools.toolset import ToolResult
from penstock_store.records import Directive
from tests.unit.runtime.fakes import Notebook, Tools

A1 = {"order": "A1"}
FEW = Tokens(10, 5)


async def test_a_tool_call_is_answered_and_the_answer_ends_the_task(agent, run):
    tools = Tools()
    replies = [scripted.tool_use(("c1", "look_up", A1)), scripted.text("It shipped.")]
    notebook = Notebook()
    ended = await loop.run_task(agent(replies, tools), run, notebook)
    assert ended.outcome.output == "It shipped."
    assert [name for name, *_ in tools.calls] == ["look_up"]
    assert [kind for kind, _ in notebook.events] == ["model", "tool", "model"]
    assert ended.usage == Usage(2, 1, 20, 10, 70, ended.usage.wall_ms)


async def test_events_say_what_each_call_cost_and_what_its_step_took(agent, run):
    notebook = Notebook()
    cut = ModelFailed(Failure.INCOMPLETE, "cut", tokens=Tokens(10, 2))
    warm = scripted.text("x", tokens=Tokens(10, 5, cache_read=8))
    ended = await loop.run_task(agent([cut, warm]), run, notebook)
    ((_, told),) = notebook.events
    assert (told["costUSD"], told["stepCostUSD"]) == ("0.000035", "0.000055")
    assert (told["inputTokens"], told["cachedInputTokens"], told["attempts"]) == (10, 8, 2)
    assert ended.usage.cached_input_tokens == 8


async def test_all_calls_of_a_turn_are_answered_in_one_message_in_order(agent, run):
    calls = [("c1", "look_up", A1), ("c2", "unknown", {}), ("c3", "look_up", {"order": 7})]
    ended = await loop.run_task(
        agent([scripted.tool_use(*calls), scripted.text("x")]), run, Notebook()
    )
    results = ended.transcript.messages[2]["content"]
    assert [block["tool_use_id"] for block in results] == ["c1", "c2", "c3"]
    assert [block.get("is_error", False) for block in results] == [False, True, True]


def test_where_nobody_was_asked_the_words_say_so():
    failure = ModelFailed(Failure.BREAKER_OPEN, "sonnet was not asked: 5 calls got no answer")
    told = endings.model_failed(failure, 0).message
    assert told == "no model call was made: sonnet was not asked: 5 calls got no answer"
    assert endings.model_failed(failure, 1).message.startswith("the model call failed: ")


async def test_failed_attempts_are_paid_though_the_task_fails(agent, run):
    failed = ModelFailed(Failure.INCOMPLETE, "cut", tokens=Tokens(10, 2))
    ended = await loop.run_task(agent([failed] * 3), run, Notebook())
    assert ended.outcome.reason == OutcomeReason.MODEL_ERROR
    assert "3 attempts" in ended.outcome.message
    assert ended.usage.cost_micro_usd == 60


async def test_the_intent_of_an_irreversible_call_is_kept_before_it_is_made(agent, run):
    notebook = Notebook()
    tools = Tools()

    async def look(request):
        await request.before_sending()
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


@pytest.mark.parametrize(
    ("doubt", "reason", "left_out"),
    [
        ("", OutcomeReason.TOOL_ERROR, False),
        ("between 10:00:01 and 10:00:02 UTC", OutcomeReason.PERSON, True),
    ],
)
async def test_a_call_whose_worker_was_lost_is_not_made_again_and_what_redis_lost_after_it_is_told(
    agent, run, doubt, reason, left_out
):
    async def lost(request):
        await request.before_sending()
        raise ConnectionAbortedError

    notebook, tools = Notebook(), Tools()
    tools.call = lost
    with pytest.raises(ConnectionAbortedError):
        await loop.run_task(
            agent([scripted.tool_use(("c1", "cancel", A1), ("c2", "cancel", A1))], tools),
            run,
            notebook,
        )
    again = dataclasses.replace(notebook.saved[-1], doubt=doubt)
    tools = Tools()
    ended = await loop.run_task(agent([], tools), again, Notebook())
    assert tools.calls == []
    assert (ended.outcome.status, ended.outcome.reason) == (TaskStatus.ESCALATED, reason)
    assert ended.outcome.left_out is left_out
    assert "the worker was lost meanwhile" in ended.outcome.message
    assert ("ask the services of its other calls too" in ended.outcome.message) is bool(doubt)
    assert doubt in ended.outcome.message


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


async def test_every_call_the_model_makes_counts_also_those_that_are_not_carried_out(agent, run):
    wrong = [scripted.tool_use((f"c{n}", "look_up", {"order": f"no {n}"})) for n in range(9)]
    ended = await loop.run_task(agent(wrong, toolCalls=5), run, Notebook())
    assert ended.outcome.reason == OutcomeReason.LIMIT_TOOL_CALLS
    assert ended.usage.tool_calls == 5


async def test_wrong_calls_of_one_reply_are_answered_at_once(agent, run):
    wrong = scripted.tool_use(*((f"c{n}", "no_tool", {"n": n}) for n in range(30)))
    right = scripted.tool_use(("d", "look_up", A1), ("e", "no_tool", {}), ("f", "look_up", A1))
    notebook, tools = Notebook(), Tools()
    replies = [wrong, right, scripted.text("done")]
    ended = await loop.run_task(agent(replies, tools, toolCalls=40), run, notebook)
    assert ended.outcome.status == TaskStatus.SUCCEEDED
    assert ended.usage.tool_calls == 33
    assert len(tools.calls) == 2
    assert len(notebook.saved) == 1 + 1 + 1 + 3 + 1


async def test_work_on_wrong_calls_grows_with_their_number_and_not_with_its_square(agent, run):
    async def steps(count):
        """How many functions are called: a count does not depend on what else the machine does."""
        wrong = scripted.tool_use(*((f"c{n}", "look_up", {"order": n}) for n in range(count)))
        replies = [wrong, scripted.text("done")]
        profile = cProfile.Profile()
        with profile:
            await loop.run_task(agent(replies, toolCalls=900), run, Notebook())
        return sum(entry.callcount for entry in profile.getstats())

    await steps(1)
    few, many = await steps(10), await steps(200)
    assert many < 40 * few, f"{few} and {many} calls of functions"


async def test_a_reply_of_more_calls_than_any_task_may_make_ends_it(agent, run):
    most = step.MAX_CALLS_PER_REPLY
    calls = scripted.tool_use(*((f"c{n}", "look_up", {"order": f"A{n}"}) for n in range(most + 1)))
    tools = Tools()
    ended = await loop.run_task(agent([calls], tools, toolCalls=1000), run, Notebook())
    assert ended.outcome.reason == OutcomeReason.MODEL_ERROR
    assert str(most) in ended.outcome.message
    assert tools.calls == []


async def test_a_call_that_replicas_do_not_know_of_is_not_made_and_the_model_is_told(agent, run):
    class Alone(Notebook):
        async def save(self, run, events, *, replicated=False, next_call=None):
            await super().save(run, events)
            if replicated:
                raise errors.NotReplicated

    tools, notebook = Tools(), Alone()
    replies = [scripted.tool_use(("c1", "cancel", A1)), scripted.text("sorry")]
    ended = await loop.run_task(agent(replies, tools), run, notebook)
    assert ended.outcome.output == "sorry"
    assert tools.calls == []
    assert "was not called" in ended.transcript.messages[-2]["content"][0]["content"]
    assert notebook.saved[-1].transcript.intents == ()


async def test_in_a_doubtful_task_a_person_decides_on_an_irreversible_call(agent, run):
    run = dataclasses.replace(run, doubt="between 10:00:01 and 10:00:02 Redis lost writes")
    tools = Tools()
    replies = [
        scripted.tool_use(("c1", "look_up", A1)),
        scripted.tool_use(("c2", "look_up", {"order": "B2"}), ("c3", "cancel", A1)),
    ]
    ended = await loop.run_task(agent(replies, tools), run, Notebook())
    assert (ended.outcome.status, ended.outcome.reason, ended.outcome.left_out) == (
        TaskStatus.ESCALATED,
        OutcomeReason.PERSON,
        True,
    )
    for word in ("10:00:01", "cancel", '{"order": "A1"}', "task.2.2"):
        assert word in ended.outcome.message
    assert len(tools.calls) == 1


async def test_idempotency_keys_do_not_know_the_models_ids(agent, run):
    keys = []
    for identifier in ("toolu_1", "toolu_2"):
        tools = Tools()
        replies = [
            scripted.tool_use((identifier, "look_up", A1), ("x", "cancel", A1)),
            scripted.text("x"),
        ]
        await loop.run_task(agent(replies, tools), run, Notebook())
        keys.append([headers["Idempotency-Key"] for *_, headers in tools.calls])
    assert keys == [["task.1.1", "task.1.2"]] * 2


async def test_an_id_that_repeats_over_replies_harms_nothing(agent, run):
    tools, notebook = Tools(), Notebook()
    replies = [scripted.tool_use(("call_0", "cancel", {"order": f"A{n}"})) for n in range(3)]
    ended = await loop.run_task(agent([*replies, scripted.text("x")], tools), run, notebook)
    assert ended.outcome.status == TaskStatus.SUCCEEDED, ended.outcome
    assert len(tools.calls) == 3
    same = [scripted.tool_use(("call_0", "look_up", A1)) for _ in range(3)]
    ended = await loop.run_task(agent(same), run, Notebook())
    assert ended.outcome.reason == OutcomeReason.LIMIT_IDENTICAL_ACTIONS


async def test_nothing_that_leaves_a_task_holds_a_known_credential(agent, run):
    redaction.learn("s3cr3t-0f-the-t00l")
    tools = Tools(ToolResult("your key is s3cr3t-0f-the-t00l", ok=True))
    replies = [
        scripted.tool_use(("c1", "look_up", A1)),
        scripted.text("It is s3cr3t-0f-the-t00l."),
    ]
    notebook = Notebook()
    ended = await loop.run_task(agent(replies, tools), run, notebook)
    assert "s3cr3t" not in ended.outcome.output
    assert "s3cr3t" not in str(notebook.events)
    assert "s3cr3t" not in str(notebook.saved[1].transcript.messages)
    unknown = Tools(ToolResult("s3cr3t-0f-the-t00l broke", ok=False, known=False))
    cancels = [scripted.tool_use(("c1", "cancel", A1))]
    ended = await loop.run_task(agent(cancels, unknown), run, Notebook())
    assert "s3cr3t" not in ended.outcome.message


def saying(*blocks, stop="tool_use"):
    return Reply(({"type": "thinking", "thinking": "Hm.", "signature": "s"}, *blocks), stop, FEW)


KEY = "sk-the-m0dels-0wn"
CALL = {"type": "tool_use", "id": "c1", "name": "look_up", "input": A1}
PLAIN = {"type": "text", "text": "I look."}


@pytest.mark.parametrize(
    "blocks",
    [
        [{"type": "text", "text": f"Your key is {KEY}."}, CALL],
        [{**CALL, "input": {"order": KEY}}],
        [{**CALL, "input": {KEY: ["x", {"deep": KEY}]}}],
        [{**CALL, "id": KEY}],
        [CALL, {**CALL, "id": "c2", "name": KEY}],
        [{"type": "thinking", "thinking": f"It is {KEY}", "signature": "s"}, PLAIN, CALL],
        [{"type": "redacted_thinking", "data": KEY}, CALL],
        [{"type": "server_tool_use", "id": "s", "name": "search", "input": {"q": KEY}}, CALL],
    ],
    ids=["text", "input", "deep input", "id", "name", "thought", "hidden thought", "other"],
)
async def test_a_key_that_a_model_repeats_is_neither_kept_nor_sent(agent, run, blocks):
    redaction.learn(KEY)
    tools, notebook = Tools(), Notebook()
    model = scripted.ScriptedModel([saying(*blocks), scripted.text("Done.")])
    ended = await loop.run_task(agent(model, tools), run, notebook)
    assert ended.outcome.status == TaskStatus.SUCCEEDED
    for kept in (notebook.saved, notebook.events, ended, tools.calls, model.requests[1:]):
        assert KEY not in str(kept)
    assert "thinking" not in str(model.requests[1].messages)  # it is signed over the rest


async def test_a_reply_without_a_key_goes_back_as_it_came(agent, run):
    redaction.learn(KEY)
    reply = saying(PLAIN, CALL)
    model = scripted.ScriptedModel([reply, scripted.text("Done.")])
    await loop.run_task(agent(model), run, Notebook())
    assert tuple(model.requests[1].messages[1]["content"]) == reply.content


async def test_a_prompt_that_the_vendor_finds_too_long_is_the_limit_of_the_task(agent, run):
    failed = ModelFailed(Failure.TOO_LONG, "400: prompt is too long")
    ended = await loop.run_task(agent([failed]), run, Notebook())
    assert (ended.outcome.status, ended.outcome.reason) == (
        TaskStatus.LIMIT_EXCEEDED,
        OutcomeReason.LIMIT_INPUT_TOKENS,
    )


@pytest.mark.parametrize(
    ("model_tokens", "left", "words"), [(1000, 8000, "model.maxTokens"), (1000, 40, "outputTokens")]
)
async def test_a_cut_reply_says_what_was_asked_for_and_why(agent, run, model_tokens, left, words):
    cut = scripted.text("so far", "max_tokens")
    ended = await loop.run_task(agent([cut], outputTokens=left), run, Notebook())
    assert str(min(model_tokens, left)) in ended.outcome.message
    assert words in ended.outcome.message
    assert ("maxTokens" in ended.outcome.message) != ("outputTokens" in ended.outcome.message)
