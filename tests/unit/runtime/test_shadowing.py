"""A copy of a task: what changes nothing is called, all else is answered from stable's record or ends it."""

from dataclasses import replace

import pytest

from penstock import shadow
from penstock.api.oversight import HANDOVER, Oversight
from penstock.api.restrictions import Restrictions
from penstock.api.tool import Tool
from penstock.shadow import Intent, Verdict, Way
from penstock.task import TaskStatus
from penstock_runtime.agent import loop, shadowing
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.shadowing import Recording
from penstock_runtime.agent.tools import oversight, toolbox
from penstock_runtime.agent.tools.disarmed import Disarmed, Intended
from penstock_runtime.agent.tools.toolset import ToolResult
from penstock_runtime.agent.transcript import Transcript
from tests.unit.runtime.conftest import tool
from tests.unit.runtime.fakes import Notebook, Tools

A1, A2 = {"order": "A1"}, {"order": "A2"}
REFUND = Intent("refund", '{"order":"A1"}')
CHANGING = ("cancel", "refund")


class Copybook(Notebook):
    """Keeps the newest state; a copy asks nobody."""

    last = None

    async def save(self, run, events, **more):
        self.last = run
        await super().save(run, events, **more)

    async def park(self, run, asked):
        raise Intended(Intent(asked.tool, "parked"))


def turns(*calls, last="done"):
    """Replies that ask for these calls, one each, and then answer."""
    asked = [
        scripted.tool_use((f"c{number}", name, given)) for number, (name, given) in enumerate(calls)
    ]
    return [*asked, scripted.text(last)]


def unasked(agent):
    """The agent as it is where a person has agreed to everything."""
    return replace(agent, toolbox=replace(agent.toolbox, asking=oversight.UNASKED))


async def stable_ran(agent, run, *calls, tools=None):
    """The recording of a task of stable, and how it went."""
    ended = await loop.run_task(unasked(agent(turns(*calls), tools)), run, Notebook())
    recording = Recording.of(ended.transcript, CHANGING)
    return recording, Way(recording.intents(CHANGING), ended.outcome.status)


async def copied(agent, recording, way, *calls, tools=None):
    keeper = Copybook()
    begun = shadowing.beginning(recording, "Where is A1?")
    made = agent(turns(*calls), tools)
    return await shadowing.run_copy(made, recording, way, begun, keeper), keeper


async def test_the_same_calls_are_answered_from_the_record_and_nothing_is_called(agent, run):
    recording, way = await stable_ran(agent, run, ("refund", A1), tools=Tools(ToolResult("paid", ok=True)))  # fmt: skip
    tools = Tools()
    ended, keeper = await copied(agent, recording, way, ("refund", A1), tools=tools)
    assert way == Way((REFUND,), TaskStatus.SUCCEEDED)
    assert (ended.verdict, ended.way, tools.calls) == (Verdict.AGREES, way, [])
    assert "paid" in keeper.last.transcript.encode().decode()
    assert not keeper.last.transcript.begun


async def test_a_call_that_nobody_recorded_ends_the_copy_without_it(agent, run):
    recording, way = await stable_ran(agent, run, ("look_up", A1))
    tools = Tools()
    ended, _ = await copied(agent, recording, way, ("look_up", A1), ("refund", A1), tools=tools)
    assert [name for name, *_ in tools.calls] == ["look_up"]
    assert ended.stopped_at == REFUND
    assert ended.verdict is Verdict.OTHER_CALLS
    assert ended.way == Way((REFUND,), None)


@pytest.mark.parametrize(
    ("calls", "stopped"), [([("refund", A1)] * 2, REFUND), ([("refund", A1)], None)]
)
async def test_each_recorded_result_answers_once(agent, run, calls, stopped):
    recording, way = await stable_ran(agent, run, ("refund", A1))
    ended, _ = await copied(agent, recording, way, *calls)
    assert ended.stopped_at == stopped
    assert (ended.verdict is Verdict.AGREES) == (stopped is None)


@pytest.mark.parametrize("wanted", [[("refund", A2)], [("cancel", A1)], []])
async def test_other_arguments_another_tool_and_a_call_that_is_missing_are_no_agreement(
    agent, run, wanted
):
    recording, way = await stable_ran(agent, run, ("refund", A1))
    tools = Tools()
    ended, _ = await copied(agent, recording, way, *wanted, tools=tools)
    assert ended.verdict is Verdict.OTHER_CALLS
    assert not tools.calls


@pytest.mark.parametrize("approval", [None, {"mode": "None"}])
async def test_what_stable_declares_as_changing_is_not_called_though_the_canary_says_it_reads(
    agent, run, approval
):
    relaxed = [tool("refund", **({"approval": approval} if approval else {}))]
    tools = Tools()
    made = with_tools(agent(turns(("refund", A1)), tools), relaxed)
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, run, Copybook())
    assert not tools.calls
    assert (ended.stopped_at, ended.verdict) == (REFUND, Verdict.OTHER_CALLS)
    assert ended.way == Way((REFUND,), None)


@pytest.mark.parametrize(("told", "verdict"), [(A1, Verdict.AGREES), (A2, Verdict.OTHER_CALLS)])
async def test_both_ways_are_counted_by_what_either_declares_as_changing(agent, run, told, verdict):
    recording, _ = await stable_ran(agent, run, ("look_up", A1), ("cancel", told))
    recording = replace(recording, changing=("refund",))
    stricter = [tool("look_up", "Idempotent", approval={"mode": "None"}), tool("cancel", "Irreversible"), tool("refund")]  # fmt: skip
    tools = Tools()
    made = with_tools(agent(turns(("look_up", A1), ("cancel", A1)), tools), stricter)
    changing = shadowing.changing(made, recording)
    assert changing == {"look_up", "cancel", "refund"}
    stable = Way(recording.intents(changing), TaskStatus.SUCCEEDED)
    ended = await shadowing.run_copy(made, recording, stable, run, Copybook())
    assert (ended.verdict, tools.calls) == (verdict, [])


async def test_the_order_of_calls_and_what_is_read_are_no_difference(agent, run):
    recording, way = await stable_ran(agent, run, ("refund", A1), ("cancel", A2))
    ended, _ = await copied(
        agent, recording, way, ("look_up", A2), ("cancel", A2), ("refund", A1), tools=Tools()
    )
    assert ended.verdict is Verdict.AGREES


async def test_another_end_is_no_agreement(agent, run):
    recording, _ = await stable_ran(agent, run, ("look_up", A1))
    ended, _ = await copied(agent, recording, Way((), TaskStatus.FAILED), tools=Tools())
    assert ended.verdict is Verdict.OTHER_END


def with_tools(agent, declared, overseen=None):
    """The agent with other tools than its template's."""
    tools = [Tool.model_validate(each) for each in declared]
    return replace(agent, toolbox=toolbox.build(tools, overseen))


NOTHING_KNOWN = Recording((), (), CHANGING)
WELL = Way((), TaskStatus.SUCCEEDED)


async def test_what_reads_but_needs_a_person_is_not_called_either(agent, run):
    tools = Tools()
    made = agent(turns(("look_up", A1)), tools)
    made = with_tools(made, [tool("look_up", approval={"mode": "Always"})])
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, run, Copybook())
    assert ended.stopped_at == Intent("look_up", REFUND.arguments)
    assert ended.verdict is Verdict.OTHER_END
    assert not tools.calls


LOOKED = Intent("look_up", REFUND.arguments)
#: A tool that only reads, kept from copies by the canary itself, or by what the route says of stable.
KEPT = [({"shadow": "Disabled"}, ()), ({}, ("look_up",)), ({"shadow": "Auto"}, ("look_up",))]


@pytest.mark.parametrize(("own", "kept"), KEPT)
@pytest.mark.parametrize("given", [A1, A2])
async def test_what_is_kept_from_copies_hears_what_stable_heard_or_ends_the_copy(
    agent, run, own, kept, given
):
    told = ((LOOKED, ToolResult("shipped", ok=True)),)
    tools, keeper = Tools(), Copybook()
    made = with_tools(agent(turns(("look_up", given)), tools), [tool("look_up", **own)])
    recording = Recording((), told, (), kept)
    assert shadowing.changing(made, recording) == frozenset(), "it is no call to compare"
    ended = await shadowing.run_copy(made, recording, WELL, run, keeper)
    assert tools.calls == [], "it is never called"
    if given == A1:
        assert (ended.verdict, ended.stopped_at) == (Verdict.AGREES, None)
        assert "shipped" in keeper.last.transcript.encode().decode()
    else:
        assert ended.verdict is Verdict.OTHER_END
        assert ended.stopped_at == shadow.intent("look_up", A2)


async def test_calls_at_once_of_which_one_is_kept_make_the_other_alone(agent, run):
    tools = Tools()
    both = scripted.tool_use(("c1", "look_up", A1), ("c2", "search", A1))
    made = agent([both, scripted.text("done")], tools)
    made = with_tools(made, [tool("look_up", shadow="Disabled"), tool("search", shadow="Auto")])
    recording = Recording((), ((LOOKED, ToolResult("shipped", ok=True)),), ())
    ended = await shadowing.run_copy(made, recording, WELL, run, Copybook())
    assert ended.verdict is Verdict.AGREES
    assert [name for name, *_ in tools.calls] == ["search"]


async def test_a_tool_that_is_kept_from_copies_is_called_by_a_task(agent, run):
    tools = Tools()
    made = with_tools(agent(turns(("look_up", A1)), tools), [tool("look_up", shadow="Disabled")])
    await loop.run_task(made, run, Notebook())
    assert [name for name, *_ in tools.calls] == ["look_up"]


@pytest.mark.parametrize("recorded", [False, True])
async def test_who_asks_for_a_person_gets_what_that_person_said_to_stable_or_ends(
    agent, run, recorded
):
    wanted = shadow.intent(HANDOVER, {"reason": "I may not"})
    assert wanted == shadow.intent(HANDOVER, {"reason": "why ever"})
    known = ((wanted, ToolResult("go on", ok=True)),) if recorded else ()
    tools = Tools()
    made = agent(turns((HANDOVER, {"reason": "other words"})), tools)
    made = with_tools(made, [tool("look_up")], Oversight(handover=True))
    stable = Way((wanted,), TaskStatus.SUCCEEDED)
    ended = await shadowing.run_copy(made, Recording((), known, ()), stable, run, Copybook())
    assert not tools.calls, "it is no address"
    assert ended.verdict is (Verdict.AGREES if recorded else Verdict.OTHER_END)
    assert ended.stopped_at == (None if recorded else wanted)


async def test_a_tier_is_disarmed_as_the_agent_is(agent, run):
    tools = Tools()
    cheap = replace(agent(turns(("refund", A1)), tools), tier="cheap")
    made = replace(agent([], tools), tiers={"cheap": cheap})
    made = replace(made, tiers={"cheap": replace(cheap, tiers=made.tiers)})
    begun = replace(run, tier="cheap")
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, begun, Copybook())
    assert (ended.stopped_at, tools.calls) == (REFUND, [])
    harmless = shadowing.disarmed(made, NOTHING_KNOWN)
    for each in (harmless, *harmless.tiers.values(), *harmless.tiers["cheap"].tiers.values()):
        assert isinstance(each.tools, Disarmed)


async def test_what_a_restriction_wants_a_person_for_is_not_called(agent, run):
    tools, keeper = Tools(), Copybook()
    keeper.restrictions = Restrictions(require_approval=["look_up"])
    made = agent(turns(("look_up", A1)), tools)
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, run, keeper)
    assert (ended.stopped_at, tools.calls) == (Intent("look_up", "parked"), [])


async def test_several_calls_at_once_are_disarmed_too(agent, run):
    tools = Tools()
    both = scripted.tool_use(("c1", "look_up", A1), ("c2", "refund", A1))
    made = agent([both, scripted.text("done")], tools)
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, run, Copybook())
    assert ended.stopped_at == REFUND
    assert [name for name, *_ in tools.calls] == ["look_up"]


async def test_an_end_that_is_nobodys_fault_says_nothing(agent, run):
    keeper = Copybook()
    keeper.restrictions = Restrictions(deny_tools=["look_up"])
    made = agent(turns(("look_up", A1)), Tools())
    ended = await shadowing.run_copy(made, NOTHING_KNOWN, WELL, run, keeper)
    assert ended.verdict is Verdict.LEFT_OUT


async def test_the_tools_of_all_tasks_stay_open_after_a_copy(agent):
    closed = []
    harmless = shadowing.disarmed(replace(agent([]), tools=closed), NOTHING_KNOWN)
    await harmless.tools.aclose()
    assert not closed


def test_a_recording_knows_the_answers_of_a_reply_that_is_not_answered_whole():
    both = scripted.tool_use(("c1", "look_up", A1), ("c2", "refund", A1))
    asked = Transcript.start(({"role": "user", "content": "before"},), "now").with_reply(both)
    half = asked.with_result(asked.calls[0], "no such order", is_error=True)
    seen = Recording.of(Transcript.decode(half.encode()), CHANGING)
    read = shadow.intent("look_up", A1)
    assert seen.before == ({"role": "user", "content": "before"},)
    assert seen.calls == ((read, ToolResult("no such order", ok=False)), (REFUND, None))
    assert seen.intents(CHANGING) == (REFUND,)
    begun = shadowing.beginning(seen, "now").transcript
    assert [message["content"] for message in begun.messages] == ["before", "now"]
