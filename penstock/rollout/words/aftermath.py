"""What is said of the calls of a canary that was taken off."""

from penstock.api.aftermath import EffectsLeft
from penstock.effects import Sums, decimal
from penstock.rollout import commands


def sums(left: EffectsLeft) -> Sums:
    """The numbers; all 0 as long as nobody knows them."""
    micro = {amount.tool: amount.micro for amount in left.amounts}
    undoing = {"undo_refused": left.undo_refused, "undo_asked": left.undo_asked}
    return Sums(left.done, left.unknown, left.users, micro, undone=left.undone, **undoing)


def words(left: EffectsLeft) -> str:
    """The same in one sentence."""
    if left.at is None:
        return "What its calls have done is not known yet: Redis has not said it."
    said = sums(left).words()
    return f"{said[0].upper()}{said[1:]} (as of {left.at[11:19]})."


def event(left: EffectsLeft, agent: str, namespace: str) -> str:
    """Whose calls they are, what they have done, and the command that lists them."""
    return f"{left.revision}: {words(left)} See: {listing(left, agent, namespace)}"


def listing(left: EffectsLeft, agent: str, namespace: str) -> str:
    """The command that lists them."""
    return f"penstock effects {commands.place(agent, namespace)} --revision {left.revision}"


def document(left: EffectsLeft) -> dict[str, object]:
    """The same for programs and for the record; ``known`` is false where there are no numbers."""
    if left.at is None:
        return {"revision": left.revision, "known": False}
    return {
        "revision": left.revision,
        "known": True,
        "asOf": left.at,
        "unknown": left.unknown,
        "done": left.done,
        "users": left.users,
        "undone": left.undone,
        "undoRefused": left.undo_refused,
        "undoAsked": left.undo_asked,
        "amounts": {amount.tool: decimal(amount.micro) for amount in left.amounts},
    }
