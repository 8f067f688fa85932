"""Compiles the resource models into structural OpenAPI v3 schemas, understanding only a fixed set.

The API server accepts a small part of what pydantic can say. Every construct is therefore named
here, and any other raises :class:`Unsupported` with its path while the schema is generated,
instead of being refused, or worse misread, by a server later.
"""

from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from penstock.api import constraints
from penstock.api.constraints import Unsupported
from penstock.api.fields import Opaque, former_name

Schema: TypeAlias = dict[str, Any]

#: Words that YAML 1.1 reads as booleans: unquoted they would never arrive as strings. (True and
#: False are what Kubernetes writes into conditions; programs write those, quoted.)
_YAML_BOOLEANS: Final = {"y", "n", "yes", "no", "on", "off"}
#: What a field may carry besides its type, description, default and constraints: nothing.
_REFUSED_ATTRIBUTES: Final = (
    "default_factory",
    "deprecated",
    "discriminator",
    "examples",
    "exclude",
    "json_schema_extra",
    "title",
)
_INT32: Final = 2**31


def compile_block(model: type[BaseModel], path: str, above: tuple[type, ...] = ()) -> Schema:
    """The schema of a model: an object with a described property for each of its fields.

    Args:
        model: the block.
        path: where it stands in the resource, for error messages.
        above: the models it stands in; a model inside itself has no structural schema.

    Raises:
        Unsupported: anything in it that the compiler does not know.
    """
    if model in above:
        raise Unsupported(path, f"{model.__name__} contains itself")
    _refuse_hidden_checks(model, path)
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    schema: Schema = {"type": "object"}
    if required := [name for name, info in fields.items() if info.is_required()]:
        schema["required"] = required
    schema["properties"] = properties = {
        name: _property(info, f"{path}.{name}", (*above, model)) for name, info in fields.items()
    }
    for name, info in fields.items():
        if before := former_name(info):
            properties[before] = properties[name] | {"description": f"The former name of {name}."}
    return schema


def _refuse_hidden_checks(model: type[BaseModel], path: str) -> None:
    decorators = model.__pydantic_decorators__
    for kind in ("validators", "field_validators", "root_validators", "model_validators"):
        for name in getattr(decorators, kind):
            raise Unsupported(path, f"validator {name}: the API server would not run it")
    for name in decorators.computed_fields:
        raise Unsupported(path, f"computed field {name}: nobody declares it")


def _property(info: FieldInfo, path: str, above: tuple[type, ...]) -> Schema:
    """One field: its type and constraints, its description, and its default in words."""
    if not info.description:
        raise Unsupported(path, "no description: kubectl explain would have nothing to say")
    for attribute in _REFUSED_ATTRIBUTES:
        if getattr(info, attribute, None):
            raise Unsupported(path, f"{attribute} of a field")
    if len({info.alias, info.validation_alias, info.serialization_alias}) > 1:
        raise Unsupported(path, "a name of its own for reading or for writing")
    schema = _value(_without_none(info.annotation), tuple(info.metadata), path, above)
    return {"type": "", "description": info.description + _default(info, path)} | schema


def _without_none(annotation: Any) -> Any:
    """``X | None`` is an optional X; a null is never stored."""
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation
    members = [member for member in get_args(annotation) if member is not NoneType]
    return members[0] if len(members) == 1 else annotation


def _default(info: FieldInfo, path: str) -> str:
    """`` Default: 10.`` when absence means something definite, otherwise nothing."""
    if info.is_required() or info.default is None or info.default in ("", (), [], {}):
        return ""
    if path.startswith("status."):
        return ""  # nobody leaves a field of a status out for its default
    if isinstance(info.default, BaseModel):
        return ""  # an absent block is the block with its defaults; its fields tell them
    return f" Default: {_shown(info.default)}."


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case BaseModel():
            wire = value.model_dump(mode="json", by_alias=True, exclude_unset=True)
            return "{" + ", ".join(f"{key}: {part}" for key, part in wire.items()) + "}"
        case tuple() | list():
            return ", ".join(map(_shown, value))
        case StrEnum():
            return value.value
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def _value(
    annotation: Any, metadata: tuple[Any, ...], path: str, above: tuple[type, ...]
) -> Schema:
    """The schema of one type with the constraints and markers that are attached to it."""
    if get_origin(annotation) is Annotated:
        inner, *own = get_args(annotation)
        return _value(inner, (*_flat(own), *metadata), path, above)
    schema = _typed(annotation, metadata, path, above)
    constraints.apply(schema, metadata, path)
    if schema["type"] == "integer":
        schema["format"] = _integer_format(schema)
    constraints.require_bounds(schema, path)
    return schema


def _flat(metadata: list[Any]) -> list[Any]:
    """Constraints that stand in a ``Field(...)`` of an inner type, beside the plain ones."""
    return [
        part
        for item in metadata
        for part in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]


def _typed(
    annotation: Any, metadata: tuple[Any, ...], path: str, above: tuple[type, ...]
) -> Schema:
    match get_origin(annotation), get_args(annotation):
        case (None, _) if isinstance(annotation, type):
            return _plain(annotation, path, above)
        case (origin, (item,)) if origin is list:
            return {"type": "array", "items": _value(item, (), f"{path}[]", above)}
        case (origin, (item, rest)) if origin is tuple and rest is Ellipsis:
            return {"type": "array", "items": _value(item, (), f"{path}[]", above)}
        case (origin, (key, item)) if origin is dict and key is str:
            if any(isinstance(part, Opaque) for part in metadata) and item is Any:
                return {"type": "object"}
            values = _value(item, (), f"{path}.*", above)
            return {"type": "object", "additionalProperties": values}
    raise Unsupported(path, f"the type {annotation}")


def _plain(kind: type, path: str, above: tuple[type, ...]) -> Schema:
    if issubclass(kind, BaseModel):
        return compile_block(kind, path, above)
    if issubclass(kind, StrEnum):
        return _enumeration(kind, path)
    match kind.__name__ if kind in {bool, int, str} else "":
        case "bool":
            return {"type": "boolean"}
        case "int":
            return {"type": "integer"}
        case "str":
            return {"type": "string"}
    raise Unsupported(path, f"the type {kind.__name__}")


def _enumeration(kind: type[StrEnum], path: str) -> Schema:
    words = [member.value for member in kind]
    for word in words:
        if word.lower() in _YAML_BOOLEANS:
            raise Unsupported(path, f"{word}: YAML reads it as a boolean")
    return {"type": "string", "enum": words}


def _integer_format(schema: Schema) -> str:
    lowest, highest = schema.get("minimum", -_INT32), schema.get("maximum", _INT32)
    return "int32" if lowest >= -_INT32 and highest < _INT32 else "int64"
