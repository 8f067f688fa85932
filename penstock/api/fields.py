"""Building blocks of the custom resources: the model class, bounded strings, money."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

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


def micro_usd(amount: str) -> int:
    """A money field in whole millionths of a US dollar."""
    return int(Decimal(amount) * 1_000_000)
