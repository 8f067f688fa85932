"""In which epoch a leader may decide about an agent, and over which route: pure, from what is on record."""

from dataclasses import dataclass

from penstock_operator.leadership import election


@dataclass(frozen=True)
class Routed:
    """The route in Redis: which Agent it is of, and its place in the order of routes."""

    uid: str
    epoch: int
    version: int

    @property
    def place(self) -> tuple[int, int]:
        """(epoch, version)."""
        return self.epoch, self.version


@dataclass(frozen=True)
class Strange:
    """The place of a route that its leader may not have written, and when it was first seen.

    ``seen_at`` is in seconds of the leadership's clock.
    """

    place: tuple[int, int]
    seen_at: float


@dataclass(frozen=True)
class Belief:
    """What a leader makes of the route in Redis.

    ``doubt``: why nothing may be decided yet, empty where it may. ``instead_of``: the place of a
    route that no leader wrote, and that is to be overwritten. ``counts``: whether a leader can
    have given out its version. ``strange``: what to remember of it until the next pass.
    """

    doubt: str = ""
    instead_of: tuple[int, int] | None = None
    counts: bool = True
    strange: Strange | None = None


def epoch_on_record(decided: int, routed: int, *, elected: bool) -> int:
    """The highest epoch that a decision about an agent was made in.

    With election that is what Kubernetes knows: a decision is there before it is in Redis, where
    who holds the Secret of the namespace could write any number.

    Args:
        decided: the highest epoch in the statuses of the agent.
        routed: the epoch of its route in Redis, 0 when there is none.
    """
    believed = not elected and routed <= election.HIGHEST_BELIEVED
    return max(decided, routed if believed else 0)


def believe(
    route: Routed,
    uid: str,
    epoch: int,
    before: Strange | None,
    *,
    now: float,
    confirmed_at: float,
    given: int = 0,
) -> Belief:
    """What to make of a route in Redis, in an epoch that is not below any on record.

    A route of the Agent with a higher epoch comes from a newer leader, from a writer that is no
    operator, or from before the cluster was restored from a backup. If the Lease is renewed after
    the route was first seen, there is no newer leader, and the route is overwritten.

    Args:
        uid: the Agent's; a route of another uid gives way in any case.
        before: what was remembered of the route.
        now: by the leadership's clock, in seconds.
        confirmed_at: when the last renewal that was granted was asked for, by the same clock.
        given: the highest version that a status says was given out.
    """
    above = route.uid == uid and route.epoch > epoch
    strange = None
    if above:
        strange = before if before and before.place == route.place else Strange(route.place, now)
        if confirmed_at <= strange.seen_at:
            why = f"the route is of epoch {route.epoch}, above ours, {epoch}: asking the Lease"
            return Belief(doubt=why, strange=strange)
    counts = route.version <= max(election.HIGHEST_BELIEVED, given)
    return Belief(
        instead_of=route.place if above or not counts else None, counts=counts, strange=strange
    )
