"""What a field's metadata adds to its schema: bounds, patterns, list markers and CEL rules."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import annotated_types

from penstock.api.fields import Formerly, MapList, Opaque, Rule

Schema: TypeAlias = dict[str, Any]

_SMALLEST: Final = {"string": "minLength", "array": "minItems", "object": "minProperties"}
_LARGEST: Final = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}


class Unsupported(TypeError):
    """A model says something that the API server would refuse or not understand.

    Args:
        path: where in the resource, e.g. ``spec.template.tools[].name``.
        construct: what stands there.
    """

    def __init__(self, path: str, construct: str) -> None:
        super().__init__(f"{path}: {construct} has no place in a resource's schema")
        self.path = path


def apply(schema: Schema, metadata: tuple[Any, ...], path: str) -> None:
    """Write every constraint and marker of a field into its schema.

    Raises:
        Unsupported: metadata that is not known, that does not fit the type, or that comes twice.
    """
    for item in metadata:
        if isinstance(item, Formerly):
            continue  # a second name of the field, no bound of its value
        keyword, value = _keyword(schema, item, path)
        if keyword == _RULES:
            schema.setdefault(_RULES, []).append(value)
            continue
        if keyword in schema:
            raise Unsupported(path, f"{keyword} given twice")
        schema[keyword] = value
        if isinstance(item, MapList):
            _require_key(schema, item.key, path)
            schema["x-kubernetes-list-map-keys"] = [item.key]
    if schema["type"] == "array":
        schema.setdefault("x-kubernetes-list-type", "atomic")


_RULES: Final = "x-kubernetes-validations"


def _keyword(schema: Schema, item: Any, path: str) -> tuple[str, Any]:
    """The schema keyword that a piece of metadata stands for, and its value."""
    kind = schema["type"]
    match item:
        case annotated_types.Ge(ge=int(bound)) if kind == "integer":
            return "minimum", bound
        case annotated_types.Le(le=int(bound)) if kind == "integer":
            return "maximum", bound
        case annotated_types.MinLen(min_length=bound) if kind in _SMALLEST:
            return _SMALLEST[kind], bound
        case annotated_types.MaxLen(max_length=bound) if kind in _LARGEST:
            return _LARGEST[kind], bound
        case MapList() if kind == "array":
            return "x-kubernetes-list-type", "map"
        case Opaque() if kind == "object":
            return "x-kubernetes-preserve-unknown-fields", True
        case Rule(rule=rule, message=message):
            return _RULES, {"rule": rule, "message": message}
    attributes = getattr(item, "__dict__", {})  # pydantic keeps a pattern in a class of its own
    if kind == "string" and attributes.keys() == {"pattern"}:
        return "pattern", attributes["pattern"]
    raise Unsupported(path, f"{item!r} on a value of type {kind}")


def _require_key(schema: Schema, key: str, path: str) -> None:
    items = schema["items"]
    if key not in items.get("required", []) or items["properties"][key]["type"] != "string":
        raise Unsupported(path, f"a list told apart by {key}, which is not a required string,")


def require_bounds(schema: Schema, path: str) -> None:
    """Refuse strings, lists and maps that may grow without end.

    The API server estimates the cost of every CEL rule from these bounds; the size of an opaque
    object is looked at when it is reconciled.
    """
    needed: dict[str, Callable[[], bool]] = {
        "maxLength": lambda: schema["type"] == "string" and "enum" not in schema,
        "maxItems": lambda: schema["type"] == "array",
        "maxProperties": lambda: "additionalProperties" in schema,
    }
    for keyword, applies in needed.items():
        if applies() and keyword not in schema:
            raise Unsupported(path, f"a value without {keyword}")
