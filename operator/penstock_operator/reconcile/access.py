"""What the workers have heard of their credential and their model: the condition, and who must mend it.

It is told to people and enters no decision: what judges a revision is how its tasks end. Revisions
that ask for the same model at the same address with the same key of a Secret share the newest word.
"""

from collections.abc import Hashable
from typing import Final

from penstock import kubectl
from penstock.access import Access, Heard
from penstock.api import addresses
from penstock.api.condition import Status
from penstock_operator.cluster.kinds import namespace_of
from penstock_operator.reconcile.course import Course, is_rejected
from penstock_operator.reconcile.stock import Known, Stock
from penstock_operator.reconcile.world import World

_REFUSALS: Final = (Access.CREDENTIALS_REFUSED, Access.MODEL_NOT_FOUND)

Word = tuple[bool | Status, str, str]  # status, reason, message


def credentials(world: World, stock: Stock, course: Course) -> Word:
    """Whether the model takes what the revisions with users, or about to have some, ask it with."""
    if world.look is None:
        return Status.UNKNOWN, "StoreUnavailable", world.look_error
    if refused := refusal(world, stock, course):
        return False, *refused
    concerned = _concerned(stock, course)
    for known in concerned:
        heard = _heard(world, stock, known)
        if heard is None:
            told = f"no worker of {known.name} has called its model yet: its first task tells"
            return Status.UNKNOWN, "NotCalled", told
        if heard.access is Access.UNTRIED:
            told = f"the credential of {known.name} was replaced: its next task tells"
            return Status.UNKNOWN, "Replaced", told
    if not concerned:
        return Status.UNKNOWN, "NoRevision", "no revision is there to call a model"
    return True, "Accepted", f"the model has answered {_named(concerned)}"


def refusal(world: World, stock: Stock, course: Course) -> tuple[str, str] | None:
    """Whom the model refuses, for what reason, and what mends it; stable before all others."""
    told = (_refusal_of(world, stock, known) for known in _concerned(stock, course))
    return next((why for why in told if why), None)


def stable_refusal(world: World, stock: Stock, course: Course) -> tuple[str, str] | None:
    """The same of stable alone: tasks are admitted, and fail."""
    stable = stock.get(course.split.stable)
    return _refusal_of(world, stock, stable) if stable else None


def _refusal_of(world: World, stock: Stock, known: Known) -> tuple[str, str] | None:
    heard = _heard(world, stock, known)
    if heard is None or heard.access not in _REFUSALS:
        return None
    tell = _credential if heard.access is Access.CREDENTIALS_REFUSED else _model
    return heard.access.value, tell(world, known)


def is_told(world: World, revision_hash: str) -> bool:
    """Whether a worker of this very revision has said anything."""
    return world.look is not None and revision_hash in world.look.heard


def _concerned(stock: Stock, course: Course) -> list[Known]:
    """The revisions that have users or shall get some: one that was rejected gets none."""
    names = dict.fromkeys((course.split.stable, course.split.canary, stock.latest))
    found = [known for name in names if (known := stock.get(name))]
    return [
        known
        for known in found
        if known.name == course.split.stable or not is_rejected(course, known)
    ]


def _heard(world: World, stock: Stock, known: Known) -> Heard | None:
    """The newest word of any revision that asks as this one does."""
    told = world.look.heard if world.look else {}
    asks, heard = _asks(known), (o for o in stock.known.values() if o.cut.hash in told)
    words = [told[other.cut.hash] for other in heard if _asks(other) == asks]
    return max(words, key=lambda word: word.at_ms, default=None)


def _asks(known: Known) -> Hashable:
    """What a model's endpoint sees of a revision's right to ask."""
    model = known.cut.template.model
    ref = model.credentials_secret_ref
    tiers = frozenset(tier.model for tier in known.cut.template.tiers)
    return model.provider, model.name, tiers, model.base_url, (ref.name, ref.key) if ref else None


def _credential(world: World, known: Known) -> str:
    ref = known.cut.template.model.credentials_secret_ref
    namespace = namespace_of(world.agent)
    if ref is None:
        make = kubectl.create_secret(namespace, "anthropic", "api-key")
        return (
            f"the model's endpoint refuses {known.name}, which sends no credential: {make}, and name "
            "it in spec.template.model.credentialsSecretRef"
        )
    return (
        f"the model's endpoint refuses the credential of {known.name}, key {ref.key} of Secret "
        f"{ref.name}: {kubectl.change_secret(namespace, ref.name, ref.key)}; workers take it by "
        "themselves"
    )


def _model(_world: World, known: Known) -> str:
    model = known.cut.template.model
    declared = model.base_url
    there = addresses.shown(declared) if declared else "the installation's endpoint"
    if tiers := known.cut.template.tiers:
        asked = ", ".join(dict.fromkeys((model.name, *(tier.model for tier in tiers))))
        return (
            f"{there} does not serve one of the models {asked} to {known.name}: correct "
            "spec.template.model.name, a model of spec.template.tiers, or spec.template.model.baseURL, "
            "to which /v1/messages is appended"
        )
    return (
        f"{there} does not serve model {model.name} to {known.name}: correct "
        "spec.template.model.name or spec.template.model.baseURL, to which /v1/messages is appended"
    )


def _named(concerned: list[Known]) -> str:
    return " and ".join(known.name for known in concerned)
