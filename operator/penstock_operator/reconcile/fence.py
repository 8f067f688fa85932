"""The fence of a pass: what was gathered, as far as this operator may decide on it."""

from dataclasses import replace

from penstock_operator.leadership import fencing
from penstock_operator.leadership.leadership import Fenced, Leadership
from penstock_operator.reconcile.memory import Memory
from penstock_operator.reconcile.world import World


def fenced(seen: World, leadership: Leadership, memory: Memory) -> World:
    """The world with the epoch to decide in, and with the route that is to be overwritten.

    Raises:
        Fenced: a higher epoch than ours is on record for the agent.
    """
    look = seen.look
    routed = look.route_epoch if look else 0
    on_record = fencing.epoch_on_record(seen.decided_epoch, routed, elected=leadership.elected)
    epoch = leadership.epoch_over(on_record)
    if look is None or look.route_version is None:
        return replace(seen, epoch=epoch)
    belief = fencing.believe(
        fencing.Routed(look.route_uid, look.route_epoch, look.route_version),
        seen.uid,
        epoch,
        memory.strange,
        now=leadership.clock(),
        confirmed_at=leadership.confirmed_at,
        given=max((rollout.status.route_version for rollout in seen.rollouts), default=0),
    )
    memory.strange = belief.strange
    if belief.doubt:
        raise Fenced(belief.doubt)
    believed = look if belief.counts else replace(look, route_version=None)
    return replace(seen, epoch=epoch, look=believed, instead_of=belief.instead_of)
