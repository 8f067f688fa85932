"""What a task does next: a pure decision from its limits, its tools and its conversation."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from penstock import limits
from penstock.api.agent import AgentTemplate, Limits
from penstock.api.oversight import OnDeny
from penstock.api.tool import Effect
from penstock.escalation import Ask, Decision, Verdict
from penstock.money.bound import Affordable, Resource, Short
from penstock.money.ledger import Cut
from penstock.task import Compensation, Outcome, OutcomeReason, Usage
from penstock_runtime.agent import endings, purses, remembered, undoing
from penstock_runtime.agent.models.estimates import estimated_tokens
from penstock_runtime.agent.models.model import Message, ModelFailed, Purse, Reply
from penstock_runtime.agent.purses import NO_TERMS, Asked, Terms
from penstock_runtime.agent.tools.toolbox import Toolbox
from penstock_runtime.agent.transcript import ToolUse, Transcript

EMPTY_REPLIES_ALLOWED: Final = 1
MAX_CALLS_PER_REPLY: Final = 256
CALLS_AT_ONCE: Final = 8  # of one task, all of tools that change nothing
MAX_CONVERSATION_CHARACTERS: Final = 16 * 1024 * 1024  # of a running task


@dataclass(frozen=True)
class Run:
    """A task on its way: the conversation, what it has used, and its outcome once it has one.

    ``doubt``: in this span Redis lost what a worker that is gone did with the task; empty when it
    lost nothing. ``max_tokens`` is what the last reply was asked for. ``problems``: what is wrong
    with each call of the last reply, once that was looked at. ``prompt_tokens``: about how many the
    part of each request is that never changes. ``shortened_history``: what to keep of the session
    instead of what it had, whatever the outcome. ``terms``: by what the next call is bounded.
    ``counted``: what the vendor was asked to count last. ``cut_by``: for want of what the last reply
    was asked shorter than declared. ``decision``: what was decided of the call for which it waited
    last. ``approved``: for its whole session; ``earlier``: the call made by that last. ``tier`` answers it, "": the model itself.
    ``condensed``: whether its session's history was summarised; None where that was not tried.
    ``compensation``: the call that it makes to undo another one, without a model.
    """

    transcript: Transcript
    usage: Usage
    outcome: Outcome | None = None
    empty_replies: int = 0
    doubt: str = ""
    task_id: str = ""
    max_tokens: int = 0
    problems: tuple[str, ...] | None = None
    prompt_tokens: int = 0
    shortened_history: tuple[Message, ...] | None = None
    terms: Terms = NO_TERMS
    counted: Asked | None = None
    cut_by: Resource | Cut | None = None
    decision: Decision | None = None
    approved: remembered.Approved = ()
    earlier: remembered.Earlier | None = None
    tier: str = ""
    condensed: bool | None = None
    compensation: Compensation | None = None

    def ended(self, outcome: Outcome) -> "Run":
        """The run with its outcome."""
        return replace(self, outcome=outcome)

    def used(self, usage: Usage) -> "Run":
        """The run after it used something more."""
        return replace(self, usage=self.usage + usage)

    def replied(self, reply: Reply) -> "Run":
        """The run after the model answered; an empty answer is asked for once more."""
        said = reply.stop_reason not in ("end_turn", "stop_sequence") or any(
            block.get("text", "").strip() for block in reply.content
        )
        if said or self.empty_replies >= EMPTY_REPLIES_ALLOWED:
            told = self.transcript.with_reply(reply)
            return replace(self, transcript=told, problems=None)
        return replace(self, empty_replies=self.empty_replies + 1)


@dataclass(frozen=True)
class AskModel:
    """Call the model with the conversation, for at most so many tokens of reply.

    ``failed``: it failed to count the conversation, so that only those that stand in are asked.
    """

    transcript: Transcript
    max_tokens: int
    purse: Purse | None = field(default=None, compare=False)
    failed: ModelFailed | None = None


@dataclass(frozen=True)
class Count:
    """Have the vendor count the conversation: by its bytes alone too little is left for the call."""

    transcript: Transcript


@dataclass(frozen=True)
class CallTool:
    """Carry out a tool call. ``note``: what the model is told before the result. ``earlier``: what approved it."""

    call: ToolUse
    note: str = ""
    earlier: remembered.Earlier | None = None


@dataclass(frozen=True)
class CallTools:
    """Carry out several calls of tools that change nothing, at the same time."""

    calls: tuple[ToolUse, ...]


@dataclass(frozen=True)
class Answer:
    """Tell the model what is wrong with a tool call that is not carried out."""

    call: ToolUse
    problem: str


@dataclass(frozen=True)
class Tell:
    """Tell the model what was decided of a call instead of carrying it out."""

    call: ToolUse
    text: str
    is_error: bool


@dataclass(frozen=True)
class Park:
    """Put the task down until a person has decided on a call.

    ``proposed``: the arguments that a person has put in the place of the model's; None: the model's own.
    """

    call: ToolUse
    ask: Ask
    proposed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class End:
    """The task ends."""

    outcome: Outcome


_ToolStep = CallTool | Answer | Tell | Park
Step = AskModel | Count | CallTool | CallTools | Answer | Tell | Park | End


def next_step(template: AgentTemplate, toolbox: Toolbox, run: Run) -> Step:
    """The next thing to do. The same run always gives the same step."""
    if breach := _wall_time(template.limits, run.usage):
        return End(breach)
    transcript = run.transcript
    if run.compensation and (ending := _compensated(toolbox, run, run.compensation)):
        return End(ending)
    match transcript.stop_reason:
        case "":
            return _ask(template, run, transcript)
        case "tool_use" if transcript.pending:
            return _tools(template.limits, toolbox, run)
        case _ if breach := limits.breach_after_call(template.limits, run.usage):
            return End(breach)
        case "pause_turn":
            return _ask(template, run, transcript.with_turn_paused())
        case _:
            return End(_ending(template, run))


def _compensated(toolbox: Toolbox, run: Run, wanted: Compensation) -> Outcome | None:
    """How a compensation ends; None while its call is to be made."""
    if not run.transcript.stop_reason:
        return undoing.ending(run.transcript)
    known = wanted.tool in toolbox.tools or run.transcript.begun
    return None if known else undoing.missing(wanted.tool)


def _wall_time(bounds: Limits, usage: Usage) -> Outcome | None:
    if usage.wall_ms < bounds.wall_seconds * 1000:
        return None
    return limits.breach_before_call(bounds, usage)


def _ask(template: AgentTemplate, run: Run, transcript: Transcript) -> Step:
    bounds = template.limits
    if breach := limits.breach_before_call(bounds, run.usage):
        return End(breach)
    if transcript.characters > MAX_CONVERSATION_CHARACTERS:
        return End(endings.conversation_too_large(MAX_CONVERSATION_CHARACTERS))
    if _is_first_of_session(run):
        tokens = first_request_tokens(run)
        if tokens > bounds.input_tokens:
            return End(endings.session_too_long(tokens, bounds.input_tokens))
    return _afforded(template, run, transcript)


def _afforded(template: AgentTemplate, run: Run, transcript: Transcript) -> Step:
    """The call as long as it may be; none where too little is left, by the best count there is."""
    purse = purses.purse(template, run.usage, transcript, run.terms, run.counted)
    found = purse.afford()
    counted = run.counted is not None and run.counted.messages == len(transcript.messages)
    match found:
        case Affordable(cut_by=None | Resource.OUTPUT_TOKENS):
            return AskModel(transcript, found.reply_tokens, purse)
        case Short(resource=Resource.OUTPUT_TOKENS):
            pass
        case _ if not counted:
            return Count(transcript)
        case Affordable():
            return AskModel(transcript, found.reply_tokens, purse)
        case _ if run.counted and run.counted.failed:
            return _uncounted(template, transcript, purse, run.counted.failed)
    bounds = template.limits
    if found.resource is Resource.INPUT_TOKENS and _is_first_of_session(run):
        return End(endings.session_too_long(found.needed, bounds.input_tokens))
    return End(limits.breach_by_next_call(bounds, run.usage, found))


def _uncounted(
    template: AgentTemplate, transcript: Transcript, purse: Purse, failed: ModelFailed
) -> Step:
    """What is done where the model may count and has not: nothing says that too little is left."""
    if template.model.fallbacks:
        return AskModel(transcript, template.model.max_tokens, purse, failed)
    return End(endings.count_failed(failed))


def _is_first_of_session(run: Run) -> bool:
    return run.transcript.begin > 0 and not run.usage.model_calls and not run.transcript.step


def first_request_tokens(run: Run) -> int:
    """About how many tokens a task's first request in a session has."""
    messages, begin = run.transcript.messages, run.transcript.begin
    before = run.transcript.tokens or run.prompt_tokens + estimated_tokens(messages[:begin])
    return before + estimated_tokens(messages[begin:])


def _ending(template: AgentTemplate, run: Run) -> Outcome:
    transcript = run.transcript
    match transcript.stop_reason:
        case "end_turn" | "stop_sequence" if transcript.calls:
            return endings.model_error("the model ended its turn and asked for a tool at once")
        case "end_turn" | "stop_sequence" if transcript.answer.strip():
            return endings.succeeded(transcript.answer)
        case "end_turn" | "stop_sequence":
            return endings.model_error("the model ended its turn without an answer")
        case "tool_use":
            return endings.model_error("the model stopped for a tool and asked for none")
        case "max_tokens":
            return _cut(template, run)
        case "refusal":
            return endings.refused(transcript.detail)
        case "model_context_window_exceeded":
            return endings.context_full()
        case unknown:
            return endings.model_error(f"the model stopped for an unknown reason, {unknown!r}")


def _cut(template: AgentTemplate, run: Run) -> Outcome:
    """Which number cut a reply, as far as this worker knows what was asked for."""
    declared = template.model.max_tokens
    asked = run.max_tokens or declared
    if isinstance(run.cut_by, Cut):
        return endings.cut_by_budget(asked, run.cut_by)
    if asked < declared:
        by = run.cut_by or Resource.OUTPUT_TOKENS
        whole = template.limits.cost_usd if by is Resource.COST else template.limits.output_tokens
        field = limits.field_of(template.limits, by)
        return endings.cut_reply(asked, f"what was left of {field}, {whole}")
    return endings.cut_reply(asked, "model.maxTokens")


def _tools(bounds: Limits, toolbox: Toolbox, run: Run) -> Step:
    """The first pending call and what goes with it, once all pending calls may be answered.

    All are judged before the first is carried out: a turn that ends the task does nothing. A call
    that waits for a person waits behind those before it.
    """
    pending, usage = run.transcript.pending, run.usage
    if breach := limits.breach_after_call(bounds, usage):
        return End(breach)
    steps: list[_ToolStep] = []
    for call in pending:
        step = _tool(bounds, toolbox, run, usage, call)
        if isinstance(step, End):
            return step
        usage += Usage(tool_calls=1)
        steps.append(step)
    reads = _reads(toolbox, steps)
    return CallTools(reads) if len(reads) > 1 else steps[0]


def _reads(toolbox: Toolbox, steps: Sequence[_ToolStep]) -> tuple[ToolUse, ...]:
    """The calls that can be made at once: those of tools that change nothing, from the first on.

    A call behind one that changes something may be meant to see the change: it waits.
    """
    if not isinstance(steps[0], CallTool):
        return ()
    made = itertools.takewhile(lambda step: not isinstance(step, Park | Tell), steps)
    calls = (step for step in made if isinstance(step, CallTool))
    reads = itertools.takewhile(lambda step: _changes_nothing(toolbox, step), calls)
    return tuple(step.call for step in itertools.islice(reads, CALLS_AT_ONCE))


def _tool(
    bounds: Limits, toolbox: Toolbox, run: Run, usage: Usage, call: ToolUse
) -> _ToolStep | End:
    if call.place in run.transcript.begun:
        return End(endings.worker_lost(call.name, call.input, run.doubt))
    if breach := limits.breach_before_tool(bounds, usage, run.transcript.times_asked(call)):
        repeats = breach.reason is OutcomeReason.LIMIT_IDENTICAL_ACTIONS
        return End(endings.repeated(breach, call.name, call.input) if repeats else breach)
    if call.position > MAX_CALLS_PER_REPLY:
        return End(endings.too_many_calls(len(run.transcript.calls), MAX_CALLS_PER_REPLY))
    if told := _told(toolbox, run, call):
        return told
    if problem := _problem(toolbox, run, call):
        return Answer(call, problem)
    if run.doubt and must_not_repeat(toolbox, call):
        key = call.idempotency_key(run.task_id)
        return End(endings.doubtful(call.name, call.input, key, run.doubt))
    return _decided(toolbox, run, call) or _undecided(toolbox, run, call)


def _undecided(toolbox: Toolbox, run: Run, call: ToolUse) -> CallTool | Park:
    ask = toolbox.ask(call)
    earlier = remembered.covering(run.approved, toolbox, call, ask) if ask else None
    return Park(call, ask) if ask and not earlier else CallTool(call, earlier=earlier)


def _told(toolbox: Toolbox, run: Run, call: ToolUse) -> Tell | End | None:
    """A person's no or answer, whatever has become of the tool; None where there is neither."""
    said = run.decision
    if said is None or said.place != call.place:
        return None
    match said.verdict:
        case Verdict.DENY if toolbox.asking.on_deny is OnDeny.ESCALATE:
            return End(endings.ended_by_denial(call.name, call.input, said))
        case Verdict.DENY:
            return Tell(call, endings.denied(said), is_error=True)
        case Verdict.ANSWER:
            return Tell(call, said.answer, is_error=False)
        case Verdict.APPROVE:
            return None


def _decided(toolbox: Toolbox, run: Run, call: ToolUse) -> CallTool | Tell | Park | None:
    """What an approval makes of a call; None where there is none, or it was of another call.

    It is bound to the tool, its schema and the arguments: after a move to a revision that has another
    tool of this name it is void.
    """
    said = run.decision
    if said is None or said.place != call.place or said.digest != toolbox.digest(call):
        return None
    if toolbox.is_handover(call):
        return Tell(call, endings.go_on(said), is_error=False)
    if said.arguments is None:
        return CallTool(call)
    return _changed(toolbox, call, said, said.arguments)


def _changed(
    toolbox: Toolbox, call: ToolUse, said: Decision, arguments: Mapping[str, Any]
) -> CallTool | Park:
    """The call with a person's arguments, where the rules ask no more for these than was given."""
    made = replace(call, input=arguments)
    ask = toolbox.ask(made)
    if ask is None or said.covers(ask):
        return CallTool(made, endings.changed(arguments))
    why = f"{ask.why}; {' and '.join(said.by) or 'time'} put these arguments in the place of the model's"
    return Park(call, replace(ask, why=why), arguments)


def _problem(toolbox: Toolbox, run: Run, call: ToolUse) -> str:
    if run.problems is None:
        return toolbox.problem(call)
    return run.problems[call.position - 1]


def _changes_nothing(toolbox: Toolbox, step: CallTool) -> bool:
    is_read = toolbox.tools[step.call.name].effect is Effect.READ_ONLY
    return is_read and not (step.note or step.earlier)


def must_not_repeat(toolbox: Toolbox, call: ToolUse) -> bool:
    """Whether a call may be made once only."""
    return toolbox.tools[call.name].effect is Effect.IRREVERSIBLE
