"""Whether a tool's inputSchema is a JSON Schema, as far as its structure tells.

The custom resource keeps inputSchema as written, and CEL cannot look inside, so this is looked at
when an Agent is reconciled. Keywords are those of JSON Schema draft 2020-12 and draft 7; unknown
keywords mean nothing there and are passed over. A worker still compiles the schema.
Draft 2020-12 is what a schema is read as unless its ``$schema`` names another one; the vendor
reads it as 2020-12 whatever it names.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock.api import patterns, unfolding

MAX_DEPTH: Final = 32
#: Looks that checking one input may take: a legal schema of 16 KiB without references has fewer
#: than 3,000 parts.
MAX_UNFOLDED: Final = 10_000

_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE_SCHEMA: Final = (
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_NAMED_SCHEMAS: Final = (
    "$defs", "definitions", "dependentSchemas", "patternProperties", "properties",
)  # fmt: skip
_NAMED: Final = ("dependencies", "dependentRequired")
_OF_METASCHEMAS: Final = ("$recursiveAnchor", "$vocabulary")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_COUNTS: Final = (
    "maxContains", "maxItems", "maxLength", "maxProperties", "minContains", "minItems",
    "minLength", "minProperties",
)  # fmt: skip
_NUMBERS: Final = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")
_TEXTS: Final = (
    "$anchor", "$comment", "$dynamicAnchor", "$id", "$schema", "contentEncoding",
    "contentMediaType", "description", "format", "pattern", "title",
)  # fmt: skip
_DRAFTS: Final = (
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
)
_BOOLEANS: Final = ("deprecated", "readOnly", "uniqueItems", "writeOnly")
_ANCHOR: Final = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")
_ID: Final = re.compile(
    r"[A-Za-z][-A-Za-z0-9+.]*:[-A-Za-z0-9._~:/?@!$&'()*+,;=%]*#?|[-A-Za-z0-9._~/]+"
)
#: Combinations that the Messages API refuses at the top of a tool's schema, with every request.
_NOT_AT_THE_TOP: Final = ("allOf", "anyOf", "oneOf")
#: The Messages API's pattern for the names of a tool's properties, at the top and not below.
_PROPERTY_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
#: Bytes that all expressions of one schema may have when they are compiled.
MAX_PATTERNS_WEIGHT: Final = 8 << 20


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
    if "type" not in schema:
        return "inputSchema has no type at its top; write type: object"
    if schema["type"] != "object":
        return f"inputSchema.type is {schema['type']!r}; write object, a tool's input is always one"
    wrong = itertools.chain(
        _wrong_draft(schema),
        _complaints(schema, "inputSchema", schema),
        _wrong_elsewhere(schema),
        _wrong_for_vendor(schema),
    )
    return next(wrong, None)


def excess(schema: Mapping[str, Any]) -> str | None:
    """Why checking inputs against a sound schema of bounded length would cost too much."""
    if unfolded_size(schema) > MAX_UNFOLDED:
        return (
            "inputSchema stands for more than "
            f"{MAX_UNFOLDED} schemas once every $ref in it is written out ($ref, allOf, anyOf and "
            "the like multiply); let fewer of them lead to the same part"
        )
    if sum(patterns.weigh(pattern) for pattern in _patterns(schema)) > MAX_PATTERNS_WEIGHT:
        return (
            "inputSchema has patterns that are too large together; write fewer repeats, or say "
            "lengths by maxLength"
        )
    return None


def _wrong_for_vendor(schema: Mapping[str, Any]) -> Iterator[str]:
    for keyword in _NOT_AT_THE_TOP:
        if keyword in schema:
            yield (
                f"inputSchema.{keyword}: the model's API takes no {keyword} at the top of a "
                "schema; move it into a property, or say it in the description and let the "
                "tool check it"
            )
    for name in schema.get("properties", {}):
        if not _PROPERTY_NAME.fullmatch(name):
            yield (
                f"inputSchema.properties has {name!r}; the model's API takes names of 1 to 64 "
                "letters, digits, _, . and -: rename it"
            )


def _patterns(root: Mapping[str, Any]) -> Iterator[str]:
    """Every expression in a sound schema."""
    for schema in _schemas_in(root):
        if "pattern" in schema:
            yield schema["pattern"]
        yield from schema.get("patternProperties", {})


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


def _wrong_elsewhere(root: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with schemas that are only there to be referred to, under no keyword."""
    seen = {id(schema) for schema in _schemas_in(root)}
    waiting = _targets(root, root)
    for pointer, target in waiting:
        if isinstance(target, Mapping) and id(target) not in seen:
            seen |= {id(schema) for schema in _schemas_in(target)}
            yield from _complaints(target, f"inputSchema.$ref {pointer}", root)
            waiting += _targets(target, root)


def _schemas_in(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all that stand in it under keywords."""
    if isinstance(schema, Mapping):
        yield schema
        for _, inner in _inner_schemas(schema, ""):
            yield from _schemas_in(inner)


def _targets(schema: Any, root: Mapping[str, Any]) -> list[tuple[str, Any]]:
    pointers = {
        found[keyword]
        for found in _schemas_in(schema)
        for keyword in _REFERENCES
        if isinstance(found.get(keyword), str)
    }
    return [(pointer, unfolding.resolve(root, pointer)) for pointer in sorted(pointers)]


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
    if isinstance(either := schema.get("dependencies"), Mapping):
        yield from (
            (f"{path}.dependencies.{name}", inner)
            for name, inner in either.items()
            if not isinstance(inner, list)
        )


def _wrong_containers(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in (*_NAMED_SCHEMAS, *_NAMED):
        if not isinstance(schema.get(keyword, {}), Mapping):
            of_what = "" if keyword in _NAMED else " of schemas"
            yield f"{path}.{keyword} is {_kind(schema[keyword])}; write an object{of_what}"
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
    if not _distinct(words):
        yield f"{path}.type names a type twice; name each once"


def _wrong_lists(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if not _are_names(schema.get("required", [])):
        yield f"{path}.required must be a list of property names, each once"
    if not (isinstance(schema.get("enum", [None]), list) and schema.get("enum", [None])):
        yield f"{path}.enum must be a list with at least one value"
    if not isinstance(schema.get("examples", []), list):
        yield f"{path}.examples is {_kind(schema['examples'])}; write a list"
    for keyword in ("dependencies", "dependentRequired"):
        named = schema.get(keyword, {})
        for name, needed in named.items() if isinstance(named, Mapping) else ():
            listed = isinstance(needed, list) or keyword == "dependentRequired"
            if listed and not _are_names(needed):
                yield f"{path}.{keyword}.{name} must be a list of property names, each once"


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(n, str) for n in value) and _distinct(value)


def _distinct(words: list[Any]) -> bool:
    return all(word not in words[:i] for i, word in enumerate(words))


def _wrong_numbers(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _COUNTS:
        value = schema.get(keyword, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            yield f"{path}.{keyword} is {value!r}; write a whole number from 0"
    for keyword in _NUMBERS:
        value = schema.get(keyword, 1)
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{path}.{keyword} is {value!r}; write a number"
        elif keyword == "multipleOf" and value <= 0:
            yield f"{path}.multipleOf is {value!r}; write a number above 0"


def _wrong_texts(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _TEXTS:
        if not isinstance(schema.get(keyword, ""), str):
            yield f"{path}.{keyword} is {_kind(schema[keyword])}; write a string"
    for keyword in _BOOLEANS:
        if not isinstance(schema.get(keyword, True), bool):
            yield f"{path}.{keyword} is {_kind(schema[keyword])}; write true or false"
    yield from _wrong_names(schema, path)
    yield from _wrong_patterns(schema, path)


def _wrong_names(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for keyword in _OF_METASCHEMAS:
        if keyword in schema:
            yield f"{path}.{keyword} is for descriptions of dialects; take it out"
    for keyword in ("$anchor", "$dynamicAnchor"):
        if not _ANCHOR.fullmatch(str(schema.get(keyword, "a"))):
            yield f"{path}.{keyword} is {schema[keyword]!r}; write letters, digits, -, . and _"
    if not _ID.fullmatch(str(schema.get("$id", "a"))):
        yield f"{path}.$id is {schema['$id']!r}; write an address, or leave it out"


def _wrong_patterns(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(pattern := schema.get("pattern"), str) and (why := patterns.complaint(pattern)):
        yield f"{path}.pattern {pattern!r} is not a regular expression that a worker can use: {why}"
    named = schema.get("patternProperties")
    for pattern in named if isinstance(named, Mapping) else ():
        if why := patterns.complaint(pattern):
            yield f"{path}.patternProperties {pattern!r} is not a regular expression that a worker can use: {why}"


def _wrong_draft(root: Mapping[str, Any]) -> Iterator[str]:
    draft = root.get("$schema", _DRAFTS[0])
    if not isinstance(draft, str) or draft.removesuffix("#") not in _DRAFTS:
        yield f"inputSchema.$schema is {draft!r}; leave it out, or write {_DRAFTS[0]}"


def _wrong_reference(
    schema: Mapping[str, Any], path: str, root: Mapping[str, Any]
) -> Iterator[str]:
    for keyword in {"$id", "$schema"} & schema.keys() if schema is not root else ():
        yield f"{path}.{keyword}: only the whole schema may have one; take it out"
    for keyword in _REFERENCES:
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
