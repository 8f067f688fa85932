"""The revision that a person means: by its name, its hash or the beginning of that, or a version that it declares."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from penstock import names

_FEWEST: Final = 4  # letters of a hash
_SHOWN: Final = 10
_LONGEST: Final = 64  # characters of a version that is shown
_NUMBERED: Final = re.compile(r"^[vV](?=[0-9])")


def named(agent: str, text: str, versions: Mapping[str, str]) -> str:
    """The hash of a revision of an agent.

    What is written in full comes first: ``3`` is a version 3 before it is a version v3, and that before the
    beginning of a hash.

    Args:
        agent: its name.
        versions: what the revisions declare, by hash; a whole hash need not be there.

    Raises:
        ValueError: none can be meant, or several can; in words that follow on what was given.
    """
    known = {each: version for each, version in versions.items() if names.is_hash(each)}
    found = names.hash_of(text)
    meant = {each for each, version in known.items() if text and version == text}
    if is_whole(agent, text) and (found in known or not meant):
        meant |= {found}
    meant = meant or _like(text, known) or _begun(agent, text, known)
    if not meant:
        raise ValueError(_unknown(agent, known))
    if len(meant) > 1:
        told = _listed(names.revision_name(agent, each) for each in meant)
        raise ValueError(f"it may be any of {told}: give the name of one")
    return meant.pop()


def is_whole(agent: str, text: str) -> bool:
    """Whether it is the whole name or hash of a revision of an agent, which mean no other one later on."""
    found = names.hash_of(text)
    return names.is_hash(found) and text in (found, names.revision_name(agent, found))


def _like(text: str, known: Mapping[str, str]) -> set[str]:
    """Who declares the version but for the v before its number."""
    bare = _NUMBERED.sub("", text)
    return {each for each, version in known.items() if bare and _NUMBERED.sub("", version) == bare}


def _begun(agent: str, text: str, known: Mapping[str, str]) -> set[str]:
    """Whose hash begins so, by itself or after the name of the agent."""
    before_hash = names.revision_name(agent, "0" * names.HASH_LENGTH)[: -names.HASH_LENGTH]
    beginning = text.removeprefix(before_hash)
    if len(beginning) < _FEWEST:
        return set()
    return {each for each in known if each.startswith(beginning)}


def _unknown(agent: str, known: Mapping[str, str]) -> str:
    must = f"it must be the name of a revision of the agent, {names.revision_name(agent, '<hash>')}"
    if not known:
        return f"{must}, or its hash; declared versions are not known here"
    told = _listed({version for version in known.values() if version}) or "none does"
    return f"{must}, its hash or the beginning of it, or a version that one declares ({told})"


def _listed(words: Iterable[str]) -> str:
    found = sorted(words)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(_shown(word) for word in found[:_SHOWN]) + more


def _shown(word: str) -> str:
    return "".join(char if char.isprintable() else " " for char in word[:_LONGEST])
