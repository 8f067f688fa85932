"""What restrictions make of the agent that runs a task, from one step to the next."""

from dataclasses import replace

from penstock.api.restrictions import Restrictions
from penstock.task import Outcome
from penstock_runtime.agent.step import Run
from penstock_runtime.agent.tools.toolbox import Toolbox

_DENIED = "tool {} may not be called for now: the people who run this agent have forbidden it; go on without it"


def toolbox(tools: Toolbox, by: Restrictions) -> Toolbox:
    """The tools, of which some ask a person first. All stay on offer: the prompt is cached with them."""
    if not by.require_approval:
        return tools
    required = frozenset(by.require_approval)
    return replace(tools, asking=replace(tools.asking, required=required))


def forbidden(run: Run, by: Restrictions) -> Run:
    """The run with what restrictions forbid among the calls of the last reply, before all else that is wrong."""
    if not by.deny_tools or run.problems is None:
        return run
    told = zip(run.transcript.calls, run.problems, strict=False)
    problems = (
        _DENIED.format(call.name) if call.name in by.deny_tools else problem
        for call, problem in told
    )
    return replace(run, problems=tuple(problems))


def sampled(outcome: Outcome, run: Run, model: str, by: Restrictions) -> Outcome:
    """An outcome, left out of every sample where a restriction made the task another one.

    A task that would have been asked of another model, or wanted a tool that it did not get, says nothing
    of its revision.
    """
    if not by:
        return outcome
    wanted = (call["name"] for call in run.transcript.own_calls)
    if model in by.deny_models or any(name in by.deny_tools for name in wanted):
        return replace(outcome, left_out=True)
    return outcome
