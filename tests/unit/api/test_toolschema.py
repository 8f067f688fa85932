"""What counts as a JSON Schema for a tool's input; the worker's own compiler agrees."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import toolschema


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


SOUND = {
    "nothing at all": {},
    "an object with properties": {
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "string", "pattern": "^[0-9]+$"}, "free": True},
        "additionalProperties": False,
    },
    "several types": {"properties": {"a": {"type": ["string", "null"]}}},
    "a reference into itself": {
        "properties": {"tree": {"$ref": "#/$defs/node"}, "all": {"$ref": "#"}},
        "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}},
    },
    "a reference with escaped characters": {
        "properties": {"a": {"$ref": "#/$defs/b~1c"}},
        "$defs": {"b/c": {}},
    },
    "a reference into a list": {"allOf": [{"type": "object"}, {"$ref": "#/allOf/0"}]},
    "numbers and counts": {
        "properties": {"a": {"minimum": 0.5, "exclusiveMaximum": 3, "maxLength": 2, "enum": [1]}}
    },
    "a class of characters only ECMA knows": {"properties": {"a": {"pattern": "^\\p{L}+$"}}},
    "a property named as a keyword": {"properties": {"type": {"type": "string"}, "enum": {}}},
    "a keyword nobody knows": {"properties": {"a": {"x-order": 1}}},
    "the deepest that is allowed": nested(toolschema.MAX_DEPTH - 1),
    "a declared draft": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_schema_is_accepted(name):
    assert toolschema.complaint(SOUND[name]) is None
    jsonschema_rs.validator_for(SOUND[name])


MALFORMED = {
    "a list": ([], "inputSchema must be an object"),
    "not of type object": ({"type": "string"}, "inputSchema.type is 'string'; write object"),
    "a misspelt type": (
        {"properties": {"a": {"type": "strin"}}},
        "inputSchema.properties.a.type is 'strin'; write one of array, boolean",
    ),
    "no type": ({"properties": {"a": {"type": []}}}, "inputSchema.properties.a.type is an empty"),
    "a property that is no schema": (
        {"properties": {"a": "string"}},
        "inputSchema.properties.a is a string; write a schema",
    ),
    "properties as a list": (
        {"properties": [{"name": "a"}]},
        "inputSchema.properties is a list; write an object of schemas",
    ),
    "required as a word": ({"required": "a"}, "inputSchema.required must be a list"),
    "required as in draft 3": (
        {"properties": {"a": {"required": True}}},
        "inputSchema.properties.a.required must be a list",
    ),
    "an enum of nothing": ({"properties": {"a": {"enum": 5}}}, "a.enum must be a list"),
    "a count below zero": ({"minProperties": -1}, "inputSchema.minProperties is -1"),
    "a count that is true": ({"properties": {"a": {"maxLength": True}}}, "maxLength is True"),
    "a bound as in draft 4": (
        {"properties": {"a": {"exclusiveMinimum": True}}},
        "inputSchema.properties.a.exclusiveMinimum is True; write a number",
    ),
    "a description that is no text": ({"description": {}}, "inputSchema.description is an object"),
    "a broken pattern": (
        {"properties": {"a": {"pattern": "(a"}}},
        "a.pattern '(a' is not a regular expression",
    ),
    "a remote reference": (
        {"properties": {"a": {"$ref": "https://example.com/a.json"}}},
        "inputSchema.properties.a.$ref is 'https://example.com/a.json'; write #/$defs/NAME",
    ),
    "a reference to a file": ({"allOf": [{"$ref": "a.json"}]}, "inputSchema.allOf[0].$ref is"),
    "a reference to nothing": ({"$ref": "#/$defs/a"}, "which is no schema in here"),
    "a name for a part": (
        {"properties": {"a": {"$id": "https://example.com/a"}}},
        "inputSchema.properties.a.$id: only the whole schema may have one",
    ),
    "an unknown draft": ({"$schema": "https://example.com/draft"}, "inputSchema.$schema is 'https"),
    "items as draft 7 allowed them": ({"items": [{}]}, "inputSchema.items is a list; write a sch"),
    "an empty choice": ({"anyOf": []}, "inputSchema.anyOf must be a list with at least one"),
    "too deep": (nested(toolschema.MAX_DEPTH), "nested more than 32 levels deep"),
    "deeper than Python's stack": (nested(9_000), "nested more than 32 levels deep"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_schema_is_refused_in_a_sentence_that_says_where(name):
    schema, expected = MALFORMED[name]
    assert expected in (toolschema.complaint(schema) or "nothing")


NOT_FOR_TOOLS_THOUGH_JSON_SCHEMA = {
    "not of type object", "a remote reference", "a reference to a file", "a name for a part",
    "too deep", "deeper than Python's stack", "a list",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - NOT_FOR_TOOLS_THOUGH_JSON_SCHEMA))
def test_the_worker_could_not_compile_it_either(name):
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validator_for(MALFORMED[name][0])


WORDS = st.sampled_from(
    ["type", "properties", "items", "$ref", "required", "enum", "anyOf", "not", "pattern", "a",
     "minimum", "maxLength", "$defs", "object", "string", "#/$defs/a", "#", "(", "", "$id",
     "$schema", "items", "prefixItems", "https://json-schema.org/draft/2020-12/schema"]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(ANY_JSON)
def test_whatever_stands_there_it_is_judged_and_what_is_accepted_compiles(value):
    if toolschema.complaint(value) is None:
        jsonschema_rs.validator_for(value)
