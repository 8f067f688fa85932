"""Building blocks of the custom resources: the model class, bounded strings, money."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

_ACRONYMS: Final = {"url": "URL", "usd": "USD"}


def camel(name: str) -> str:
    """snake_case to the API's camelCase: ``base_url`` is ``baseURL``, ``cost_usd`` is ``costUSD``."""
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


class Block(BaseModel):
    """A block of a resource: immutable, camelCase on the wire, unknown fields are passed over."""

    model_config = ConfigDict(alias_generator=camel, populate_by_name=True, frozen=True)

    def wire(self) -> dict[str, Any]:
        """The block as the API server stores it: camelCase, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class MapList:
    """Marks a list whose items are told apart by one of their fields (x-kubernetes-list-type: map)."""

    def __init__(self, key: str) -> None:
        self.key = key


class Rule:
    """A CEL rule of the schema at the place it is attached to.

    Args:
        rule: the CEL expression; ``self`` is the value, ``oldSelf`` the one before an update.
        message: what the user reads when it is false.
    """

    def __init__(self, rule: str, message: str) -> None:
        self.rule = rule
        self.message = message


class Formerly:
    """Marks a field that the release before knew under another name.

    The schema declares both names, since the API server drops what it does not know even when an
    object is only read. ``renamed`` reads either; only the field's own name is written.

    Args:
        name: the name before, as it stands on the wire.
    """

    def __init__(self, name: str) -> None:
        self.name = name


def former_name(info: FieldInfo) -> str:
    """The name of a field in the release before; empty where it has not changed."""
    return next((part.name for part in info.metadata if isinstance(part, Formerly)), "")


def renamed(kind: type[Block], raw: dict[str, Any]) -> dict[str, Any]:
    """A block as it was stored, each former name in it replaced by the name of today.

    Where both stand, the one of today holds. What is no block of the kind is left as it is.
    """
    known = dict(raw)
    for info in kind.model_fields.values():
        name, before = str(info.alias), former_name(info)
        if before and before in known:
            former = known.pop(before)
            known.setdefault(name, former)
        inside = info.annotation
        if (
            isinstance(inside, type)
            and issubclass(inside, Block)
            and isinstance(known.get(name), dict)
        ):
            known[name] = renamed(inside, known[name])
    return known


class Opaque:
    """Marks an object that the API server keeps as written (x-kubernetes-preserve-unknown-fields)."""


#: A DNS-1123 label or subdomain that names another object.
ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]
#: A key of a ConfigMap or Secret.
DataKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
#: The id of a model, as its API knows it.
ModelName = Annotated[str, Field(min_length=1, max_length=128)]
Percent = Annotated[int, Field(ge=0, le=100)]
Timestamp = Annotated[str, Field(max_length=40)]
Message = Annotated[str, Field(max_length=2048)]

#: US dollars as a decimal string with at most six places, greater than zero.
Money = Annotated[
    str,
    Field(max_length=17, pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$"),
    Rule(
        "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
        'must be an amount above zero in USD, such as "0.50"',
    ),
]

#: Which request annotations were answered: none of them acts again.
AnsweredRequests = Annotated[
    tuple[Annotated[str, Field(max_length=16)], ...],
    Field(
        max_length=32,
        description="Digests of the last 32 request annotations that were answered: sent again, they "
        "do nothing.",
    ),
]

#: US dollars per million tokens as a decimal string with at most six places; "0": for nothing.
TokenRate = Annotated[str, Field(max_length=17, pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$")]


def micro_usd(amount: str) -> int:
    """A money field in whole millionths of a US dollar."""
    return int(Decimal(amount) * 1_000_000)
