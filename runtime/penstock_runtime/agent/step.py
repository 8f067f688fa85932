"""What a task does next: a pure decision from its limits, its tools and its conversation."""

from dataclasses import dataclass, replace

from penstock import limits
from penstock.api.agent import AgentTemplate, Effect, Limits
from penstock.task import Outcome, Usage
from penstock_runtime.agent import outcomes
from penstock_runtime.agent.model import Reply
from penstock_runtime.agent.toolbox import Toolbox
from penstock_runtime.agent.transcript import ToolUse, Transcript

EMPTY_REPLIES_ALLOWED = 1


@dataclass(frozen=True)
class Run:
    """A task on its way: the conversation, what it has used, and its outcome once it has one."""

    transcript: Transcript
    usage: Usage
    outcome: Outcome | None = None
    empty_replies: int = 0

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
            return replace(self, transcript=self.transcript.with_reply(reply))
        return replace(self, empty_replies=self.empty_replies + 1)


@dataclass(frozen=True)
class AskModel:
    """Call the model with the conversation, for at most so many tokens of reply."""

    transcript: Transcript
    max_tokens: int


@dataclass(frozen=True)
class CallTool:
    """Carry out a tool call."""

    call: ToolUse


@dataclass(frozen=True)
class Answer:
    """Tell the model what is wrong with a tool call that is not carried out."""

    call: ToolUse
    problem: str


@dataclass(frozen=True)
class End:
    """The task ends."""

    outcome: Outcome


Step = AskModel | CallTool | Answer | End


def next_step(template: AgentTemplate, toolbox: Toolbox, run: Run) -> Step:
    """The next thing to do. The same run always gives the same step."""
    if breach := _wall_time(template.limits, run.usage):
        return End(breach)
    transcript = run.transcript
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


def _wall_time(bounds: Limits, usage: Usage) -> Outcome | None:
    if usage.wall_ms < bounds.wall_seconds * 1000:
        return None
    return limits.breach_before_call(bounds, usage)


def _ask(template: AgentTemplate, run: Run, transcript: Transcript) -> Step:
    bounds = template.limits
    if breach := limits.breach_before_call(bounds, run.usage):
        return End(breach)
    # One reply must not pass the task's limit by more than the model's own counting.
    left = max(1, bounds.output_tokens - run.usage.output_tokens)
    return AskModel(transcript, min(template.model.max_tokens, left))


def _ending(template: AgentTemplate, run: Run) -> Outcome:
    transcript = run.transcript
    match transcript.stop_reason:
        case "end_turn" | "stop_sequence" if transcript.calls:
            return outcomes.model_error("the model ended its turn and asked for a tool at once")
        case "end_turn" | "stop_sequence" if transcript.answer.strip():
            return outcomes.succeeded(transcript.answer)
        case "end_turn" | "stop_sequence":
            return outcomes.model_error("the model ended its turn without an answer")
        case "tool_use":
            return outcomes.model_error("the model stopped for a tool and asked for none")
        case "max_tokens":
            return outcomes.cut_reply(template.model.max_tokens)
        case "refusal":
            return outcomes.refused(transcript.detail)
        case "model_context_window_exceeded":
            return outcomes.context_full()
        case unknown:
            return outcomes.model_error(f"the model stopped for an unknown reason, {unknown!r}")


def _tools(bounds: Limits, toolbox: Toolbox, run: Run) -> Step:
    """The first pending call, once all pending calls of the turn may be answered.

    All are judged before the first is carried out: a turn that ends the task does nothing.
    """
    pending = run.transcript.pending
    usage = run.usage
    if breach := limits.breach_after_call(bounds, usage):
        return End(breach)
    steps: list[Step] = []
    for call in pending:
        step = _tool(bounds, toolbox, run.transcript, usage, call)
        if isinstance(step, End):
            return step
        usage += Usage(tool_calls=1) if isinstance(step, CallTool) else Usage()
        steps.append(step)
    return steps[0]


def _tool(
    bounds: Limits, toolbox: Toolbox, transcript: Transcript, usage: Usage, call: ToolUse
) -> Step:
    if call.id in transcript.begun:
        return End(outcomes.result_unknown(call.name, call.input, "the worker was lost meanwhile"))
    if breach := limits.breach_before_tool(bounds, usage, transcript.times_asked(call)):
        return End(breach)
    if problem := toolbox.problem(call):
        return Answer(call, problem)
    if toolbox.tools[call.name].needs_approval:
        return End(outcomes.approval_needed(call.name, call.input))
    return CallTool(call)


def must_not_repeat(toolbox: Toolbox, call: ToolUse) -> bool:
    """Whether a call may be made once only."""
    return toolbox.tools[call.name].effect is Effect.IRREVERSIBLE
