"""A plan for programs. Pure."""

from typing import Any

from penstock.money.prices import usd
from penstock_cli.plan import words
from penstock_cli.plan.outcome import Cost, Course, Plan, Planned, Rollout


def of(plan: Plan) -> dict[str, Any]:
    """All that a person reads, and what is folded there."""
    return {
        "items": [_item(one) for one in plan.items],
        "cluster": plan.away or "asked",
        "notPlanned": [f"{kind}/{name}" for kind, name in plan.others],
    }


def _item(one: Planned) -> dict[str, Any]:
    refusal = one.refusal
    return {
        "kind": one.draft.kind,
        "namespace": one.draft.namespace,
        "name": one.draft.name,
        "source": one.draft.where,
        "change": one.change.value,
        "checkedByServer": one.draft.asked,
        "refused": refusal
        and {"by": refusal.by, "reason": refusal.reason, "message": refusal.message},
        "cutsRevision": list(one.cuts),
        "actsAtOnce": list(one.acts),
        "diff": "\n".join(one.diff),
        "revision": {
            "before": one.before,
            "after": one.after,
            "version": one.version,
            "standing": one.standing.value if one.standing else "",
            "why": one.why,
        },
        "rollout": _rollout(one, one.rollout) if one.rollout else None,
        "idle": one.idle,
        "cost": _cost(one.cost) if one.cost else None,
        "notKnown": list(one.doubts),
        "besideRefused": list(one.beside),
        "repeats": list(one.draft.repeats),
    }


def _rollout(one: Planned, rollout: Rollout) -> dict[str, Any]:
    given_up, share = rollout.given_up, rollout.share
    return {
        "course": rollout.course.value,
        "agentRollout": rollout.governed,
        "givenUp": {"revision": given_up[0], "percent": given_up[1]} if given_up else None,
        "legs": [
            {
                "stage": leg.stage.value,
                "ring": leg.ring or None,
                "percent": leg.percent,
                "holdSeconds": leg.hold_seconds,
                "minTasks": leg.tasks,
                "approval": leg.approval,
            }
            for leg in rollout.legs
        ],
        "leastSeconds": sum(leg.hold_seconds for leg in rollout.legs),
        "ceilingPercent": rollout.ceiling,
        "share": {"before": share[0], "after": share[1]} if share else None,
        "waits": rollout.held,
        "capsUSD": dict(rollout.caps),
        "command": words.retry(one, rollout) if rollout.course is Course.REJECTED else "",
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "modelBefore": cost.model_before,
        "modelAfter": cost.model_after,
        "tasks": cost.tasks,
        "since": cost.since,
        "until": cost.until,
        "meanUSDBefore": None if cost.before is None else usd(cost.before),
        "meanUSDAfter": usd(cost.after) if cost.tasks else None,
        "unknown": cost.unknown,
    }
