"""What is written down of a task that goes on: its state after each step, and before a call what must be known of it."""

from collections.abc import Sequence
from dataclasses import replace

from penstock.api.tool import Effect
from penstock.money.ledger import Quote
from penstock_runtime.agent import effects, step
from penstock_runtime.agent.equipment import Agent
from penstock_runtime.agent.keeper import Event, Interrupted, Keeper
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.transcript import ToolUse


async def save(
    keeper: Keeper,
    run: Run,
    events: Sequence[Event] = (),
    *,
    replicated: bool = False,
    next_call: Quote | None = None,
) -> None:
    """Keep the state with what has happened, without credentials. See ``Keeper.save``."""
    told = effects.marked(events, run.compensation, run.earlier)
    await keeper.save(run, told, replicated=replicated, next_call=next_call)


async def before(agent: Agent, run: Run, call: ToolUse, keeper: Keeper) -> None:
    """What is written before a call is sent: that it is about to be made, where it changes something.

    Of one that an earlier approval lets through the state is written in any case: that hears whether the
    approval was taken back meanwhile.

    Raises:
        Interrupted: it must not be sent.
    """
    if agent.toolbox.tools[call.name].effect is not Effect.READ_ONLY:
        await _intend(agent, run, call, keeper)
    elif run.earlier is not None and run.earlier[0] == call.place:
        await save(keeper, run)


async def _intend(agent: Agent, run: Run, call: ToolUse, keeper: Keeper) -> None:
    """Write down that a call is about to be made; whoever finds that of an irreversible one asks a person."""
    tool, once = agent.toolbox.tools[call.name], step.must_not_repeat(agent.toolbox, call)
    intended = replace(run, transcript=run.transcript.with_intent(call)) if once else run
    try:
        approved = run.decision is not None and run.decision.place == call.place
        event = effects.intended(tool, call, approved=approved)
        await save(keeper, intended, [event], replicated=once)
    except Interrupted:
        # It was not made; raises again, as the order still stands.
        await save(keeper, run, [effects.not_made(tool, call)])
        raise
