"""What a canary that was taken off has done to the world: kept in status, told once."""

from typing import Final

from penstock.api import condition
from penstock.api.aftermath import MOST_TOOLS, EffectsLeft, ToolSum
from penstock.api.reasons import EventReason
from penstock.api.rollout import AgentRolloutStatus
from penstock.effects import Sums
from penstock.rollout import spending
from penstock.rollout.facts import Facts
from penstock.rollout.situation import Happening
from penstock.rollout.words import aftermath as words

#: Calls that were under way when a canary went off end within so long, mostly: until then it is looked at more often.
SETTLES_SECONDS: Final = 60


def seen(facts: Facts, before: AgentRolloutStatus) -> EffectsLeft | None:
    """What is known by now; None where the canary is not off for what it has done or spent, or was.

    What nobody knows stays unknown until Redis says it. What was known once is not taken back for
    fewer calls: Redis has lost or dropped some then.
    """
    if not _is_off(facts):
        return None
    found = before.effects
    if found is None or found.revision != facts.canary:
        found = EffectsLeft(revision=facts.canary)
    known = facts.situation.effects.get(facts.canary)
    if known is None or (found.at is not None and known.done < found.done):
        return found
    now = _counted(facts, known, told=found.told or bool(known))
    same = found.at is not None and now.model_copy(update={"at": found.at}) == found
    return found if same else now


def told(facts: Facts, before: AgentRolloutStatus) -> tuple[Happening, ...]:
    """An Event when it is known for the first time that something was done, or may have been."""
    now, then = facts.status.effects, before.effects
    known = then is not None and now is not None and then.revision == now.revision and then.told
    if now is None or not now.told or known:
        return ()
    agent, namespace = facts.situation.spec.agent_ref.name, facts.situation.namespace
    message = words.event(now, agent, namespace)
    return (Happening(EventReason.EFFECTS_LEFT, message, warning=True),)


def settles(facts: Facts) -> bool:
    """Whether the numbers have changed just now, and so may change again."""
    now = facts.status.effects
    if now is None or now.at is None:
        return False
    return facts.seconds_since(now.at) < SETTLES_SECONDS


def _is_off(facts: Facts) -> bool:
    return facts.rejected or facts.suspended_for in spending.STOPPED


def _counted(facts: Facts, known: Sums, *, told: bool) -> EffectsLeft:
    largest = sorted(known.micro.items(), key=lambda item: (-item[1], item[0]))[:MOST_TOOLS]
    return EffectsLeft(
        revision=facts.canary,
        at=condition.timestamp(facts.now),
        unknown=known.unknown,
        done=known.done,
        users=known.users,
        undone=known.undone,
        undo_refused=known.undo_refused,
        undo_asked=known.undo_asked,
        amounts=tuple(ToolSum(tool=tool, micro=micro) for tool, micro in sorted(largest)),
        told=told,
    )
