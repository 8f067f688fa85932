"""Which node image a cluster is made from."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_dev.kind import noderecipe, pins

VARIABLE = "KIND_NODE_IMAGE"
BUILT_HERE = "local"
UPSTREAM = "upstream"
# What a cluster of the image built here is and is not; printed whenever one is used.
LABEL = (
    f"Kubernetes {pins.KUBERNETES} on a node image built from source here (Debian "
    f"{pins.DEBIAN_RELEASE}, bridge network without NetworkPolicy), not the upstream kindest/node"
)


@dataclass(frozen=True)
class Choice:
    """An image and why it was taken; `built_here` when it comes from no registry."""

    reference: str
    reason: str
    built_here: bool = False


def choose(asked: str | None, *, registry_reachable: bool) -> Choice:
    """The image somebody asked for, else upstream's where it can be pulled, else our own.

    `asked` is an image's name, `local` or `upstream`.
    """
    match asked:
        case str() if asked == BUILT_HERE:
            return Choice(noderecipe.reference(), f"{VARIABLE}={asked}", built_here=True)
        case str() if asked and asked != UPSTREAM:
            return Choice(asked, f"{VARIABLE} names it")
        case str() if asked:
            return Choice(pins.UPSTREAM_NODE_IMAGE, f"{VARIABLE}={asked}")
        case _ if registry_reachable:
            return Choice(pins.UPSTREAM_NODE_IMAGE, "the registry answers")
        case _:
            return Choice(noderecipe.reference(), "no registry can be reached", built_here=True)
