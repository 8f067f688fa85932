"""What a schema stands for when its references are written out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import toolschema, unfolding

DOUBLING = {
    "allOf": lambda following: {"allOf": [following, following]},
    "anyOf": lambda following: {"anyOf": [following, following]},
    "oneOf and not": lambda following: {"oneOf": [following], "not": following},
    "if and then": lambda following: {"if": following, "then": following, "else": True},
    "dependentSchemas": lambda following: {"dependentSchemas": {"a": following, "b": following}},
    "dependencies": lambda following: {"dependencies": {"a": following, "b": following}},
    "a reference beside allOf": lambda following: {**following, "allOf": [following]},
    "$dynamicRef": lambda following: {"$dynamicRef": following["$ref"], "not": following},
    "$recursiveRef": lambda following: {"$recursiveRef": following["$ref"], "not": following},
    "properties": lambda following: {"properties": {"a": following, "b": following}},
    "patternProperties": lambda following: {"patternProperties": {"a": following, "b": following}},
    "additionalProperties": lambda f: {"additionalProperties": f, "propertyNames": f},
    "items and contains": lambda following: {"items": following, "contains": following},
    "prefixItems": lambda following: {"prefixItems": [following, following]},
    "unevaluatedProperties": lambda f: {"allOf": [f], "unevaluatedProperties": False},
    "unevaluatedItems": lambda following: {"allOf": [following], "unevaluatedItems": False},
}


def chain(double, levels):
    """A schema of that many links, each of which leads to the next one twice."""
    links = {f"n{i}": double({"$ref": f"#/$defs/n{i + 1}"}) for i in range(levels)}
    links[f"n{levels}"] = {"type": "integer"}
    whole = {"type": "object", "properties": {"a": {"$ref": "#/$defs/n0"}}, "$defs": links}
    return json.loads(json.dumps(whole))  # as the API server gives it: no part is shared


@pytest.mark.parametrize("keyword", DOUBLING)
def test_what_doubles_at_each_level_is_too_large_from_some_level_on(keyword):
    sizes = [toolschema.unfolded_size(chain(DOUBLING[keyword], n)) for n in (2, 5, 25, 60)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 100
    assert sizes[1] < toolschema.MAX_UNFOLDED
    assert sizes[2] > 2**25
    assert sizes[3] <= unfolding.UNBOUNDED


def test_a_schema_that_asks_itself_of_the_same_value_has_no_bound():
    for schema in (
        {"$ref": "#"},
        {"properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}]}}},
        {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"if": {"$ref": "#"}}}},
    ):
        assert toolschema.unfolded_size(schema) == unfolding.UNBOUNDED


RECURSIONS_OF_EVERY_DAY = {
    "a list": {"properties": {"next": {"$ref": "#"}}},
    "a tree of ten branches": {"properties": {f"b{i}": {"$ref": "#"} for i in range(10)}},
    "children": {"properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
    "a filter": {
        "anyOf": [
            {"properties": {"and": {"items": {"$ref": "#"}}}},
            {"properties": {"or": {"items": {"$ref": "#"}}}},
            {"properties": {"not": {"$ref": "#"}}},
            {"properties": {"field": {"type": "string"}, "is": {}}},
        ]
    },
    "an expression of four operators": {
        "properties": {"formula": {"$ref": "#/$defs/term"}},
        "$defs": {
            "term": {"anyOf": [{"$ref": f"#/$defs/{word}"} for word in ("add", "sub", "mul", "div")]},
            **{
                word: {
                    "properties": {
                        "op": {"const": word},
                        "left": {"$ref": "#/$defs/term"},
                        "right": {"$ref": "#/$defs/term"},
                    }
                }
                for word in ("add", "sub", "mul", "div")
            },
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RECURSIONS_OF_EVERY_DAY)
def test_a_recursion_that_goes_down_into_the_input_is_small(name):
    assert toolschema.unfolded_size(RECURSIONS_OF_EVERY_DAY[name]) < toolschema.MAX_UNFOLDED


def test_a_recursion_that_looks_at_each_child_twenty_times_is_too_large():
    schema = {"allOf": [{"properties": {"next": {"$ref": "#"}}} for _ in range(20)]}
    assert toolschema.unfolded_size(schema) > toolschema.MAX_UNFOLDED


def test_a_flat_schema_has_the_size_that_it_has():
    columns = {f"p{i}": {"type": "string"} for i in range(600)}
    assert toolschema.unfolded_size({"properties": columns}) == 601
    assert toolschema.unfolded_size({"enum": list(range(500))}) == 501


def test_no_schema_of_16_kib_holds_up_who_measures_it():
    """Names that are carried along a chain to each of its links: quadratic, were it not cut off."""
    links = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}]} for i in range(150)}
    links["n150"] = {"properties": {f"p{i}": {"$ref": "#/$defs/n0"} for i in range(300)}}
    schema = {"properties": {"a": {"$ref": "#/$defs/n0"}}, "$defs": links}
    assert toolschema.unfolded_size(schema) == unfolding.UNBOUNDED


HERE = ("allOf", "anyOf", "oneOf", "prefixItems")
ONE = ("not", "if", "items", "contains", "additionalProperties")


def schemas(depth):
    """Schemas whose references lead to greater numbers, so that none leads to itself."""
    leaf = st.fixed_dictionaries({}, optional={"enum": st.lists(st.integers(), max_size=3)})
    refs = st.integers(0, 5).map(lambda n: {"$ref": f"#/$defs/n{n}"})
    return st.recursive(
        leaf | refs,
        lambda inner: st.fixed_dictionaries(
            {},
            optional={
                **{word: st.lists(inner, max_size=2) for word in HERE},
                **dict.fromkeys(ONE, inner),
                "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            },
        ),
        max_leaves=depth,
    )


def forward(schema, least):
    """The same schema, but a reference to an earlier part is no reference."""
    match schema:
        case dict():
            if "$ref" in schema and int(schema["$ref"][-1]) < least:
                return {}
            return {key: forward(value, least) for key, value in schema.items()}
        case list():
            return [forward(item, least) for item in schema]
    return schema


def written_out(schema, parts):
    """The number of schemas, by writing them out."""
    found = 1 + len(schema.get("enum", []))
    for word in HERE:
        found += sum(written_out(inner, parts) for inner in schema.get(word, []))
    found += sum(written_out(schema[word], parts) for word in ONE if word in schema)
    found += sum(written_out(inner, parts) for inner in schema.get("properties", {}).values())
    if "$ref" in schema:
        found += written_out(parts[schema["$ref"].rpartition("/")[2]], parts)
    return found


@given(st.lists(schemas(6), min_size=7, max_size=7))
def test_the_size_is_that_of_the_schema_written_out(drawn):
    parts = {f"n{i}": forward(part, i + 1) for i, part in enumerate(drawn[:6])}
    root = {**forward(drawn[6], 0), "$defs": parts}
    assert toolschema.unfolded_size(json.loads(json.dumps(root))) == written_out(root, parts)
