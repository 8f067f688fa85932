"""What is awaited, with its numbers and the command to type."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from penstock.analysis.guardrails import FEWEST_STABLE, Finding
from penstock.api import condition
from penstock.api.analysis import ArmCounts
from penstock.api.comparison import OnNoEvidence
from penstock.api.reasons import WaitReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.rollout import commands, findings, harm_budget, path
from penstock.rollout.comparing import windows_only_suspend
from penstock.rollout.facts import COMPARABLE_PERCENT, Facts
from penstock.rollout.requests import Verb
from penstock.rollout.situation import Pods
from penstock.rollout.words import alone, ringed, verdicts, watching
from penstock.rollout.words.times import clock, wants_person
from penstock.traffic import Arm

#: Waits whose sentence has numbers that run.
NUMBERED: Final = (
    WaitReason.ANALYSIS_UNCLEAR,
    WaitReason.AWAITING_EVIDENCE,
    WaitReason.AWAITING_CAPACITY,
    WaitReason.DEADLINE_EXCEEDED,
    WaitReason.HOLD_FOR_APPROVAL,
    WaitReason.LIMIT_DOES_NOT_FIT,
    WaitReason.EXTERNAL_GATE,
    WaitReason.EXTERNAL_MISSING,
)


def as_of(status: AgentRolloutStatus) -> str:
    """When the numbers of a sentence were counted; empty when none were."""
    counted = status.analysis.counted_at
    return f"As of {condition.moment(counted):%H:%M:%S} UTC." if counted else ""


def deciding(_: Facts) -> str:
    """More moves than one pass makes."""
    return "More changes follow at once."


def agent_suspended(facts: Facts) -> str:
    """What the kill switch means for users, or that stable broke a limit."""
    brake = facts.status.brake
    if brake and not facts.situation.agent_suspended:
        return f"{brake.message} {watching.ways(facts)}"
    return "spec.suspended of the Agent is true: nothing is admitted."


def store_unavailable(facts: Facts) -> str:
    """Redis is away: what that means for the traffic."""
    return (
        f"Redis does not answer: {facts.situation.store_error}. Nothing is raised or lowered "
        "until it does."
    )


def measurement_missing(facts: Facts) -> str:
    """Nothing is raised blindly."""
    why = facts.situation.observation_error or "no reason given"
    return f"Nothing is raised while outcomes cannot be read: {why}."


# -------------------------------------------------------------------------- nothing to try


def no_revision(_: Facts) -> str:
    """Nothing was cut yet."""
    return "The Agent has no revision yet."


def first_not_ready(facts: Facts) -> str:
    """The first revision serves when it can."""
    pods = facts.situation.pods.get(facts.situation.latest, Pods())
    return f"No pod of {facts.situation.latest} is ready{f': {pods.message}' * bool(pods.message)}."


def no_canary(facts: Facts) -> str:
    """Stable is what the Agent wants."""
    return f"{facts.stable} serves everybody."


# ------------------------------------------------------------------------------------- pods


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
    return commands.request(facts.situation, verb, facts.canary)


# ------------------------------------------------------------------------------ taken off


def undo_awaits_pods(facts: Facts, goal: str) -> str:
    """Who serves until then, and the brake for that time."""
    pods = facts.situation.pods.get(goal)
    said = f" ({pods.message})" if pods and pods.message else ""
    return (
        f"Everybody goes back to {goal} when its first pod is ready{said}. {facts.stable} serves "
        f"until then. To admit nothing meanwhile: {commands.suspend(facts.situation)}"
    )


def awaits_pods(facts: Facts) -> str:
    """A canary taken off as unavailable comes back by itself."""
    said = f" ({facts.pods.message})" if facts.pods.message else ""
    what = "pods" if not facts.pods.ready else "enough pods"
    return f"Stable serves everybody until {what} of {facts.canary} are ready again{said}."


def awaits_comparison(facts: Facts) -> str:
    """A canary that could not be compared comes back when stable is seen to be well."""
    most = "" if facts.in_rings else "at most "
    return (
        f"Stable serves everybody; {facts.canary} comes back, to {most}"
        f"{verdicts.back_at(facts, COMPARABLE_PERCENT)}, when stable has kept its limits in {FEWEST_STABLE} tasks."
    )


def on_trial(facts: Facts) -> str:
    """What waits until the canary was compared: a setpoint, else the next step."""
    wants = "the next step" if facts.owned is None else f"the setpoint of {facts.owned} %"
    return (
        f"{facts.canary} is compared with stable at {facts.percent} % before {wants} is in force; "
        f"that takes {FEWEST_STABLE} ended tasks of each."
    )


def awaits_capacity(facts: Facts, percent: int) -> str:
    """How many tasks the workers can take, and how many the larger share needs."""
    capacity = facts.situation.capacity
    ready, needed = (capacity.ready, capacity.needed(percent)) if capacity else (0, 0)
    return (
        f"Held at {facts.place} for workers: {percent} % needs room for {needed} tasks at a "
        f"time, the ready pods of {facts.canary} have room for {ready}."
    )


def queue_is_old(facts: Facts) -> str:
    """A queue that ages is given nothing more."""
    return (
        f"Held at {facts.place} for workers: the oldest task of {facts.canary} has waited "
        f"{facts.queue_age(facts.canary):.0f} s."
    )


def awaits_rows(facts: Facts) -> str:
    """Off until what was lost would be out of the window."""
    return (
        f"{facts.suspension.message} It comes back by itself when what was lost would be out of the "
        "window."
    )


def rows_lost(facts: Facts) -> str:
    """Outcome rows were trimmed or lost before they were counted."""
    what = "ring" if facts.in_rings and facts.status.rings else "step"
    return (
        f"Held at {facts.place}: outcome rows were lost before they were counted, so the {what} "
        "begins anew. It goes on by itself when what was lost would be out of the window."
    )


def awaits_stable(facts: Facts) -> str:
    """A shared incident ends by itself."""
    return (
        f"Stable serves everybody; {facts.canary} comes back to "
        f"{verdicts.back_at(facts, facts.status.held_percent or 0)} when stable is within its limits again."
    )


def stopped(facts: Facts) -> str:
    """What it has spent, who serves meanwhile, and every way on."""
    stop, cap = facts.suspension.stop, facts.situation.spec.analysis.canary_spend_cap_usd
    if stop and stop.until:
        end = condition.moment(stop.until).strftime("%Y-%m-%d %H:%M UTC")
        way = f"It comes back by itself when that window ends, at {end}."
    elif stop and (name := harm_budget.name_of(stop)):
        way = _raised_harm(facts, name, stop.most)
    else:
        more = f"{2 * Decimal(cap or 1):f}"
        way = f"Raise the cap: {commands.raise_cap(facts.situation, more)}"
    return (
        f"{facts.suspension.message} {_meanwhile(facts)}; {facts.canary} is not rejected. {way} "
        f"Or let it go on without: {_ask(facts, Verb.PROMOTE)}"
    )


def _raised_harm(facts: Facts, name: str, most: int) -> str:
    """The way on by a larger limit, with room beyond what was done by now."""
    raised = harm_budget.raised(facts, name, most)
    if raised is None:
        return "No larger limit can be declared."
    said = harm_budget.declared(facts.situation.spec.analysis, name, raised)
    return f"Raise the limit: {commands.raise_harm(facts.situation, name, said)}"


def _meanwhile(facts: Facts) -> str:
    """Who serves the users of a canary that is off."""
    return "Stable serves everybody" if facts.stable else "All callers are refused (not-assigned)"


def not_ready(facts: Facts) -> str:
    """What a raise waits for."""
    said = f": {facts.pods.message}" if facts.pods.message else ""
    return f"No pod of {facts.canary} is ready{said}."


# --------------------------------------------------------------------------------- people


def paused(facts: Facts) -> str:
    """What pause means and how it ends."""
    return (
        f"spec.paused is true: {facts.canary} stays at {facts.place}, rollback still acts. "
        f"Go on: {commands.unpause(facts.situation)}"
    )


def ceiling(facts: Facts) -> str:
    """Which left-over setpoint caps the steps, and both ways out."""
    return (
        f"the share of {facts.canary} stays at {facts.percent} %: the setpoint of "
        f"{facts.ceiling} % was not set for it and is only a ceiling. Set it for this revision: "
        f"{commands.set_percent(facts.situation, facts.ceiling or 0, facts.canary)} "
        f"or remove it: {commands.resume_steps(facts.situation)}"
    )


def wants_approval(facts: Facts) -> str:
    """Which step waits for whom, and on what evidence."""
    seen = "; ".join(
        f"{findings.title(check)} {findings.of_canary(check)}"
        + f", stable {findings.of_stable(check)}" * bool(facts.stable)
        for check in facts.checks
    )
    observed = facts.observation
    reached = observed is not None and observed.in_step(Arm.CANARY).tasks
    known = (
        f"hold and evidence are in ({seen})"
        if reached
        else "no task has reached the canary in this step, so approving raises it unseen"
    )
    return (
        f"Leaving {facts.percent} % needs approval; {known}. "
        f"Approve: {_ask(facts, Verb.PROMOTE)} Or reject: {_ask(facts, Verb.ABORT)}"
    )


# ------------------------------------------------------------------------------- evidence


def holding(facts: Facts, until: datetime) -> str:
    """Until when the share stays."""
    what = "in the final hold" if facts.in_final_hold else f"of step {_label(facts)}"
    then = " Then leaving it needs approval." if wants_person(facts) else ""
    others = f" Meanwhile {alone.OTHERS}." if not facts.stable and facts.percent < 100 else ""
    end = clock(facts, until)
    return f"{facts.canary} is held at {facts.percent} % {what} until {end}.{then}{others}"


def _label(facts: Facts) -> str:
    return path.label(facts.strategy, facts.status)


def unclear(facts: Facts, check: Finding) -> str:
    """Over the limit, yet not to be blamed: a person decides."""
    return (
        f"Held at {facts.place}: {findings.line(check)}; the canary is not clearly worse than "
        f"stable, so a person decides. Abort: {_ask(facts, Verb.ABORT)} "
        f"Or promote: {_ask(facts, Verb.PROMOTE)}"
    )


def shared(facts: Facts, check: Finding) -> str:
    """Stable is over its limit as well, and the canary keeps its users."""
    return (
        f"Held at {facts.place}: {findings.title(check)} of {facts.canary} is over the limit of "
        f"{findings.limit(check)}, and so is that of stable. It goes on by itself when stable is within its "
        f"limits again. Abort: {_ask(facts, Verb.ABORT)}"
    )


def callers_cancel(facts: Facts) -> str:
    """Callers take back far more from the canary than from stable: a person decides."""
    counts = facts.status.analysis
    ours, theirs = _cancelled(counts.step_canary), _cancelled(counts.step_stable)
    return (
        f"Held at {facts.place}: callers cancelled {ours} tasks of the canary in this step and "
        f"{theirs} of stable. Cancelled tasks count for nobody and may hide that it is slow, so a person "
        f"decides. Abort: {_ask(facts, Verb.ABORT)} Or promote: {_ask(facts, Verb.PROMOTE)}"
    )


def _cancelled(counts: ArmCounts) -> str:
    return f"{counts.cancelled} of {counts.tasks + counts.left_out}"


def suspect(facts: Facts, check: Finding) -> str:
    """Over the limit so far; more tasks clear or condemn it."""
    said = f"these are too few tasks to be sure{_more(check)}"
    if windows_only_suspend(facts):
        said = (
            "the comparison condemns it once that is proven at any look, and more tasks will tell"
        )
    return (
        f"Held at {facts.place} for evidence: {findings.line(check)}; {said}. Abort: {_ask(facts, Verb.ABORT)} "
        f"Or promote without: {_ask(facts, Verb.PROMOTE)}"
    )


def _more(check: Finding) -> str:
    if not check.missing:
        return ""
    return f"; about {check.missing} more tasks like these condemn it, as many good ones clear it"


def awaits_evidence(facts: Facts) -> str:
    """How many tasks are still missing on which side."""
    counts = facts.status.analysis
    if not facts.stable:
        so_far = _so_far("it", counts.canary, counts.step_canary)
        return alone.awaits_evidence(facts, so_far) + ringed.uncounted(facts)
    began = "the percentage" if facts.status.rings else "the canary"
    return (
        f"Held at {facts.place} for evidence: each side needs {facts.step.min_tasks} counted "
        f"tasks since {began} began and one in this step; "
        f"{_so_far('the canary', counts.canary, counts.step_canary)}, "
        f"{_so_far('stable', counts.stable, counts.step_stable)}.{ringed.uncounted(facts)}"
    )


def _so_far(who: str, total: ArmCounts, step: ArmCounts) -> str:
    aside = f", and {total.left_out} that count for nobody" if total.left_out else ""
    return f"{who} has {total.tasks} ({step.tasks} in this step){aside}"


def awaits_users(facts: Facts, until: datetime) -> str:
    """Nobody among the canary's users is active."""
    then = f"the share is raised at {clock(facts, until)}, since nobody is exposed."
    if wants_person(facts):
        then = f"its time is over at {clock(facts, until)}, and leaving it needs approval."
    return (
        f"No task has reached {facts.canary} at {facts.percent} % while stable had some; if "
        f"that stays so {then}{ringed.uncounted(facts)}"
    )


def untried(facts: Facts) -> str:
    """Nobody among the canary's users is active, and time raises it no further."""
    analysis = facts.situation.spec.analysis
    why = "no waiting gives what nobody has tried to more than half of the users, or to all"
    if analysis.comparison is not None and analysis.on_no_evidence is OnNoEvidence.HOLD:
        why = "onNoEvidence is Hold: nothing is raised without proof"
    return (
        f"Held at {facts.percent} %: no task has reached {facts.canary} in this step while stable had some, and {why}. "
        f"Promote without: {_ask(facts, Verb.PROMOTE)}{ringed.uncounted(facts)}"
    )


def awaits_final_tasks(facts: Facts) -> str:
    """The final hold saw no traffic, or the canary less of it than the last step asks for, which time has passed."""
    seen, fewest = facts.status.analysis.canary.tasks, facts.strategy.steps[-1].min_tasks
    if facts.status.analysis.step_canary.tasks and facts.status.unreached_percent is not None:
        return (
            f"{facts.canary} has {seen} of the {fewest} counted tasks that the last step asks for, which was "
            f"left without them. Promote without: {_ask(facts, Verb.PROMOTE)}"
        )
    return (
        f"No task of {facts.canary} has ended in the final hold, and no traffic proves "
        f"nothing. Promote without: {_ask(facts, Verb.PROMOTE)}"
    )
