"""Whether workers keep what their revision declares: an older image passes over what it does not know."""

import math
from collections.abc import Iterable
from typing import Final

from penstock import protocol
from penstock.api import budgets
from penstock.revision import Revision
from penstock_operator.reconcile import podwords
from penstock_operator.reconcile.world import World

_SPEAKS_AFTER_SECONDS: Final = 30  # from when it is ready on, a worker has said its number
_HEARD_FOR_SECONDS: Final = 60  # from when Redis is back on, all workers have said it again
_SPEAKS_FOR_SECONDS: Final = 90  # by when what was said before that holds no more


def complaint(world: World, cut: Revision) -> str:
    """What workers of a revision do not keep, and the image to set; "" where nothing is known of it."""
    spoken = _spoken(world, cut)
    return "" if spoken is None else _unkept(world, cut, spoken)


def refusal(world: World, cut: Revision, others: Iterable[Revision]) -> str:
    """The same of a revision that has no workers yet, by those that run the same image."""
    image = world.installation.image_of(cut)
    same = (other for other in others if world.installation.image_of(other) == image)
    numbers = [number for other in same if (number := _spoken(world, other)) is not None]
    return _unkept(world, cut, max(numbers)) if numbers else ""


def is_awaited(world: World, cut: Revision) -> bool:
    """Whether a word of a revision's workers may change what is told, and no event announces it."""
    if _need(world, cut).number <= protocol.SILENT or not world.ready(cut.name):
        return False
    since = _since(world, cut)
    lately = min(world.heard_seconds, math.inf if since is None else since) < _SPEAKS_FOR_SECONDS
    return lately or bool(complaint(world, cut))


def _since(world: World, cut: Revision) -> float | None:
    """For how many seconds its workers have been ready, and all of its template."""
    live = world.deployments.get(cut.name)
    if live is None:
        return None
    moment = podwords.rolled_out_at(live) or podwords.availability_changed_at(live)
    return (world.now - moment).total_seconds() if moment else None


def _spoken(world: World, cut: Revision) -> int | None:
    """What the workers of a revision keep; None where there are none, or none could say it yet."""
    if world.look is None or not world.ready(cut.name):
        return None
    said = world.look.spoken.get(cut.hash)
    if said and said.holds(world.look.now_ms):
        return said.number
    return protocol.SILENT if _could_speak(world, cut) else None


def _could_speak(world: World, cut: Revision) -> bool:
    """Whether silence means something: all workers are of one image, and Redis has long been there."""
    live, since = world.deployments.get(cut.name), _since(world, cut)
    if live is None or since is None or podwords.rolled_out_at(live) is None:
        return False
    return since >= _SPEAKS_AFTER_SECONDS and world.heard_seconds >= _HEARD_FOR_SECONDS


def _need(world: World, cut: Revision) -> protocol.Need:
    budget = budgets.budget_of(world.spec.budgets) if world.spec else None
    restricted = bool(world.spec and world.spec.restrictions)
    may_be_canary = world.rollout is not None and cut.name != world.status.stable_revision
    analysis = world.rollout.spec.analysis if world.rollout and may_be_canary else None
    shadowed = world.rollout is not None and world.rollout.spec.strategy.shadow is not None
    return protocol.need(
        cut.template, budget, restricted=restricted, analysis=analysis, shadowed=shadowed
    )


def _unkept(world: World, cut: Revision, number: int) -> str:
    need = _need(world, cut)
    if number >= need.number:
        return ""
    image, newer = world.installation.image_of(cut), world.installation.runtime_image
    who = cut.name if need.field.startswith("spec.template") else "the Agent"
    who = "the AgentRollout" if need.field.startswith((protocol.ANALYSIS, protocol.SHADOW)) else who
    words = f"the workers of image {image} do not keep {need.field}, which {who} declares: "
    if cut.template.worker.image:
        return (
            f"{words}leave spec.template.worker.image empty, which is {newer}, or set a newer image"
        )
    return f"{words}set runtime.image of the installation to that of this release"
