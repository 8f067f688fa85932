"""Whether a child is what was declared: what the API server drops or fills in is no difference.

The rules are the API server's own. A text, list or map without content is not stored. A quantity
is stored in its shortest spelling. A list with keys belongs to several hands: the items of others
stay in it, and so does its order. A ``false`` or a zero is stored, and absence means the default.
"""

import hashlib
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final, TypeAlias

from penstock import revision
from penstock_operator.cluster.kinds import Object, name_of

#: Lists whose items are told apart by fields of theirs, as the API server merges them.
_KEYED: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
#: Maps of texts, whose entries are kept even where they are empty.
_TEXTS: Final = frozenset(
    {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector"}
)
#: Maps of quantities.
_QUANTITIES: Final = frozenset({"limits", "requests"})
_QUANTITY: Final = re.compile(
    r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]+)|([KMGTPE]i|[numkMGTPE]))?"
)
_UNITS: Final[Mapping[str, Decimal]] = {
    **{f"{unit}i": Decimal(1024) ** n for n, unit in enumerate("KMGTPE", 1)},
    **{unit: Decimal(1000) ** n for n, unit in enumerate("kMGTPE", 1)},
    "": Decimal(1),
    "m": Decimal("1e-3"),
    "u": Decimal("1e-6"),
    "n": Decimal("1e-9"),
}
_LARGEST: Final = Decimal(2**63 - 1)
_SMALLEST_STEP: Final = Decimal("0.001")
_ABSENT: Final = object()

#: Digests of a child as applied and as the API server then answered.
Answer: TypeAlias = tuple[str, str]
#: The answers that were not quite what was asked for, by kind and name.
Answers: TypeAlias = Mapping[tuple[str, str], Answer]


def differs(wanted: Object, live: Object) -> bool:
    """Whether the fields we own differ from what is live; fields we never set do not count."""
    return _differs("", wanted, live)


def pending(wanted: Object, live: Object | None, answers: Answers) -> bool:
    """Whether a child must be applied: it is missing, or differs and was not answered so before.

    What an admission webhook makes of a child, or what no rule here knows, is thereby applied
    once and not with every pass.
    """
    if live is None or not differs(wanted, live):
        return live is None
    return answers.get((wanted["kind"], name_of(wanted))) != answer(wanted, live)


def answer(wanted: Object, live: Object) -> Answer:
    """What was asked for and what is there, to be known again."""
    return _substance(wanted), _substance(live)


def _substance(obj: Object) -> str:
    """A digest of an object without what changes by itself: status, version, bookkeeping."""
    head = obj.get("metadata") or {}
    kept = {key: head.get(key) for key in ("uid", "labels", "annotations", "ownerReferences")}
    rest = {key: part for key, part in obj.items() if key not in ("metadata", "status")}
    return hashlib.sha256(revision.canonical([kept, rest]).encode()).hexdigest()


def _differs(field: str, wanted: Any, live: Any) -> bool:
    if _empty(wanted):
        return not (live is _ABSENT or _empty(live) or isinstance(wanted, dict))
    if isinstance(wanted, dict):
        there = {} if live is _ABSENT or live is None else live
        return not isinstance(there, dict) or _map_differs(field, wanted, there)
    if isinstance(wanted, list):
        return not isinstance(live, list) or _list_differs(field, wanted, live)
    return bool(wanted != live) or isinstance(wanted, bool) is not isinstance(live, bool)


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _map_differs(field: str, wanted: dict[str, Any], live: dict[str, Any]) -> bool:
    if field in _TEXTS:
        return any(live.get(key) != text for key, text in wanted.items())
    if field in _QUANTITIES:
        return any(_amount(live.get(key)) != _amount(text) for key, text in wanted.items())
    return any(_differs(key, part, live.get(key, _ABSENT)) for key, part in wanted.items())


def _list_differs(field: str, wanted: list[Any], live: list[Any]) -> bool:
    if keys := _KEYED.get(field):
        theirs = {_key(item, keys): item for item in live}
        return any(_differs("", item, theirs.get(_key(item, keys), _ABSENT)) for item in wanted)
    pairs = zip(wanted, live, strict=False)
    return len(wanted) != len(live) or any(_differs("", mine, theirs) for mine, theirs in pairs)


def _key(item: dict[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(key) for key in keys)


def _amount(text: Any) -> Any:
    """A quantity as the number that is stored: in whole thousandths, rounded up, and bounded."""
    found = _QUANTITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        return text  # no quantity: the API server says so itself
    digits, exponent, unit = found.groups()
    try:
        exact = Decimal(digits + (exponent or "")) * _UNITS[unit or ""]
        return min(exact, _LARGEST).quantize(_SMALLEST_STEP, ROUND_CEILING)
    except ArithmeticError:
        return text
