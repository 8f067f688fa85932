"""What an apply would make of each object, and what tells what follows from it. Plain data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from penstock import inputs
from penstock.money.prices import EMPTY, Table
from penstock_cli.seen import Document

AGENT: Final = "Agent"
ROLLOUT: Final = "AgentRollout"
CONFIGMAP: Final = "ConfigMap"
#: What of the cluster tells what follows, as ``Around.unread`` names it.
REVISIONS: Final = "its revisions"
ROLLOUTS: Final = "AgentRollouts"


@dataclass(frozen=True)
class Draft:
    """An object as it is in the cluster, and as an apply would make it.

    ``live`` is None where it is not there. ``refused``: why the API server would not take it, in its
    words; ``after`` is then what is written in the manifest. ``asked``: whether it could be asked; else the same.
    ``compared``: whether it is known what is in the cluster; ``unread`` says what of it could not be asked, and why.
    ``repeats``: where else the manifests hold an object of that name.
    """

    kind: str
    namespace: str
    name: str
    where: str
    after: Document
    live: Document | None = None
    refused: str = ""
    asked: bool = True
    compared: bool = True
    unread: str = ""
    repeats: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """By which objects are told apart."""
        return self.kind, self.namespace, self.name

    @property
    def left(self) -> Document | None:
        """What is in the cluster after an apply; None: nothing, or nobody can tell (``compared``)."""
        return self.live if self.refused else self.after

    def staying(self) -> "Draft":
        """The object of a refused manifest, which stays as it is."""
        return replace(self, after=self.live or {}, refused="")


@dataclass(frozen=True)
class Around:
    """What else tells what follows for an Agent.

    ``rollout``: the AgentRollout in charge, as it would be; None where there is none. ``references`` is
    what the revision would refer to, ``referred`` what that is now; ``missing`` says why there is none. Without
    ``prices`` those of the installation could not be read. ``unread`` says of the rest what could not be
    read, and why. ``refused``: of manifests that would be refused, what is there in their place, in sentences.
    """

    rollout: Document | None = None
    records: tuple[Document, ...] = ()
    deployments: tuple[Document, ...] = ()
    references: dict[str, str] = field(default_factory=dict)
    referred: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    prices: Table | None = EMPTY
    unread: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()


def settled(drafts: Sequence[Draft]) -> list[Draft]:
    """Each object once: of several manifests of one the last that is taken counts; refused ones stand beside it."""
    last = {one.key: one for one in drafts if not one.refused}
    found: list[Draft] = []
    for one in drafts:
        others = tuple(other.where for other in drafts if other.key == one.key and other is not one)
        if one.refused:  # what the others make of the object is what there is
            taken = last.get(one.key)
            found.append(replace(one, live=taken.after if taken else one.live, repeats=others))
        elif one is last[one.key]:
            found.append(replace(one, repeats=others))
    return found


def find(drafts: Iterable[Draft], kind: str, namespace: str, name: str) -> Draft | None:
    """The object of a name, by the manifest that would be taken; None where no manifest holds it."""
    found = [one for one in drafts if one.key == (kind, namespace, name)]
    return min(found, key=lambda one: bool(one.refused), default=None)


def stays(draft: Draft) -> str:
    """What is there in place of a refused manifest, in a sentence."""
    subject = f"{draft.kind} {draft.name} would be refused"
    return f"{subject}, and stays as it is" if draft.live else f"{subject}, and is not there"


def untold(draft: Draft) -> str:
    """Why nobody can tell what is there in place of a refused manifest, in a sentence."""
    subject = f"{draft.kind} {draft.name} would be refused"
    return draft.unread or f"{subject}, and what is there in its place was not asked"


def partners(drafts: Sequence[Draft], agent: Draft) -> Iterator[Draft]:
    """What the manifests hold that is for an Agent: its AgentRollouts, and the ConfigMap of its instructions."""
    for key in dict.fromkeys(one.key for one in drafts if one.namespace == agent.namespace):
        one = find(drafts, *key)
        if one and one.kind == ROLLOUT:
            if agent.name in (agent_of(one.after), agent_of(one.left or {})):
                yield one
        elif one and one.kind == CONFIGMAP and refers(agent.after, one.name):
            yield one


def agent_of(rollout: Document) -> str:
    """The Agent that an AgentRollout is for; empty where nobody can tell."""
    spec = rollout.get("spec")
    ref = spec.get("agentRef") if isinstance(spec, dict) else None
    return str(ref.get("name") or "") if isinstance(ref, dict) else ""


def refers(agent: Document | None, configmap: str) -> bool:
    """Whether an Agent takes its instructions from a ConfigMap of its namespace."""
    wanted = inputs.source(agent or {})
    return wanted is not None and wanted.config_map_key_ref.name == configmap


def in_charge(planned: list[Document], live: list[Document], agent: Draft) -> Document | None:
    """The oldest AgentRollout of an Agent; those that are still to be made come last."""
    mine = {one["metadata"]["name"]: one for one in live if agent_of(one) == agent.name}
    mine |= {one["metadata"]["name"]: one for one in planned if agent_of(one) == agent.name}
    there = {one["metadata"]["name"] for one in live}

    def age(one: Document) -> tuple[bool, str, str]:
        name = one["metadata"]["name"]
        return name not in there, str(one["metadata"].get("creationTimestamp") or ""), name

    return min(mine.values(), key=age, default=None)
