"""How often a JSON Schema may be looked at: its size with every reference written out.

A schema of a kilobyte may stand for one of a gigabyte, since each ``$ref`` may lead to two more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

#: What no size passes: a schema that refers to itself without going down into the input is this.
UNBOUNDED: Final = 10**12
#: How many levels of the input a recursion is followed through.
RECURSION_LEVELS: Final = 4
#: Places of recursions that are carried from schema to schema; more of them is UNBOUNDED.
MAX_CARRIED: Final = 50_000

_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_HERE: Final = ("not", "if", "then", "else")
_HERE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_HERE_NAMED: Final = ("dependentSchemas", "dependencies")
_BELOW: Final = (
    "additionalItems", "additionalProperties", "contains", "items", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_ITEMS: Final = ("additionalItems", "contains", "items", "unevaluatedItems")
_EACH_ITEM: Final = "[]"
_EACH_NAME: Final = "*"
_AGAIN: Final = ("unevaluatedItems", "unevaluatedProperties")


@dataclass
class _Node:
    """A schema: its own weight, what is asked of the same value, and what of the values in it.

    ``here`` and ``below`` hold numbers of nodes; ``below`` with the place in the value, since two
    schemas at one place both look at it, and two at different places do not.
    """

    weight: int = 1
    times: int = 1
    here: list[int] = field(default_factory=list)
    below: list[tuple[str, int]] = field(default_factory=list)

    def edges(self) -> list[int]:
        return [*self.here, *(child for _, child in self.below)]


@dataclass
class _Cost:
    """Looks at one value: ``fixed``, and by place what a recursion adds, per level so far."""

    fixed: int
    again: dict[str, int]

    @property
    def total(self) -> int:
        named = max((n for place, n in self.again.items() if place not in _WILD), default=0)
        names = named + self.again.get(_EACH_NAME, 0)
        return min(UNBOUNDED, self.fixed + max(names, self.again.get(_EACH_ITEM, 0)))


_WILD: Final = (_EACH_ITEM, _EACH_NAME)


def size(root: Mapping[str, Any]) -> int:
    """How many schemas there are when each reference is replaced by what it leads to.

    Values of an ``enum`` count as schemas, and what ``unevaluatedProperties`` has looked at again
    counts twice. A recursion that goes down into the input counts through RECURSION_LEVELS levels,
    by its most visited property. One that does not go down is UNBOUNDED. The time it takes grows
    with the schema as written, not with what it stands for.
    """
    nodes = _collect(root)
    order = _postorder([node.here for node in nodes])
    if order is None:
        return UNBOUNDED
    place = {number: i for i, number in enumerate(order)}
    totals: dict[int, int] = {}
    carried = 0
    for group in _components([node.edges() for node in nodes]):
        carried += _measure(nodes, sorted(group, key=place.__getitem__), totals)
        if carried > MAX_CARRIED:
            return UNBOUNDED
    return totals[0]


def _collect(root: Mapping[str, Any]) -> list[_Node]:
    """Every schema that can be reached, the root first."""
    numbers = {id(root): 0}
    found: list[Mapping[str, Any]] = [root]
    nodes = []

    def number(schema: Mapping[str, Any]) -> int:
        if id(schema) not in numbers:
            numbers[id(schema)] = len(found)
            found.append(schema)
        return numbers[id(schema)]

    for schema in found:  # grows while it is read
        choices = schema.get("enum")
        node = _Node(1 + (len(choices) if isinstance(choices, list) else 0))
        node.times = 2 if any(keyword in schema for keyword in _AGAIN) else 1
        node.here = [number(inner) for inner in _here(schema, root)]
        node.below = [(where, number(inner)) for where, inner in _below(schema)]
        nodes.append(node)
    return nodes


def _here(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for keyword in _HERE:
        yield from _objects([schema.get(keyword)])
    for keyword in _HERE_LISTS:
        yield from _objects(schema.get(keyword))
    for keyword in _HERE_NAMED:
        yield from _objects(schema.get(keyword))
    for keyword in _REFERENCES:
        if isinstance(pointer := schema.get(keyword), str):
            yield from _objects([resolve(root, pointer)])


def _below(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, inner in properties.items():
            yield from ((f".{name}", found) for found in _objects([inner]))
    for inner in _objects(schema.get("patternProperties")):
        yield _EACH_NAME, inner
    for inner in _objects(schema.get("prefixItems")):
        yield _EACH_ITEM, inner
    for keyword in _BELOW:
        value = schema.get(keyword)
        for inner in _objects(value if isinstance(value, list) else [value]):
            yield _EACH_ITEM if keyword in _ITEMS else _EACH_NAME, inner


def _objects(values: Any) -> Iterator[Mapping[str, Any]]:
    listed = values.values() if isinstance(values, Mapping) else values
    if isinstance(listed, list) or isinstance(values, Mapping):
        yield from (value for value in listed if isinstance(value, Mapping))


def resolve(root: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901, as a URI fragment) leads to; None when it leads nowhere."""
    place = root
    for part in unquote(pointer).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, Mapping) and key in place:
            place = place[key]
        else:
            return None
    return place


def _measure(nodes: list[_Node], group: list[int], totals: dict[int, int]) -> int:
    """Totals of nodes that lead to one another; those of all others they lead to are known.

    Returns the number of places that were carried; past MAX_CARRIED there are no totals.
    """
    members, carried = set(group), 0
    recursive = len(group) > 1 or group[0] in nodes[group[0]].edges()
    before = dict.fromkeys(group, 0)
    for _ in range(RECURSION_LEVELS if recursive else 1):
        costs: dict[int, _Cost] = {}
        for number in group:  # what is asked of the same value comes before who asks
            costs[number] = _cost(nodes[number], members, totals, before, costs)
            carried += len(costs[number].again)
            if carried > MAX_CARRIED:
                return carried
        before = {number: cost.total for number, cost in costs.items()}
    totals |= before
    return carried


def _cost(
    node: _Node,
    members: set[int],
    totals: Mapping[int, int],
    before: Mapping[int, int],
    costs: Mapping[int, _Cost],
) -> _Cost:
    fixed, again = 0, dict[str, int]()
    for child in node.here:
        if child not in members:
            fixed += totals[child]
            continue
        fixed += costs[child].fixed
        for place, looks in costs[child].again.items():
            again[place] = again.get(place, 0) + looks
    for place, child in node.below:
        if child in members:
            again[place] = again.get(place, 0) + before[child]
        else:
            fixed += totals[child]
    times = node.times
    return _Cost(
        min(UNBOUNDED, node.weight + times * fixed),
        {place: min(UNBOUNDED, times * looks) for place, looks in again.items()},
    )


def _postorder(edges: list[list[int]]) -> list[int] | None:
    """All nodes, each after those it leads to; None when some lead to themselves."""
    order: list[int] = []
    state = [0] * len(edges)  # 0: not seen, 1: being looked at, 2: done
    for start in range(len(edges)):
        stack = [start]
        while stack:
            node = stack[-1]
            if state[node] == 0:
                state[node] = 1
                if any(state[child] == 1 for child in edges[node]):
                    return None
                stack += [child for child in edges[node] if state[child] == 0]
                continue
            stack.pop()
            if state[node] == 1:
                state[node] = 2
                order.append(node)
    return order


def _components(edges: list[list[int]]) -> list[list[int]]:
    """Groups of nodes that lead to one another, each after those it leads to (Tarjan 1972)."""
    low: dict[int, int] = {}
    seen: dict[int, int] = {}
    path: list[int] = []
    groups: list[list[int]] = []
    work: list[tuple[int, int]] = [(0, 0)]
    while work:
        node, at = work.pop()
        if at == 0:
            seen[node] = low[node] = len(seen)
            path.append(node)
        elif edges[node][at - 1] in low:
            low[node] = min(low[node], low[edges[node][at - 1]])
        while at < len(edges[node]) and edges[node][at] in seen:
            child = edges[node][at]
            low[node] = min(low[node], low.get(child, low[node]))
            at += 1
        if at < len(edges[node]):
            work += [(node, at + 1), (edges[node][at], 0)]
        elif low[node] == seen[node]:
            cut = path.index(node)
            groups.append(path[cut:])
            for member in path[cut:]:
                del low[member]
            del path[cut:]
    return groups
