"""The agent loop: ask the model, carry out what it wants, until the task has an outcome."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from penstock import errors, limits
from penstock.api.restrictions import Restrictions
from penstock.money import bound
from penstock.money.ledger import Quote, Refused, Scope
from penstock.task import Usage
from penstock_runtime import redaction
from penstock_runtime.agent import (
    asking,
    braked,
    condensing,
    effects,
    endings,
    happenings,
    session,
    step,
    tiering,
    writing,
)
from penstock_runtime.agent.boundary import Broken, caught
from penstock_runtime.agent.equipment import Agent
from penstock_runtime.agent.keeper import Interrupted, Keeper
from penstock_runtime.agent.models import cached
from penstock_runtime.agent.models.model import (
    Bill,
    ModelFailed,
    OverBudget,
    Purse,
    Request,
    Unaffordable,
)
from penstock_runtime.agent.purses import Asked, Terms
from penstock_runtime.agent.step import (
    Answer,
    AskModel,
    CallTool,
    CallTools,
    Count,
    End,
    Park,
    Run,
    Tell,
)
from penstock_runtime.agent.tools.toolset import (
    NOT_REPLICATED,
    ToolRequest,
    ToolResult,
    headers,
)
from penstock_runtime.agent.transcript import ToolUse, Transcript

__all__ = ["Agent", "run_task"]
_NO_TIME_SECONDS = 0.01


async def run_task(agent: Agent, run: Run, keeper: Keeper) -> Run:
    """Drive a task from wherever it stands to its outcome.

    Limits, refusals and escalations are outcomes; a tool's failure is a message to the model.
    Restrictions hold from the next step on.

    Raises:
        Interrupted: the worker must put the task down; its state is saved.
    """
    run = replace(run, task_id=keeper.task_id, prompt_tokens=agent.prompt_tokens)
    whole, begun = agent, run
    while run.outcome is None:
        agent = whole.tiers.get(run.tier, whole).under(keeper.restrictions)
        run = await _judged(agent, _as_of_now(agent, run, keeper))
        run = braked.forbidden(run, keeper.restrictions)
        take = _condense if condensing.is_due(agent.template, run) else _next_step
        run = await take(agent, run, keeper)
    ended = session.settled(_timed(run, keeper), agent.template.limits)
    return _told(_sampled(agent, ended, begun, keeper.restrictions))


async def _next_step(agent: Agent, run: Run, keeper: Keeper) -> Run:
    """The run after its next step."""
    match step.next_step(agent.template, agent.toolbox, run):
        case End(outcome):
            return run.ended(outcome)
        case AskModel(transcript) as ask:
            return await _ask(agent, replace(run, transcript=transcript), ask, keeper)
        case Count(transcript):
            return await _count(agent, run, transcript, keeper)
        case Answer():
            return await _answer(agent, run, keeper)
        case CallTool() as made:
            return await _call(agent, run, made, keeper)
        case CallTools(calls):
            return await _call_at_once(agent, run, calls, keeper)
        case Tell() as told:
            return await _tell(agent, run, told, keeper)
        case Park() as wanted:
            return await asking.park(agent.template, agent.toolbox, run, wanted, keeper)


def _sampled(agent: Agent, run: Run, begun: Run, by: Restrictions) -> Run:
    """The run with an outcome that is a sample only where neither restrictions nor a budget changed it."""
    if run.outcome is None:
        return run
    outcome = braked.sampled(run.outcome, run, agent.template.model.name, by)
    left_out = outcome.left_out or tiering.is_degraded(run, begun)
    return run.ended(replace(outcome, left_out=left_out))


async def _judged(agent: Agent, run: Run) -> Run:
    """The run with what is wrong with each call of the last reply, looked at once for each reply."""
    if run.problems is not None or not run.transcript.pending:
        return run
    calls = run.transcript.calls[: step.MAX_CALLS_PER_REPLY]
    return replace(run, problems=await agent.toolbox.problems(calls))


# ------------------------------------------------------------------------- what leaves the worker


def _told(run: Run) -> Run:
    """The run with an outcome that holds no credential."""
    if run.outcome is None:
        return run
    message, output = redaction.redact(run.outcome.message), redaction.redact(run.outcome.output)
    told = replace(run.outcome, message=message, output=output)
    return run if told == run.outcome else replace(run, outcome=told)


def _timed(run: Run, keeper: Keeper) -> Run:
    return replace(run, usage=run.usage.timed(keeper.wall_ms()))


def _left_seconds(agent: Agent, keeper: Keeper) -> float:
    return agent.template.limits.wall_seconds - keeper.wall_ms() / 1000


# ---------------------------------------------------------------------------------- the model


def _as_of_now(agent: Agent, run: Run, keeper: Keeper) -> Run:
    """The run with the time it has used and the terms of its next call."""
    prices = agent.prices
    rates = prices.rates(keeper.context.day())
    terms = Terms(agent.prompt, rates, prices.overhead, prices.raised)
    return replace(run, usage=run.usage.timed(keeper.wall_ms()), terms=terms)


def _next_call(agent: Agent, run: Run, keeper: Keeper) -> Quote | None:
    """What the call after this state reserves, where a call is next: all of it is known by now."""
    if keeper.ledger is None or keeper.ledger.is_unbounded or run.transcript.pending:
        return None
    match step.next_step(agent.template, agent.toolbox, _as_of_now(agent, run, keeper)):
        case AskModel(purse=Purse() as purse, failed=None):
            found = purse.afford()
            return None if isinstance(found, bound.Short) else purse.quote(found)
    return None


async def _count(agent: Agent, run: Run, transcript: Transcript, keeper: Keeper) -> Run:
    """Have the vendor count what would be sent, once for each state of the conversation."""
    ask = AskModel(transcript, 1)
    request = _request(agent, replace(run, transcript=transcript), ask, keeper)
    try:
        found = await keeper.interruptible(agent.model.count_tokens(request))
    except Interrupted:
        await writing.save(keeper, run)  # raises it again
        raise
    except ModelFailed as failure:
        if _left_seconds(agent, keeper) <= _NO_TIME_SECONDS:
            return run.ended(endings.out_of_time(agent.template.limits, run.usage))
        return replace(run, counted=Asked(len(transcript.messages), None, failure))
    return replace(run, counted=Asked(len(transcript.messages), found))


async def _ask(agent: Agent, run: Run, ask: AskModel, keeper: Keeper) -> Run:
    """Call the model; what it cost is booked whether it answered or not."""
    request = _request(agent, run, ask, keeper)
    bill = request.bill
    try:
        answer = await keeper.interruptible(agent.model.reply(request))
    except Interrupted:
        await writing.save(keeper, run.used(bill.usage))  # raises it again
        raise
    except OverBudget as stop:
        return await _over_budget(agent, run.used(bill.usage), stop.refused, keeper)
    except Unaffordable as stop:
        run = run.used(bill.usage)
        return run.ended(limits.breach_by_next_call(agent.template.limits, run.usage, stop.short))
    except ModelFailed as failure:
        run = run.used(bill.usage)
        late = _left_seconds(agent, keeper) <= _NO_TIME_SECONDS
        failed = endings.model_failed(failure, bill.charge.attempts)
        return run.ended(endings.out_of_time(agent.template.limits, run.usage) if late else failed)
    afforded = answer.afforded
    asked, cut_by = (afforded.reply_tokens, afforded.cut_by) if afforded else (ask.max_tokens, None)
    usage = (run.usage + bill.usage + Usage(model_calls=1, tier=agent.tier)).timed(keeper.wall_ms())
    run = replace(run.replied(answer), usage=usage, max_tokens=asked, cut_by=cut_by)
    events = [happenings.answered(agent.template, agent.tier, answer, bill.charge)]
    await writing.save(keeper, run, events, next_call=_next_call(agent, run, keeper))
    return run


async def _condense(agent: Agent, run: Run, keeper: Keeper) -> Run:
    """The run with its session's history in short; as it was where nobody summarises it."""
    day, denied = keeper.context.day(), keeper.restrictions.deny_models
    by = tiering.cheapest(agent, agent.tiers.values(), day, denied)
    by = replace(by, template=condensing.asker(by.template))
    asked = _as_of_now(by, replace(run, transcript=condensing.asking(run.transcript)), keeper)
    ask = condensing.call(by.template, asked)
    if ask is None:
        asked = await _count(by, asked, asked.transcript, keeper)
        ask = condensing.call(by.template, asked)
    if ask is None:
        return replace(run, condensed=False)
    request = _request(by, asked, ask, keeper)
    try:
        answer = await keeper.interruptible(by.model.reply(request))
    except Interrupted:
        await writing.save(keeper, run.used(request.bill.usage))  # raises it again
        raise
    except (OverBudget, Unaffordable, ModelFailed):
        return replace(run.used(request.bill.usage), condensed=False)
    run = run.used(request.bill.usage + Usage(model_calls=1))
    run, event = condensing.condensed(run, answer)
    await writing.save(
        keeper, run, [event] if event else [], next_call=_next_call(agent, run, keeper)
    )
    return run


async def _over_budget(agent: Agent, run: Run, refused: Refused, keeper: Keeper) -> Run:
    """The run after a budget has refused a call: handed to stable, on with a cheaper model, or ended."""
    if refused.limit.scope is Scope.CANARY:
        keeper.hand_over()
        await writing.save(keeper, run)  # raises Interrupted: stable goes on from here
    day, denied = keeper.context.day(), keeper.restrictions.deny_models
    if lower := tiering.cheaper(agent, agent.tiers.values(), refused, day, denied):
        return replace(run, tier=lower, counted=None)
    return run.ended(endings.over_budget(refused, run.transcript.said))


def _request(agent: Agent, run: Run, ask: AskModel, keeper: Keeper) -> Request:
    return Request(
        run.transcript.messages,
        ask.max_tokens,
        timeout_seconds=float(agent.template.model.timeout_seconds),
        deadline=keeper.context.seconds() + _left_seconds(agent, keeper),
        said_by=run.transcript.said_by,
        context=keeper.context,
        bill=Bill(),
        purse=ask.purse,
        ledger=keeper.ledger,
        failed=ask.failed,
        denied=keeper.restrictions.deny_models,
        answers=keeper.answers
        if cached.is_reading(agent.template, run.transcript.own_calls)
        else None,
    )


# ---------------------------------------------------------------------------------- the tools


async def _answer(agent: Agent, run: Run, keeper: Keeper) -> Run:
    """Tell the model why calls are not carried out: all such calls of the turn at once."""
    problems = run.problems or ()
    wrong = [(call, problems[call.position - 1]) for call in run.transcript.pending]
    answers = [(call, redaction.redact(problem)) for call, problem in wrong if problem]
    run = run.used(Usage(tool_calls=len(answers)))
    run = replace(run, transcript=run.transcript.with_results(answers, is_error=True))
    events = [happenings.called(call, ok=False, wall_ms=0) for call, _ in answers]
    await writing.save(keeper, run, events, next_call=_next_call(agent, run, keeper))
    return run


@dataclass(frozen=True)
class _Made:
    """A call that was carried out, and how long that took."""

    call: ToolUse
    result: ToolResult
    wall_ms: int


async def _tell(agent: Agent, run: Run, told: Tell, keeper: Keeper) -> Run:
    """Tell the model what was decided of a call that is not carried out."""
    run = run.used(Usage(tool_calls=1))
    text = redaction.redact(told.text)
    answered = run.transcript.with_result(told.call, text, is_error=told.is_error)
    run = replace(run, transcript=answered)
    events = [happenings.called(told.call, ok=not told.is_error, wall_ms=0)]
    await writing.save(keeper, run, events, next_call=_next_call(agent, run, keeper))
    return run


async def _call(agent: Agent, run: Run, step_made: CallTool, keeper: Keeper) -> Run:
    """Carry out a call and keep its result before anything uses it."""
    call = step_made.call
    run = replace(run, earlier=step_made.earlier)
    try:
        made = await _make(agent, run, call, keeper, step_made.note)
    except errors.WorthUnknown:
        wanted = Park(call, effects.worth_asked(agent.toolbox.tools[call.name]))
        return await asking.park(agent.template, agent.toolbox, run, wanted, keeper)
    if not made.result.known and step.must_not_repeat(agent.toolbox, call):
        run = _timed(run.used(Usage(tool_calls=1)), keeper)
        return run.ended(endings.result_unknown(call.name, call.input, made.result.text))
    return await _keep(agent, run, made, keeper)


async def _call_at_once(agent: Agent, run: Run, calls: Sequence[ToolUse], keeper: Keeper) -> Run:
    """Carry out calls that change nothing at the same time, and keep their results in order.

    Where the task is put down, calls whose results are not kept are cut: whoever goes on makes
    them again.
    """
    under_way = [asyncio.ensure_future(_caught(agent, run, call, keeper)) for call in calls]
    try:
        for each in under_way:
            made = await each
            if isinstance(made, Broken):
                raise made.error
            run = await _keep(agent, run, made, keeper)
    finally:
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return run


async def _caught(agent: Agent, run: Run, call: ToolUse, keeper: Keeper) -> _Made | Broken:
    """A call in a task of its own, in which a SystemExit would end the process."""
    return await caught(_make(agent, run, call, keeper))


async def _make(agent: Agent, run: Run, call: ToolUse, keeper: Keeper, note: str = "") -> _Made:
    started_ms = keeper.wall_ms()
    result = await _result(agent, run, call, keeper)
    noted = replace(result, text=note + result.text)
    return _Made(call, noted, keeper.wall_ms() - started_ms)


async def _keep(agent: Agent, run: Run, made: _Made, keeper: Keeper) -> Run:
    result = made.result
    run = _timed(run.used(Usage(tool_calls=1)), keeper)
    answered = run.transcript.with_result(made.call, result.text, is_error=not result.ok)
    run = replace(run, transcript=answered)
    events = [happenings.called(made.call, ok=result.ok, wall_ms=made.wall_ms, by=run.earlier)]
    events += effects.became(agent.toolbox.tools[made.call.name], made.call, result)
    await writing.save(keeper, run, events, next_call=_next_call(agent, run, keeper))
    return run


async def _result(agent: Agent, run: Run, call: ToolUse, keeper: Keeper) -> ToolResult:
    tool = agent.toolbox.tools[call.name]
    seconds = max(0.001, min(float(tool.timeout_seconds), _left_seconds(agent, keeper)))

    async def before_sending() -> float:
        await writing.before(agent, run, call, keeper)
        return _left_seconds(agent, keeper)

    request = ToolRequest(
        tool,
        call.input,
        headers(call.idempotency_key(keeper.task_id), keeper.trace_id, keeper.context),
        seconds,
        before_sending=before_sending,
        context=keeper.context,
    )
    try:
        return await agent.tools.call(request)
    except errors.NotReplicated:
        return NOT_REPLICATED
