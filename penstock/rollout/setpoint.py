"""Whose word a setpoint is: meant for this canary, or left over and only a ceiling."""

from typing import Final

from penstock import names
from penstock.api.requested import SetpointSeen
from penstock.api.rollout import Setpoint

#: Owner of a setpoint whose canary has ended: nobody's, even if that revision comes back.
SPENT: Final = "-"


def see(
    traffic: Setpoint,
    generation: int,
    seen: SetpointSeen | None,
    canary: str,
    *,
    is_new: bool,
    version: str | None,
) -> SetpointSeen | None:
    """The setpoint in spec with the canary it belongs to (empty: none, a ceiling).

    It belongs to the canary that ``canaryRevision`` names, else to the one that was already
    the canary when it was first seen. First seen together with a new canary, it may have
    been meant for the one before. When its canary ends it is spent: only a new value, or the
    name of a revision, makes it anybody's again.

    Args:
        seen: what was recorded before; a value seen before keeps its owner.
        canary: the present canary, or empty.
        is_new: whether it becomes the canary only now.
        version: the canary's ``template.version``.
    """
    percent = traffic.canary_percent
    if percent is None:
        return None
    before = seen.revision if seen is not None and seen.percent == percent else None
    owner = _owner(traffic.canary_revision, before, canary, is_new=is_new, version=version)
    if seen is not None and before is not None and owner == before:
        return seen
    return SetpointSeen(percent=percent, revision=owner, generation=generation)


def _owner(
    named: str | None, before: str | None, canary: str, *, is_new: bool, version: str | None
) -> str:
    left_over = before not in (None, "", canary)
    if canary and named in (canary, names.hash_of(canary)):
        return canary
    if left_over:
        return SPENT
    if named is None:
        return (canary if not is_new else "") if before is None else before
    # A version is no unique name: a setpoint spent on one revision is not the next one's too.
    if canary and named == version:
        return canary
    return ""


def owned_percent(seen: SetpointSeen | None, canary: str) -> int | None:
    """The setpoint in force for this canary; None when there is none of its own."""
    return seen.percent if seen and canary and seen.revision == canary else None


def ceiling_percent(seen: SetpointSeen | None, canary: str) -> int | None:
    """The left-over setpoint that the steps must not pass; None when there is none."""
    return seen.percent if seen and seen.revision != canary else None
