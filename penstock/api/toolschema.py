"""Whether a tool's inputSchema is a JSON Schema, as far as its structure tells.

The custom resource keeps inputSchema as written, and CEL cannot look inside, so this is looked at
when an Agent is reconciled. Keywords are those of JSON Schema draft 2020-12 and draft 7; unknown
keywords mean nothing there and are passed over. A worker still compiles the schema.
Draft 2020-12 is what a schema is read as unless its ``$schema`` names another one.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock.api import unfolding

MAX_DEPTH: Final = 32
#: Looks that checking one input may take: a legal schema of 16 KiB without references has fewer
#: than 3,000 parts.
MAX_UNFOLDED: Final = 10_000

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE_SCHEMA: Final = (
    "additionalItems", "additionalProperties", "contains", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_NAMED_SCHEMAS: Final = (
    "$defs", "definitions", "dependentSchemas", "patternProperties", "properties",
)  # fmt: skip
_SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_COUNTS: Final = (
    "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems",
    "minLength", "minProperties",
)  # fmt: skip
_NUMBERS: Final = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")
_TEXTS: Final = ("$comment", "$id", "$schema", "description", "format", "pattern", "title")
_DRAFTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
)
#: What Python's parser and the ECMA one both refuse; the rest is for the worker to say.
_BROKEN_PATTERNS: Final = (
    "missing ), unterminated subpattern",
    "nothing to repeat",
    "unbalanced parenthesis",
    "unterminated character set",
)


def deeper_than(value: Any, levels: int) -> bool:
    """Whether objects and lists stand in one another more than that many levels deep.

    Goes level by level: a document of ten thousand levels ends no recursion here.
    """
    level = [value]
    for _ in range(levels):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return any(isinstance(item, Mapping | list) for item in level)


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def unfolded_size(schema: Mapping[str, Any]) -> int:
    """How many schemas an inputSchema stands for when each reference is written out.

    It bounds what one check of an input costs; MAX_UNFOLDED is what a new revision may have.
    Takes a sound schema, and milliseconds whatever the size.
    """
    return unfolding.size(schema)


def complaint(schema: Any) -> str | None:
    """The first thing that is wrong with an inputSchema, as a sentence with what to write."""
    if not isinstance(schema, Mapping):
        return "inputSchema must be an object"
    if deeper_than(schema, MAX_DEPTH):
        return f"inputSchema is nested more than {MAX_DEPTH} levels deep; make it flatter"
    if schema.get("type", "object") != "object":
        return f"inputSchema.type is {schema['type']!r}; write object, a tool's input is always one"
    found = (*_wrong_draft(schema), *_complaints(schema, "inputSchema", schema))
    return next(iter(found), None)


def _complaints(schema: Any, path: str, root: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a schema and all inside it; ``root`` is what ``$ref`` points into."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield f"{path} is {_kind(schema)}; write a schema: an object, true or false"
        return
    yield from _wrong_type(schema, path)
    yield from _wrong_lists(schema, path)
    yield from _wrong_numbers(schema, path)
    yield from _wrong_texts(schema, path)
    yield from _wrong_reference(schema, path, root)
    for place, inner in _inner_schemas(schema, path):
        yield from _complaints(inner, place, root)
    yield from _wrong_containers(schema, path)


def _inner_schemas(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for keyword in _ONE_SCHEMA:
        if keyword in schema:
            yield f"{path}.{keyword}", schema[keyword]
    for keyword in _NAMED_SCHEMAS:
        if isinstance(named := schema.get(keyword), Mapping):
            yield from ((f"{path}.{keyword}.{name}", inner) for name, inner in named.items())
    for keyword in _SCHEMA_LISTS:
        if isinstance(listed := schema.get(keyword), list):
            yield from ((f"{path}.{keyword}[{i}]", inner) for i, inner in enumerate(listed))


def _wrong_containers(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _NAMED_SCHEMAS:
        if not isinstance(schema.get(keyword, {}), Mapping):
            yield f"{path}.{keyword} is {_kind(schema[keyword])}; write an object of schemas"
    for keyword in _SCHEMA_LISTS:
        if not (isinstance(schema.get(keyword, [True]), list) and schema.get(keyword, [True])):
            yield f"{path}.{keyword} must be a list with at least one schema"


def _wrong_type(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    declared = schema.get("type", "object")
    words = declared if isinstance(declared, list) else [declared]
    for word in words:
        if word not in _TYPES:
            yield f"{path}.type is {word!r}; write one of {', '.join(_TYPES)}"
    if not words:
        yield f"{path}.type is an empty list; leave it out to allow every type"


def _wrong_lists(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required", [])
    if not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        yield f"{path}.required must be a list of property names"
    if not (isinstance(schema.get("enum", [None]), list) and schema.get("enum", [None])):
        yield f"{path}.enum must be a list with at least one value"


def _wrong_numbers(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _COUNTS:
        value = schema.get(keyword, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            yield f"{path}.{keyword} is {value!r}; write a whole number from 0"
    for keyword in _NUMBERS:
        value = schema.get(keyword, 1)
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}.{keyword} is {value!r}; write a number"


def _wrong_texts(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _TEXTS:
        if not isinstance(schema.get(keyword, ""), str):
            yield f"{path}.{keyword} is {_kind(schema[keyword])}; write a string"
    if isinstance(pattern := schema.get("pattern"), str) and (broken := _broken(pattern)):
        yield f"{path}.pattern {pattern!r} is not a regular expression: {broken}"


def _wrong_draft(root: Mapping[str, Any]) -> Iterator[str]:
    draft = root.get("$schema", _DRAFTS[0])
    if not isinstance(draft, str) or draft.removesuffix("#") not in _DRAFTS:
        yield f"inputSchema.$schema is {draft!r}; leave it out, or write {_DRAFTS[0]}"


def _broken(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except re.error as error:
        return error.msg if error.msg.startswith(_BROKEN_PATTERNS) else None
    return None


def _wrong_reference(
    schema: Mapping[str, Any], path: str, root: Mapping[str, Any]
) -> Iterator[str]:
    for keyword in {"$id", "$schema"} & schema.keys() if schema is not root else ():
        yield f"{path}.{keyword}: only the whole schema may have one; take it out"
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        target = schema.get(keyword, "#")
        if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
            yield f"{path}.{keyword} is {target!r}; write #/$defs/NAME, nothing is fetched"
        elif not isinstance(unfolding.resolve(root, target), Mapping | bool):
            yield f"{path}.{keyword} is {target!r}, which is no schema in here"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
