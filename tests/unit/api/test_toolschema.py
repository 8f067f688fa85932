"""What counts as a JSON Schema for a tool's input; the worker's own compiler agrees."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import toolschema

OPTIONS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)


def compile_as_a_worker(schema):
    """As its own draft, which a worker does, and as 2020-12, which the vendor does."""
    for read_as in (schema, {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}):
        jsonschema_rs.validator_for(read_as, pattern_options=OPTIONS, offline=True)


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


SOUND = {
    "any object": {"type": "object"},
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
    "a reference into a list": {
        "properties": {"a": {"allOf": [{"type": "object"}, {"$ref": "#/properties/a/allOf/0"}]}}
    },
    "a reference to a part under no keyword": {
        "properties": {"a": {"$ref": "#/x-parts/order"}},
        "x-parts": {"order": {"type": "string"}},
    },
    "choices below the top": {
        "properties": {"a": {"anyOf": [{"type": "null"}, {"oneOf": [{}]}], "allOf": [True]}}
    },
    "any names below the top": {"properties": {"a": {"properties": {"order id": {}, "§": {}}}}},
    "names of all that is allowed": {"properties": {"a.B-9_" + "x" * 58: {}}},
    "what annotates": {
        "title": "Refund",
        "examples": [{}],
        "deprecated": False,
        "readOnly": True,
        "default": None,
        "$comment": "",
        "$anchor": "whole",
        "$id": "https://acme.example/refund.json",
    },
    "what depends": {"dependentRequired": {"a": ["b"]}, "dependencies": {"a": ["b"], "b": {}}},
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
    schema = {"type": "object"} | SOUND[name]
    assert toolschema.complaint(schema) is None
    assert toolschema.excess(schema) is None
    compile_as_a_worker(schema)


MALFORMED = {
    "a list": ([], "inputSchema must be an object"),
    "of no type": ({"properties": {}}, "inputSchema has no type at its top; write type: object"),
    "anyOf at the top": (
        {"anyOf": [{"required": ["id"]}, {"required": ["mail"]}]},
        "inputSchema.anyOf: the model's API takes no anyOf at the top of a schema; move it",
    ),
    "oneOf at the top": ({"oneOf": [{}]}, "the model's API takes no oneOf at the top"),
    "allOf at the top": ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {}}}, "takes no allOf"),
    "a property with a space": (
        {"properties": {"order id": {}}},
        "inputSchema.properties has 'order id'; the model's API takes names of 1 to 64",
    ),
    "a property in brackets": ({"properties": {"filter[id]": {}}}, "has 'filter[id]'"),
    "a property of another alphabet": ({"properties": {"größe": {}}}, "has 'größe'"),
    "a property without a name": ({"properties": {"": {}}}, "inputSchema.properties has ''"),
    "a property of 65 letters": ({"properties": {"a" * 65: {}}}, "takes names of 1 to 64"),
    "a property with a line break at its end": ({"properties": {"a\n": {}}}, "has 'a\\n'"),
    "a multiple of nothing": (
        {"properties": {"a": {"multipleOf": 0}}},
        "a.multipleOf is 0; write a number above 0",
    ),
    "a name required twice": ({"required": ["a", "a"]}, "inputSchema.required must be a list"),
    "a type named twice": (
        {"properties": {"a": {"type": ["null", "null"]}}},
        "a.type names a type twice",
    ),
    "uniqueItems as a word": (
        {"properties": {"a": {"uniqueItems": "yes"}}},
        "uniqueItems is a string; write true",
    ),
    "one example": ({"examples": {}}, "inputSchema.examples is an object; write a list"),
    "a name that depends on a word": (
        {"dependentRequired": {"a": "b"}},
        "inputSchema.dependentRequired.a must be a list",
    ),
    "a broken part under no keyword": (
        {
            "properties": {"a": {"$ref": "#/x-a"}},
            "x-a": {"items": {"$ref": "#/x-b"}},
            "x-b": {"type": "strin"},
        },
        "inputSchema.$ref #/x-b.type is 'strin'",
    ),
    "look-ahead": (
        {"properties": {"a": {"pattern": "^(?!x)"}}},
        "a.pattern '^(?!x)' is not a regular expr",
    ),
    "a broken name pattern": (
        {"patternProperties": {"[a": {}}},
        "patternProperties '[a' is not a regular expression",
    ),
    "an anchor with a space": ({"$anchor": "a b"}, "inputSchema.$anchor is 'a b'"),
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
    if isinstance(schema, dict) and name not in ("of no type", "too deep"):
        schema = {"type": "object"} | schema
    assert expected in (toolschema.complaint(schema) or "nothing")


NOT_FOR_TOOLS_THOUGH_JSON_SCHEMA = {
    "not of type object", "a remote reference", "a reference to a file", "a name for a part",
    "too deep", "deeper than Python's stack", "a list", "of no type", "anyOf at the top",
    "oneOf at the top", "allOf at the top", "a property with a space", "a property in brackets",
    "a property of another alphabet", "a property without a name", "a property of 65 letters",
    "a property with a line break at its end",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - NOT_FOR_TOOLS_THOUGH_JSON_SCHEMA))
def test_the_worker_could_not_compile_it_either(name):
    with pytest.raises(ValueError):
        compile_as_a_worker(MALFORMED[name][0])


KEYWORDS = [
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor",
    "$recursiveRef", "$ref", "$schema", "$vocabulary", "additionalItems", "additionalProperties",
    "allOf", "anyOf", "const", "contains", "contentEncoding", "contentMediaType", "contentSchema",
    "default", "definitions", "dependencies", "dependentRequired", "dependentSchemas", "deprecated",
    "description", "else", "enum", "examples", "exclusiveMaximum", "exclusiveMinimum", "format",
    "if", "items", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum",
    "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not",
    "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "propertyNames",
    "readOnly", "required", "then", "title", "type", "unevaluatedItems", "unevaluatedProperties",
    "uniqueItems", "writeOnly", "x-parts",
]  # fmt: skip
WORDS = st.sampled_from(
    [*KEYWORDS, "a", "object", "string", "#/$defs/a", "#/x-parts", "#/properties/a", "#", "(", "",
     "[^a]{2}", "(?=a)", "date", "a b", "%zz", "https://json-schema.org/draft/2020-12/schema",
     "https://json-schema.org/draft/2019-09/schema", "http://json-schema.org/draft-07/schema#"]
)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
NEARLY_SCHEMAS = st.recursive(
    st.dictionaries(st.sampled_from(KEYWORDS), ANY_JSON, max_size=2),
    lambda inner: st.dictionaries(
        st.sampled_from(KEYWORDS),
        inner | st.lists(inner, min_size=1, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
        max_size=3,
    ),
    max_leaves=6,
)


@given(ANY_JSON | NEARLY_SCHEMAS)
def test_whatever_stands_there_it_is_judged_and_what_is_accepted_compiles(value):
    whole = {"type": "object"} | value if isinstance(value, dict) else value
    if toolschema.complaint(whole) is None and toolschema.excess(whole) is None:
        compile_as_a_worker(whole)


@given(st.sampled_from(KEYWORDS), ANY_JSON, ANY_JSON)
def test_no_value_of_any_keyword_is_accepted_that_does_not_compile(keyword, value, part):
    whole = {
        "type": "object", "properties": {"a": {keyword: value}}, "$defs": {"a": part}, "x-parts": part
    }  # fmt: skip
    if toolschema.complaint(whole) is None and toolschema.excess(whole) is None:
        compile_as_a_worker(whole)


def test_what_costs_too_much_to_check_is_told_with_what_to_change():
    doubled = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(25)}
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/n0"}},
        "$defs": {**doubled, "n25": {"type": "integer"}},
    }
    assert toolschema.complaint(schema) is None
    assert "stands for more than 10000 schemas once every $ref" in (toolschema.excess(schema) or "")


def test_patterns_that_are_each_small_enough_may_be_too_large_together():
    def of(number):
        names = {f"p{i}": {"pattern": "^[^/]{900}$"} for i in range(number)}
        return {"type": "object", "properties": names}

    assert toolschema.complaint(of(20)) is None
    assert toolschema.excess(of(8)) is None
    assert "patterns that are too large together" in (toolschema.excess(of(20)) or "")


def test_a_schema_that_refers_to_itself_without_going_down_is_refused():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
    assert toolschema.complaint(schema) is None
    assert "stands for more than" in (toolschema.excess(schema) or "")
