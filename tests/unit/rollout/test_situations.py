"""Every row of the published tables and every rule of the percentage, as situations.

A row: the sentence it holds, how it comes about, then the share, its source, what the rollout
waits for, and what is told (a part of the event reasons).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.unit.rollout.world import (
    APPROVED_AT_20,
    BAD,
    C2,
    GOOD,
    NONE,
    STEPS,
    SUSPECT,
    C,
    S,
    canary_world,
    stable_world,
    world_at,
)


@dataclass(frozen=True)
class Row:
    reason: str
    world: Any
    percent: int
    source: str
    waits: str
    told: tuple[str, ...] = ()


def rejected_world(**fields):
    return world_at(20, **fields).measure(canary=BAD).decide().measure(canary=GOOD)


def at_approval():
    return world_at(20, steps=APPROVED_AT_20).step_over()


PATCHES = [
    Row(
        "holding at 5 %, a patch to 20 acts within one pass and freezes the steps",
        lambda: canary_world().set(20).decide(),
        20, "Setpoint", "HeldBySetpoint", ("PercentSetManually",),
    ),
    Row(
        "at 50 %, a patch to 20 lowers at once",
        lambda: world_at(50).set(20).decide(),
        20, "Setpoint", "HeldBySetpoint", ("PercentSetManually",),
    ),
    Row(
        "paused, a patch to 20 still acts: pause stops automatic raises only",
        lambda: canary_world().edit(paused=True).decide().set(20).decide(),
        20, "Setpoint", "HeldBySetpoint", ("PercentSetManually",),
    ),
    Row(
        "waiting for approval at 20 %, a patch to the same share holds it there",
        lambda: at_approval().set(20).decide(),
        20, "Setpoint", "HeldBySetpoint", ("PercentSetManually",),
    ),
    Row(
        "and the approval is still wanted when the setpoint goes",
        lambda: at_approval().set(20).decide().set(None).decide().after(61).decide(),
        20, "Automatic", "HoldForApproval",
    ),
    Row(
        "the canary's pods are not ready: the setpoint waits for them",
        lambda: stable_world().apply(C).decide().set(20).decide(),
        0, "None", "CandidateNotReady",
    ),
    Row(
        "and acts when they are",
        lambda: stable_world().apply(C).decide().set(20).decide().pods(C).decide(),
        20, "Setpoint", "HeldBySetpoint", ("PercentSetManually",),
    ),
    Row(
        "after a rollback a patch is refused, naming retry",
        lambda: rejected_world().set(20).decide(),
        0, "Rollback", "RolledBack", ("PercentRefused",),
    ),
    Row(
        "after an abort as well",
        lambda: canary_world().ask("abort").decide().set(20).decide(),
        0, "Rollback", "RolledBack", ("PercentRefused",),
    ),
    Row(
        "without a canary a setpoint waits",
        lambda: stable_world().set(20).decide(),
        0, "None", "NoCandidate",
    ),
    Row(
        "and only caps the steps of the next canary",
        lambda: (
            stable_world().set(10).decide().apply(C).pods(C).decide().after(1).decide()
            .step_over().step_over()
        ),
        10, "Ceiling", "CeilingReached",
    ),
    Row(
        "a breach while held by a setpoint goes to 0, whatever the spec says",
        lambda: canary_world().set(20).decide().measure(canary=BAD).decide(),
        0, "Rollback", "RolledBack", ("RolledBack",),
    ),
    Row(
        "canaryPercent null: automatic again from the share in force",
        lambda: canary_world().set(20).decide().set(None).decide(),
        20, "Automatic", "Holding", ("StepStarted",),
    ),
    Row(
        "and then the next larger step",
        lambda: canary_world().set(20).decide().set(None).decide().step_over(),
        50, "Automatic", "Holding", ("StepPassed", "StepStarted"),
    ),
    Row(
        "the same value again changes nothing",
        lambda: canary_world().set(20).decide().edit().decide(),
        20, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "100: all new work",
        lambda: canary_world().set(100).decide(),
        100, "Setpoint", "Holding", ("PercentSetManually",),
    ),
    Row(
        "and after the final hold it is stable",
        lambda: canary_world().set(100).decide().step_over(),
        0, "None", "NoCandidate", ("Promoted",),
    ),
    Row(
        "held at 20 by setpoint, then abort: 0 at once",
        lambda: canary_world().set(20).decide().ask("abort").decide(),
        0, "Rollback", "RolledBack", ("RolledBack",),
    ),
    Row(
        "and the 20 in spec has no more effect on it",
        lambda: canary_world().set(20).decide().ask("abort").decide().after(300).decide(),
        0, "Rollback", "RolledBack",
    ),
    Row(
        "held at 20 by setpoint, then promote: noted, and still held",
        lambda: canary_world().set(20).decide().ask("promote").decide(),
        20, "Setpoint", "HeldBySetpoint", ("RequestAccepted",),
    ),
    Row(
        "held at 20 by setpoint, then promote-full: it outranks the setpoint",
        lambda: canary_world().set(20).decide().ask("promote-full").decide(),
        0, "None", "NoCandidate", ("Promoted",),
    ),
    Row(
        "and the 20 is left over: a ceiling for the next canary",
        lambda: (
            canary_world().set(20).decide().ask("promote-full").decide()
            .apply(C2).pods(C2).decide().step_over().step_over().step_over()
        ),
        20, "Automatic", "CeilingReached",
    ),
]  # fmt: skip

RULES = [
    Row(
        "1: a rejected canary gets nothing, even under a setpoint that names it",
        lambda: rejected_world().set(50, C).decide().after(3600).decide(),
        0, "Rollback", "RolledBack",
    ),
    Row(
        "1: retry revives it, at the first step",
        lambda: rejected_world().ask("retry").decide(),
        5, "Automatic", "Holding", ("CandidateStarted", "StepStarted"),
    ),
    Row(
        "1: another revision starts anew",
        lambda: rejected_world().apply(C2).pods(C2).decide(),
        5, "Automatic", "Holding", ("CandidateStarted",),
    ),
    Row(
        "1: the same revision again, after another one, is still rejected",
        lambda: rejected_world().apply(C2).decide().apply(C).decide(),
        0, "Rollback", "RolledBack",
    ),
    Row(
        "1: a lost status revives nothing",
        lambda: rejected_world().wipe_status().decide().after(3600).decide(),
        0, "Rollback", "RolledBack",
    ),
    Row(
        "1: nor does an old retry that is read together with a lost status",
        lambda: (
            rejected_world().ask("retry").decide().measure(canary=BAD).decide()
            .wipe_status().decide()
        ),
        0, "Rollback", "RolledBack", ("RequestRefused",),
    ),
    Row(
        "4: a setpoint first seen together with its canary is a ceiling",
        lambda: stable_world().apply(C).pods(C).set(100).decide().after(1).decide(),
        5, "Automatic", "Holding",
    ),
    Row(
        "4: unless canaryRevision names it",
        lambda: stable_world().apply(C).pods(C).set(100, C).decide(),
        100, "Setpoint", "Holding",
    ),
    Row(
        "4: by its hash as well",
        lambda: stable_world().apply(C).pods(C).set(30, C[-8:]).decide(),
        30, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "4: by the template's version as well",
        lambda: stable_world().apply(C).pods(C).set(30, "2.0").decide(),
        30, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "4: a setpoint written beforehand for a version waits for it",
        lambda: stable_world().set(30, "2.0").decide().apply(C).pods(C).decide(),
        30, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "4: a version that was spent on one revision is not the next one's too",
        lambda: (
            stable_world().record(C2, version="2.0").apply(C).pods(C).set(100, "2.0").decide()
            .apply(C2).pods(C2).decide()
        ),
        5, "Automatic", "Holding",
    ),
    Row(
        "5: a forgotten 100 never ships the next revision",
        lambda: canary_world().set(100).decide().apply(C2).pods(C2).decide(),
        5, "Automatic", "Holding", ("Superseded", "CandidateStarted"),
    ),
    Row(
        "5: a standing 0 holds every new revision",
        lambda: stable_world().set(0).decide().apply(C).pods(C).decide().after(900).decide(),
        0, "None", "CeilingReached",
    ),
    Row(
        "5: until it goes",
        lambda: (
            stable_world().set(0).decide().apply(C).pods(C).decide().set(None).decide()
        ),
        5, "Automatic", "Holding",
    ),
    Row(
        "5: a ceiling that comes below the share lowers it",
        lambda: world_at(50).set(30, "another").decide(),
        30, "Ceiling", "CeilingReached", ("PercentChanged",),
    ),
    Row(
        "5: and when it goes the share catches up with its step",
        lambda: world_at(50).set(30, "another").decide().set(None).decide(),
        50, "Automatic", "Holding", ("PercentChanged",),
    ),
    Row(
        "6: lowering does not wait for pods",
        lambda: world_at(50).pods(C, ready=0).set(5).decide(),
        5, "Setpoint", "CandidateNotReady", ("PercentSetManually",),
    ),
    Row(
        "6: raising does",
        lambda: canary_world().pods(C, ready=0).set(50).decide(),
        5, "Automatic", "CandidateNotReady",
    ),
    Row(
        "7: promote ends the final hold",
        lambda: canary_world().set(100).decide().ask("promote").decide(),
        0, "None", "NoCandidate", ("Promoted",),
    ),
    Row(
        "8: a setpoint between two steps goes on to the next larger one",
        lambda: canary_world().set(30).decide().set(None).decide().step_over(),
        50, "Automatic", "Holding",
    ),
    Row(
        "8: a setpoint above all steps is held like the last one, not promoted at once",
        lambda: canary_world().set(60).decide().set(None).decide(),
        60, "Automatic", "Holding",
    ),
    Row(
        "8: and then enters the final hold",
        lambda: canary_world().set(60).decide().set(None).decide().step_over(),
        95, "Automatic", "Holding", ("StepStarted",),
    ),
    Row(
        "8: a setpoint of 100 that goes leaves the share where it is",
        lambda: canary_world().set(100).decide().set(None).decide(),
        100, "Automatic", "Holding",
    ),
    Row(
        "8: edited steps never lower the share",
        lambda: world_at(20).steps(*(s.model_copy(update={"percent": p}) for s, p in zip(STEPS, (1, 2, 3), strict=True))).decide(),
        20, "Automatic", "Holding",
    ),
    Row(
        "8: and the next larger step comes after a fresh hold",
        lambda: world_at(20).after(50).steps(*STEPS[::2]).decide().after(50).decide(),
        20, "Automatic", "Holding",
    ),
    Row(
        "9: paused, nothing is raised",
        lambda: canary_world().edit(paused=True).decide().step_over().step_over(),
        5, "Automatic", "Paused",
    ),
    Row(
        "9: paused, a rollback still acts",
        lambda: world_at(20).edit(paused=True).decide().measure(canary=BAD).decide(),
        0, "Rollback", "RolledBack", ("RolledBack",),
    ),
    Row(
        "9: paused from the start, the first step is not entered",
        lambda: stable_world().edit(paused=True).apply(C).pods(C).decide(),
        0, "None", "Paused",
    ),
    Row(
        "10: promote passes a hold",
        lambda: canary_world().ask("promote").decide(),
        20, "Automatic", "Holding", ("StepPassed", "StepStarted"),
    ),
    Row(
        "10: promote passes an approval",
        lambda: at_approval().ask("promote").decide(),
        50, "Automatic", "Holding",
    ),
    Row(
        "10: the same request is handled once",
        lambda: canary_world().ask("promote").decide().after(5).decide(),
        20, "Automatic", "Holding",
    ),
    Row(
        "10: promote at the last step enters the final hold",
        lambda: world_at(50).ask("promote").decide(),
        95, "Automatic", "Holding",
    ),
    Row(
        "10: promote revives no rejected canary",
        lambda: rejected_world().ask("promote-full").decide(),
        0, "Rollback", "RolledBack", ("RequestRefused",),
    ),
    Row(
        "11: a newer revision supersedes the canary and starts from the first step",
        lambda: world_at(50).apply(C2).pods(C2).decide(),
        5, "Automatic", "Holding", ("Superseded", "CandidateStarted", "StepStarted"),
    ),
    Row(
        "11: back to stable, the canary goes at once",
        lambda: world_at(50).apply(S).decide(),
        0, "None", "NoCandidate", ("Superseded",),
    ),
    Row(
        "11: a template that cannot be cut leaves the canary as it is",
        lambda: world_at(20).change(latest="").decide(),
        20, "Automatic", "Holding",
    ),
    Row(
        "13: without a measurement nothing is raised",
        lambda: canary_world().blind().step_over(),
        5, "Automatic", "MeasurementMissing", ("MeasurementMissing",),
    ),
    Row(
        "13: without a measurement a person's setpoint acts all the same",
        lambda: canary_world().blind().decide().set(50).decide(),
        50, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "13: and lowering too",
        lambda: world_at(50).blind().set(0).decide(),
        0, "Setpoint", "HeldBySetpoint",
    ),
    Row(
        "evidence: stable had no task in this step, so nothing is proved",
        lambda: canary_world().measure(stable=NONE).step_over(),
        5, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "evidence: no traffic at all proves nothing, however long it lasts",
        lambda: canary_world().measure(NONE, NONE).after(86400).decide(),
        5, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "evidence: nobody among the canary's users is active yet: it waits",
        lambda: canary_world().measure(canary=NONE).after(100).decide(),
        5, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "evidence: and after maxWaitSeconds the share is raised, nobody was exposed",
        lambda: canary_world().measure(canary=NONE).after(181).decide(),
        20, "Automatic", "Holding", ("StepStarted",),
    ),
    Row(
        "evidence: over the limit on too few tasks to be sure, more of them are awaited",
        lambda: canary_world().measure(SUSPECT).step_over(),
        5, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "evidence: and when they clear it, it climbs",
        lambda: canary_world().measure(SUSPECT).step_over().measure().decide(),
        20, "Automatic", "Holding", ("StepStarted",),
    ),
    Row(
        "evidence: a person may promote what is only suspect",
        lambda: world_at(95).measure(SUSPECT).step_over().ask("promote").decide(),
        0, "None", "NoCandidate", ("Promoted",),
    ),
    Row(
        "final hold: what is suspect at its end is not promoted by itself",
        lambda: world_at(95).measure(SUSPECT).after(3600).decide(),
        95, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "final hold: without a task of the canary it is not promoted",
        lambda: world_at(95).measure(canary=NONE).after(3600).decide(),
        95, "Automatic", "AwaitingEvidence",
    ),
    Row(
        "final hold: a breach rolls back",
        lambda: world_at(95).measure(canary=BAD).decide(),
        0, "Rollback", "RolledBack", ("RolledBack",),
    ),
    Row(
        "kill switch: nothing is raised and nothing is judged",
        lambda: (
            world_at(20).change(agent_suspended=True).measure(canary=BAD).after(600).decide()
        ),
        20, "Automatic", "AgentSuspended",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", PATCHES + RULES, ids=lambda row: row.reason)
def test_a_situation_ends_as_the_tables_say(row):
    world = row.world()
    seen = (world.percent, world.source, world.waits)
    assert seen == (row.percent, row.source, row.waits), world.message("Progressing")
    assert set(row.told) <= set(world.reasons())
