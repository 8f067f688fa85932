"""Which escalations a caller looks for: the query, read within bounds, refused in one sentence."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from penstock import escalation, names
from penstock.names import AgentKey
from penstock_runtime.gateway import bodies, plain, searching
from penstock_runtime.gateway.problems import Problem
from penstock_store.effects import SoughtEffects
from penstock_store.escalations import Sought

_ENTRY: Final = re.compile(r"[0-9]{1,20}-[0-9]{1,20}", re.ASCII)

#: What can be asked for, in the order of the reference, and what it means.
PARAMETERS: Final[Mapping[str, str]] = {
    "namespace": "Only of agents in this namespace.",
    "agent": "Only of this agent; with namespace.",
    "tool": "Only calls of this tool.",
    "user": "Only of tasks for this user.",
    "revision": "Only of this revision: with namespace and agent its name, its hash or the beginning of that, or its "
    "declared version; else its name or whole hash.",
    "limit": f"How many a page has at most: 1 to {searching.MAX_ITEMS}, else {searching.DEFAULT_ITEMS}.",
    "continue": "What the page before said under the same name.",
}


EFFECT_PARAMETERS: Final[Mapping[str, str]] = {
    "revision": f"Only its calls. {searching.A_REVISION}",
    "task": "Only of the task of this id.",
    "user": "Only of tasks for this user.",
    "limit": f"How many known ones a page has at most: 1 to {searching.MAX_ITEMS}, else {searching.DEFAULT_ITEMS}.",
    "continue": "What the page before said under the same name.",
}


#: Rows are small, and a rollout has many.
MAX_ROWS: Final = 5000
DEFAULT_ROWS: Final = 1000
ROW_PARAMETERS: Final[Mapping[str, str]] = {
    "limit": f"How many rows a page has at most: 1 to {MAX_ROWS}, else {DEFAULT_ROWS}.",
    "continue": "The id of a row: those after it. The page before says it under the same name.",
}
COPY_PARAMETERS: Final[Mapping[str, str]] = {
    "revision": f"Whose copies; it must be there. {searching.A_REVISION}",
}


@dataclass(frozen=True)
class Search:
    """What is looked for; ``place`` is the agent to go on with, and how far it was read.

    ``revision`` is a hash; of one agent what was said, until ``known`` knows what that agent's revisions declare.
    """

    namespace: str = ""
    agent: str = ""
    tool: str = ""
    user: str = ""
    revision: str = ""
    limit: int = searching.DEFAULT_ITEMS
    place: tuple[str, str] = ("", "")

    def known(self, agent: AgentKey, versions: Mapping[str, str]) -> "Search":
        """The same of one agent, with the hash of its revision.

        Args:
            versions: what the agent's revisions declare, by hash.

        Raises:
            Problem: invalid-query.
        """
        return replace(self, revision=searching.revision(agent, self.revision, versions))

    def of(self, tenant: str) -> Sought:
        """What is looked for of each agent; ``tenant`` is empty for those of all."""
        return Sought(tenant, self.user, self.tool, self.revision)


def read(query: Sequence[tuple[str, str]]) -> Search:
    """What a query asks for; an empty value is as good as none.

    Raises:
        Problem: invalid-query.
    """
    given = _given(query, PARAMETERS)
    if given.get("agent") and not given.get("namespace"):
        raise Problem("invalid-query", "The parameter agent goes with the parameter namespace.")
    words = {name: given.get(name, "") for name in ("namespace", "agent", "tool", "user")}
    revision = given.get("revision", "")
    return Search(
        **words,
        revision=revision if words["agent"] else _revision(revision),
        limit=_limit(given.get("limit", "")),
        place=_place(given.get("continue", "")),
    )


def read_effects(
    agent: AgentKey, query: Sequence[tuple[str, str]], versions: Mapping[str, str]
) -> tuple[SoughtEffects, str, int]:
    """Which effects of an agent a query asks for, after which one, and how many at most.

    Args:
        versions: what the agent's revisions declare, by hash.

    Raises:
        Problem: invalid-query.
    """
    given = _given(query, EFFECT_PARAMETERS)
    after = _entry(given.get("continue", ""))
    sought = SoughtEffects(
        user=given.get("user", ""),
        revision=searching.revision(agent, given.get("revision", ""), versions),
        task=given.get("task", "").rpartition(".")[2],
    )
    return sought, after, _limit(given.get("limit", ""))


def read_rows(query: Sequence[tuple[str, str]]) -> tuple[str, int]:
    """After which row a query asks for rows, and how many at most.

    Raises:
        Problem: invalid-query.
    """
    given = _given(query, ROW_PARAMETERS)
    limit = _limit(given.get("limit", ""), MAX_ROWS, DEFAULT_ROWS)
    return _entry(given.get("continue", "")), limit


def read_copies(
    agent: AgentKey, query: Sequence[tuple[str, str]], versions: Mapping[str, str]
) -> str:
    """The hash of the revision of whose copies a query asks.

    Args:
        versions: what the agent's revisions declare, by hash.

    Raises:
        Problem: invalid-query.
    """
    given = _given(query, COPY_PARAMETERS)
    revision = searching.revision(agent, given.get("revision", ""), versions)
    if not revision:
        raise Problem("invalid-query", "The parameter revision must name a revision.")
    return revision


def _entry(text: str) -> str:
    if text and not _ENTRY.fullmatch(text):
        detail = "The parameter continue must be what a page before said under continue."
        raise Problem("invalid-query", detail)
    return text


def _revision(given: str) -> str:
    """The hash of a revision, by its name or hash; empty where none is asked for."""
    try:
        return names.hash_named(given) if given else ""
    except ValueError as error:
        more = "; a version or the beginning of a hash goes with namespace and agent"
        raise Problem("invalid-query", f"revision {error}{more}.") from None


def _given(query: Sequence[tuple[str, str]], known: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in query:
        if name not in known:
            shown = plain.one_line(name, bodies.MAX_SHOWN)
            there = ", ".join(known)
            raise Problem("invalid-query", f"There is no parameter {shown!r}; there are {there}.")
        if name in given:
            raise Problem("invalid-query", f"The parameter {name} may be given once.")
        given[name] = value[: bodies.MAX_NAME_LENGTH * 4]
    return given


def _limit(text: str, most: int = searching.MAX_ITEMS, usual: int = searching.DEFAULT_ITEMS) -> int:
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:7]) <= most):
        shown = plain.one_line(text, bodies.MAX_SHOWN)
        detail = f"The parameter limit is {shown!r}; it must be a number from 1 to {most}."
        raise Problem("invalid-query", detail)
    return int(text)


def _place(text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    try:
        agent, after = escalation.parts_of(text)
        if after:
            score, _ = escalation.parts_of(after)
            int(score)
    except ValueError:
        detail = "The parameter continue must be what a page before said under continue."
        raise Problem("invalid-query", detail) from None
    return agent, after
