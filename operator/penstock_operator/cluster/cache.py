"""What the operator knows of the cluster: the newest version seen of each object."""

import sys
from collections import defaultdict
from collections.abc import Iterable

from penstock import names
from penstock.names import AgentKey
from penstock_operator.cluster.kinds import (
    AGENT,
    ROLLOUT,
    Kind,
    Object,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
    version_of,
)


def owner_key(kind: Kind, obj: Object) -> AgentKey | None:
    """The agent an object belongs to; None when it is nobody's."""
    namespace = namespace_of(obj)
    if kind is AGENT:
        return AgentKey(namespace, name_of(obj))
    if kind is ROLLOUT:
        reference = spec_of(obj).get("agentRef")
        name = reference.get("name") if isinstance(reference, dict) else None
        return AgentKey(namespace, name) if name and isinstance(name, str) else None
    agent = labels_of(obj).get(names.LABEL_AGENT)
    return AgentKey(namespace, agent) if agent else None


class Cache:
    """Objects by kind, namespace and name; writes of our own go in at once."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._by_agent: dict[str, dict[AgentKey, dict[str, Object]]] = defaultdict(
            lambda: defaultdict(dict)
        )

    def observe(self, kind: Kind, obj: Object) -> bool:
        """Take an object in; False when a newer version of it is known already."""
        obj["metadata"].pop("managedFields", None)
        data = obj.get("data")
        if isinstance(data, dict) and isinstance(text := data.get(names.PRICES_FILE), str):
            data[names.PRICES_FILE] = sys.intern(text)  # each Agent has the same, of up to 512 KiB
        place = (namespace_of(obj), name_of(obj))
        known = self._objects[kind.kind].get(place)
        if known and uid_of(known) == uid_of(obj) and version_of(known) >= version_of(obj):
            return False
        if known:
            self._drop(kind, known)
        self._objects[kind.kind][place] = obj
        owner = owner_key(kind, obj)
        if owner:
            self._by_agent[kind.kind][owner][name_of(obj)] = obj
        return True

    def forget(self, kind: Kind, obj: Object) -> None:
        """Drop an object that was deleted, unless another one took its name."""
        known = self._objects[kind.kind].get((namespace_of(obj), name_of(obj)))
        if known and uid_of(known) == uid_of(obj):
            self._drop(kind, known)

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, if it is known."""
        return self._objects[kind.kind].get((namespace, name))

    def of_agent(self, kind: Kind, key: AgentKey) -> list[Object]:
        """All known objects of a kind that belong to an agent."""
        return list(self._by_agent[kind.kind].get(key, {}).values())

    def all(self, kind: Kind) -> list[Object]:
        """All known objects of a kind."""
        return list(self._objects[kind.kind].values())

    def settle(
        self,
        kind: Kind,
        listed: Iterable[Object],
        list_version: int,
        namespace: str | None = None,
    ) -> list[Object]:
        """Make the cache equal to a consistent list (of one namespace, or of all).

        Returns what had changed or vanished unnoticed.
        """
        listed = list(listed)
        there = {(namespace_of(obj), name_of(obj)) for obj in listed}
        gone = [
            obj
            for place, obj in self._objects[kind.kind].items()
            if place not in there
            and namespace in (None, place[0])
            and version_of(obj) <= list_version
        ]
        for obj in gone:
            self._drop(kind, obj)
        return gone + [obj for obj in listed if self.observe(kind, obj)]

    def size(self, kind: Kind) -> int:
        """How many objects of a kind are known."""
        return len(self._objects[kind.kind])

    def _drop(self, kind: Kind, obj: Object) -> None:
        self._objects[kind.kind].pop((namespace_of(obj), name_of(obj)), None)
        owner = owner_key(kind, obj)
        if owner:
            mine = self._by_agent[kind.kind].get(owner, {})
            mine.pop(name_of(obj), None)
            if not mine:
                self._by_agent[kind.kind].pop(owner, None)
