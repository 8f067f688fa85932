"""Every sentence a rollout says to people, with its numbers and the command to type."""

import math
from datetime import datetime
from typing import Final

from penstock.analysis.guardrails import FEWEST_STABLE, Finding
from penstock.api import condition
from penstock.api.analysis import ArmCounts, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus, StepApproval
from penstock.rollout import commands, findings, path, samples
from penstock.rollout.facts import COMPARABLE_PERCENT, UNAVAILABLE_SECONDS, Facts
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.traffic import Arm

#: Waits whose sentence has numbers that run.
NUMBERED: Final = (
    "AnalysisUnclear",
    "AwaitingEvidence",
    "AwaitingCapacity",
    "HoldForApproval",
)


def as_of(status: AgentRolloutStatus) -> str:
    """When the numbers of a sentence were counted; empty when none were."""
    counted = status.analysis.counted_at
    return f"As of {_clock(condition.moment(counted))}." if counted else ""


#: What the kill switch means for users.
AGENT_SUSPENDED: Final = "spec.suspended of the Agent is true: nothing is admitted."


def store_unavailable(facts: Facts) -> str:
    """Redis is away: what that means for the traffic."""
    return (
        f"Redis does not answer: {facts.situation.store_error}. Nothing is raised or lowered "
        "until it does."
    )


def start_deadline(facts: Facts, awaited: str) -> str:
    """No pod came up in time: what is awaited, since when, and what happens next."""
    return (
        f"{awaited} That has lasted for more than {facts.strategy.start_deadline_seconds} s; it "
        "goes on by itself when a pod is ready."
    )


def with_pods_words(awaited: str, pods: Pods) -> str:
    """What is awaited, with why its pods do not come."""
    return awaited if pods.message in awaited else f"{awaited} Its pods say: {pods.message}."


def _ask(facts: Facts, verb: Verb) -> str:
    return commands.request(facts.situation, verb, facts.candidate)


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")


# ------------------------------------------------------------------------------ taken off


def stays_rejected(facts: Facts) -> str:
    """Why the candidate gets nothing, what that means for Git, and how to give it another attempt."""
    return (
        f"{facts.candidate} was {_why_rejected(facts)}. {facts.stable} serves everybody, though "
        f"spec.template still declares {facts.candidate}: apply another template. "
        f"Retry: {_ask(facts, Verb.RETRY)}"
    )


def undone(percent: int, goal: str) -> str:
    """What becomes of a revision that is left for a former one."""
    return f"undone at {percent} % by request: back to {goal}"


def undo_awaits_pods(facts: Facts, goal: str) -> str:
    """Who serves until then, and the brake for that time."""
    pods = facts.situation.pods.get(goal)
    said = f" ({pods.message})" if pods and pods.message else ""
    return (
        f"Everybody goes back to {goal} when its first pod is ready{said}. {facts.stable} serves "
        f"until then. To admit nothing meanwhile: {commands.suspend(facts.situation)}"
    )


def with_samples(message: str, verdict: Verdict) -> str:
    """A message about a rejection, with the failed tasks that its verdict shows: ids and reasons."""
    return " ".join(filter(None, (message, samples.told(verdict.samples))))


def _why_rejected(facts: Facts) -> str:
    for verdict in reversed(facts.status.verdicts):
        if verdict.revision == facts.candidate and verdict.result is Result.REJECTED:
            return verdict.message
    return facts.record(facts.candidate).rejected_message or "rejected"


def why_unavailable(facts: Facts) -> str:
    """What keeps the candidate from serving its share; empty when nothing does."""
    if facts.seconds_unready() >= UNAVAILABLE_SECONDS:
        said = f": {facts.pods.message}" if facts.pods.message else ""
        return f"no pod of {facts.candidate} has been ready for {UNAVAILABLE_SECONDS} s{said}"
    if not facts.queue_ages:
        return ""
    ours, theirs = facts.queue_age(facts.candidate), facts.queue_age(facts.stable)
    return (
        f"the oldest task of {facts.candidate} has waited {ours:.0f} s, that of stable "
        f"{theirs:.0f} s"
    )


def awaits_pods(facts: Facts) -> str:
    """A candidate taken off as unavailable comes back by itself."""
    said = f" ({facts.pods.message})" if facts.pods.message else ""
    what = "pods" if not facts.pods.ready else "enough pods"
    return f"Stable serves everybody until {what} of {facts.candidate} are ready again{said}."


#: Why a candidate without a rival is condemned the second time.
AGAIN: Final = "it was taken off for this before, and stable was well while it had all users"


def awaits_comparison(facts: Facts) -> str:
    """A candidate that could not be compared comes back when stable is seen to be well."""
    return (
        f"Stable serves everybody; {facts.candidate} comes back, to at most "
        f"{COMPARABLE_PERCENT} %, when stable has kept its limits in {FEWEST_STABLE} tasks."
    )


def on_trial(facts: Facts) -> str:
    """What waits until the candidate was compared: a setpoint, else the next step."""
    wants = "the next step" if facts.owned is None else f"the setpoint of {facts.owned} %"
    return (
        f"{facts.candidate} is compared with stable at {facts.percent} % before {wants} is in force; "
        f"that takes {FEWEST_STABLE} ended tasks of each."
    )


def awaits_capacity(facts: Facts, percent: int) -> str:
    """How many tasks the workers can take, and how many the larger share needs."""
    capacity = facts.situation.capacity
    ready, needed = (capacity.ready, capacity.needed(percent)) if capacity else (0, 0)
    return (
        f"Held at {facts.percent} % for workers: {percent} % needs room for {needed} tasks at a "
        f"time, the ready pods of {facts.candidate} have room for {ready}."
    )


def queue_is_old(facts: Facts) -> str:
    """A queue that ages is given nothing more."""
    return (
        f"Held at {facts.percent} % for workers: the oldest task of {facts.candidate} has waited "
        f"{facts.queue_age(facts.candidate):.0f} s."
    )


#: Why a breach does not condemn.
LACKS_ROWS: Final = (
    "outcome rows were lost before they were counted, so nobody is condemned on that"
)


def awaits_rows(facts: Facts) -> str:
    """Off until what was lost would be out of the window."""
    return (
        f"{facts.suspension.message} It comes back by itself when what was lost would be out of the "
        "window."
    )


def rows_lost(facts: Facts) -> str:
    """Outcome rows were trimmed or lost before they were counted."""
    return (
        f"Held at {facts.percent} %: outcome rows were lost before they were counted. It goes on "
        "by itself when what was lost would be out of the window."
    )


def awaits_stable(facts: Facts) -> str:
    """A shared incident ends by itself."""
    return (
        f"Stable serves everybody; {facts.candidate} comes back to "
        f"{facts.status.held_percent or 0} % when stable is within its limits again."
    )


def not_ready(facts: Facts) -> str:
    """What a raise waits for."""
    said = f": {facts.pods.message}" if facts.pods.message else ""
    return f"No pod of {facts.candidate} is ready{said}."


# --------------------------------------------------------------------------------- people


def skipped(facts: Facts) -> str:
    """What a step that is left by request did not wait for; empty when nothing was missing."""
    if not facts.started or facts.in_final_hold:
        return ""
    left = math.ceil(facts.step.hold_seconds - facts.seconds_in_step())
    missing = [f"{left} s of the hold"] if left > 0 else []
    observed, fewest = facts.observation, facts.step.min_tasks
    totals = {arm: observed.in_total(arm).tasks if observed else 0 for arm in Arm}
    if min(totals.values()) < fewest:
        ours, theirs = totals[Arm.CANDIDATE], totals[Arm.STABLE]
        missing.append(f"tasks (the candidate has {ours}, stable {theirs} of {fewest})")
    return f"; left out: {' and '.join(missing)}" if missing else ""


def noted(facts: Facts) -> str:
    """Answer to promote while a setpoint holds the share."""
    if facts.owned == 100:
        return f"{facts.candidate} waits for its pods"
    return (
        f"noted as approval; the share stays at {facts.owned} % until the setpoint is removed: "
        f"{commands.resume_steps(facts.situation)}"
    )


def held_by_setpoint(facts: Facts) -> str:
    """Who holds the share, and how the steps go on."""
    return (
        f"{facts.candidate} is held at {facts.percent} % by spec.traffic.canaryPercent. "
        f"Go on with the steps: {commands.resume_steps(facts.situation)}"
    )


def paused(facts: Facts) -> str:
    """What pause means and how it ends."""
    return (
        f"spec.paused is true: {facts.candidate} stays at {facts.percent} %, rollback still acts. "
        f"Go on: {commands.unpause(facts.situation)}"
    )


def ceiling(facts: Facts) -> str:
    """Which left-over setpoint caps the steps, and both ways out."""
    return (
        f"the share of {facts.candidate} stays at {facts.percent} %: the setpoint of "
        f"{facts.ceiling} % was not set for it and is only a ceiling. Set it for this revision: "
        f"{commands.set_percent(facts.situation, facts.ceiling or 0, facts.candidate)} "
        f"or remove it: {commands.resume_steps(facts.situation)}"
    )


def wants_approval(facts: Facts) -> str:
    """Which step waits for whom, and on what evidence."""
    seen = "; ".join(
        f"{findings.title(check)} {findings.of_candidate(check)}, stable {findings.of_stable(check)}"
        for check in facts.checks
    )
    observed = facts.observation
    reached = observed is not None and observed.in_step(Arm.CANDIDATE).tasks
    known = (
        f"hold and evidence are in ({seen})"
        if reached
        else "no task has reached the candidate in this step, so approving raises it unseen"
    )
    return (
        f"Leaving {facts.percent} % needs approval; {known}. "
        f"Approve: {_ask(facts, Verb.PROMOTE)} Or reject: {_ask(facts, Verb.ABORT)}"
    )


# ------------------------------------------------------------------------------- evidence


def holding(facts: Facts, until: datetime) -> str:
    """Until when the share stays."""
    what = "in the final hold" if facts.in_final_hold else f"of step {_label(facts)}"
    wants = facts.step.approval is StepApproval.REQUIRED and not facts.in_final_hold
    then = " Then leaving it needs approval." if wants and not facts.status.step_approved else ""
    return f"{facts.candidate} is held at {facts.percent} % {what} until {_clock(until)}.{then}"


def _label(facts: Facts) -> str:
    return path.label(facts.strategy, facts.status)


def unclear(facts: Facts, check: Finding) -> str:
    """Over the limit, yet not to be blamed: a person decides."""
    return (
        f"Held at {facts.percent} %: {findings.line(check)}; the candidate is not clearly worse than "
        f"stable, so a person decides. Abort: {_ask(facts, Verb.ABORT)} "
        f"Or promote: {_ask(facts, Verb.PROMOTE)}"
    )


def callers_cancel(facts: Facts) -> str:
    """Callers take back far more from the candidate than from stable: a person decides."""
    counts = facts.status.analysis
    ours, theirs = _cancelled(counts.step_canary), _cancelled(counts.step_stable)
    return (
        f"Held at {facts.percent} %: callers cancelled {ours} tasks of the candidate in this step and "
        f"{theirs} of stable. Cancelled tasks count for nobody and may hide that it is slow, so a person "
        f"decides. Abort: {_ask(facts, Verb.ABORT)} Or promote: {_ask(facts, Verb.PROMOTE)}"
    )


def _cancelled(counts: ArmCounts) -> str:
    return f"{counts.cancelled} of {counts.tasks + counts.left_out}"


def suspect(facts: Facts, check: Finding) -> str:
    """Over the limit so far; more tasks clear or condemn it."""
    return (
        f"Held at {facts.percent} % for evidence: {findings.line(check)}; these are too few tasks to be "
        f"sure{_more(check)}. Abort: {_ask(facts, Verb.ABORT)} "
        f"Or promote without: {_ask(facts, Verb.PROMOTE)}"
    )


def _more(check: Finding) -> str:
    if not check.missing:
        return ""
    return f"; about {check.missing} more tasks like these condemn it, as many good ones clear it"


def awaits_evidence(facts: Facts) -> str:
    """How many tasks are still missing on which side."""
    counts = facts.status.analysis
    return (
        f"Held at {facts.percent} % for evidence: each side needs {facts.step.min_tasks} counted "
        "tasks since the candidate began and one in this step; "
        f"{_so_far('the candidate', counts.canary, counts.step_canary)}, "
        f"{_so_far('stable', counts.stable, counts.step_stable)}."
    )


def _so_far(who: str, total: ArmCounts, step: ArmCounts) -> str:
    aside = f", and {total.left_out} that count for nobody" if total.left_out else ""
    return f"{who} has {total.tasks} ({step.tasks} in this step){aside}"


def awaits_users(facts: Facts, until: datetime) -> str:
    """Nobody among the candidate's users is active."""
    return (
        f"No task has reached {facts.candidate} at {facts.percent} % while stable had some; if "
        f"that stays so the share is raised at {_clock(until)}, since nobody is exposed."
    )


def awaits_final_tasks(facts: Facts) -> str:
    """The final hold saw no traffic."""
    return (
        f"No task of {facts.candidate} has ended in the final hold, and no traffic proves "
        f"nothing. Promote without: {_ask(facts, Verb.PROMOTE)}"
    )


def all_passed(facts: Facts) -> str:
    """The verdict of a promotion, with what was seen."""
    counts = facts.status.analysis
    observed = facts.observation
    if observed is None:
        return f"promoted from {facts.percent} %: all steps passed ({counts.canary.tasks} tasks)"
    shown = "; ".join(f"{check.name} {findings.of_candidate(check)}" for check in facts.checks)
    return f"promoted from {facts.percent} %: all steps and the final hold passed; {shown}"
