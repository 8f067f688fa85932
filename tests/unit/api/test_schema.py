"""The compiler from resource models to structural schemas: each construct, and each refusal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, computed_field, create_model, field_validator

from penstock.api import schema
from penstock.api.constraints import Unsupported
from penstock.api.fields import Block, MapList, Opaque, Rule


class Colour(StrEnum):
    RED = "Red"
    NONE = "None"


class Switch(StrEnum):
    ON = "On"
    OFF = "Off"


class Part(Block):
    name: Annotated[str, Field(max_length=9, description="Name.")]
    size: Annotated[int, Field(description="Size.")] = 3


def compiled(annotation, default=..., **field):
    """The schema of a single field `it` of that type."""
    info = Field(default, **({"description": "It."} | field))
    model = create_model("Model", __base__=Block, it=(annotation, info))
    return schema.compile_block(model, "spec")["properties"]["it"]


UNDERSTOOD = {
    "a bounded string": (
        Annotated[str, Field(min_length=1, max_length=5, pattern="^a")],
        {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^a"},
    ),
    "a small integer": (
        Annotated[int, Field(ge=1, le=9)],
        {"type": "integer", "minimum": 1, "maximum": 9, "format": "int32"},
    ),
    "an integer past 32 bits": (
        Annotated[int, Field(ge=0, le=2**31)],
        {"type": "integer", "minimum": 0, "maximum": 2**31, "format": "int64"},
    ),
    "an integer without an end": (int, {"type": "integer", "format": "int64"}),
    "a boolean": (bool, {"type": "boolean"}),
    "an enumeration": (Colour, {"type": "string", "enum": ["Red", "None"]}),
    "a list": (
        Annotated[list[Annotated[str, Field(max_length=2)]], Field(max_length=4)],
        {
            "type": "array",
            "items": {"type": "string", "maxLength": 2},
            "maxItems": 4,
            "x-kubernetes-list-type": "atomic",
        },
    ),
    "a tuple of any length": (
        Annotated[tuple[bool, ...], Field(min_length=1, max_length=4)],
        {
            "type": "array",
            "items": {"type": "boolean"},
            "minItems": 1,
            "maxItems": 4,
            "x-kubernetes-list-type": "atomic",
        },
    ),
    "a map": (
        Annotated[dict[str, Annotated[str, Field(max_length=2)]], Field(max_length=4)],
        {
            "type": "object",
            "additionalProperties": {"type": "string", "maxLength": 2},
            "maxProperties": 4,
        },
    ),
    "an opaque object": (
        Annotated[dict[str, Any], Opaque()],
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ),
    "a rule": (
        Annotated[bool, Rule("self", "must be"), Rule("self == oldSelf", "stays")],
        {
            "type": "boolean",
            "x-kubernetes-validations": [
                {"rule": "self", "message": "must be"},
                {"rule": "self == oldSelf", "message": "stays"},
            ],
        },
    ),
    "bounds that stand on the inner type": (
        Annotated[Annotated[int, Field(ge=0)], Field(le=5)],
        {"type": "integer", "minimum": 0, "maximum": 5, "format": "int32"},
    ),
}


@pytest.mark.parametrize("construct", UNDERSTOOD)
def test_a_construct_becomes_its_schema(construct):
    annotation, expected = UNDERSTOOD[construct]
    assert compiled(annotation) == {"description": "It.", **expected}


def test_a_block_becomes_an_object_with_its_required_fields_in_camel_case():
    class Outer(Block):
        base_url: Annotated[str, Field(max_length=3, description="Where.")]
        part: Annotated[Part, Field(description="The part.")] = Part(name="x")

    assert schema.compile_block(Outer, "spec") == {
        "type": "object",
        "required": ["baseURL"],
        "properties": {
            "baseURL": {"type": "string", "description": "Where.", "maxLength": 3},
            "part": {
                "type": "object",
                "description": "The part.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Name.", "maxLength": 9},
                    "size": {
                        "type": "integer",
                        "description": "Size. Default: 3.",
                        "format": "int64",
                    },
                },
            },
        },
    }


def test_a_list_of_named_things_is_a_list_map():
    made = compiled(Annotated[list[Part], MapList("name"), Field(max_length=4)])
    assert made["x-kubernetes-list-type"] == "map"
    assert made["x-kubernetes-list-map-keys"] == ["name"]


def test_an_optional_value_is_neither_required_nor_nullable():
    class Outer(Block):
        it: Annotated[Annotated[int, Field(ge=0, le=9)] | None, Field(description="It.")] = None

    made = schema.compile_block(Outer, "spec")
    assert "required" not in made
    assert made["properties"]["it"] == {
        "type": "integer",
        "description": "It.",
        "minimum": 0,
        "maximum": 9,
        "format": "int32",
    }


@pytest.mark.parametrize(
    ("annotation", "default", "told"),
    [
        (int, 10, "It. Default: 10."),
        (bool, False, "It. Default: false."),
        (Colour, Colour.RED, "It. Default: Red."),
        (Annotated[str, Field(max_length=9)], "0.50", 'It. Default: "0.50".'),
        (Annotated[str, Field(max_length=9)], "", "It."),
        (Annotated[list[bool], Field(max_length=2)], [], "It."),
        (
            Annotated[tuple[Part, ...], Field(max_length=2)],
            (Part(name="a"), Part(name="b", size=1)),
            "It. Default: {name: a}, {name: b, size: 1}.",
        ),
    ],
)
def test_a_default_is_told_in_the_description_and_never_in_the_schema(annotation, default, told):
    made = compiled(annotation, default)
    assert made["description"] == told
    assert "default" not in made


def test_a_status_tells_no_defaults():
    assert schema.compile_block(Part, "status")["properties"]["size"]["description"] == "Size."


TEXT = Annotated[str, Field(max_length=9)]
REFUSED = {
    "a float": (float, "float"),
    "a decimal": (Decimal, "Decimal"),
    "a time": (datetime, "datetime"),
    "anything": (Any, "Any"),
    "a choice of types": (int | TEXT, "int"),
    "a literal": (Literal["a"], "Literal"),
    "a plain dict": (dict, "dict"),
    "a map with keys that are no strings": (
        Annotated[dict[int, TEXT], Field(max_length=2)],
        "dict",
    ),
    "a map of anything that is not marked opaque": (
        Annotated[dict[str, Any], Field(max_length=2)],
        "Any",
    ),
    "a tuple of fixed length": (tuple[int, int], "tuple"),
    "a null inside a list": (Annotated[list[int | None], Field(max_length=2)], "None"),
    "a string without an end": (str, "maxLength"),
    "a list without an end": (list[bool], "maxItems"),
    "a map without an end": (dict[str, TEXT], "maxProperties"),
    "an exclusive bound": (Annotated[int, Field(gt=0)], "Gt"),
    "a multiple": (Annotated[int, Field(multiple_of=5)], "MultipleOf"),
    "a strict integer": (Annotated[int, Field(strict=True)], "Strict"),
    "a pattern on an integer": (Annotated[int, Field(pattern="^1")], "pattern"),
    "a length of an integer": (Annotated[int, Field(max_length=3)], "MaxLen"),
    "a list marker on a string": (Annotated[TEXT, MapList("name")], "MapList"),
    "two patterns": (
        Annotated[Annotated[TEXT, Field(pattern="a")], Field(pattern="b")],
        "pattern given twice",
    ),
    "a list told apart by a field it lacks": (
        Annotated[list[Part], MapList("id"), Field(max_length=2)],
        "told apart by id",
    ),
    "a list told apart by an optional field": (
        Annotated[list[Part], MapList("size"), Field(max_length=2)],
        "told apart by size",
    ),
    "a word that YAML reads as a boolean": (Switch, "On: YAML reads it as a boolean"),
}


@pytest.mark.parametrize("construct", REFUSED)
def test_what_the_api_server_would_misread_is_refused_with_its_path(construct):
    annotation, named = REFUSED[construct]
    with pytest.raises(Unsupported) as refusal:
        compiled(annotation)
    assert named in str(refusal.value)
    assert refusal.value.path.startswith("spec.it")


@pytest.mark.parametrize(
    "field",
    [
        {"description": ""},
        {"title": "It"},
        {"examples": [1]},
        {"json_schema_extra": {"nullable": True}},
        {"deprecated": True},
        {"validation_alias": "other"},
        {"exclude": True},
    ],
)
def test_what_a_field_may_not_carry_is_refused(field):
    with pytest.raises(Unsupported, match=r"^spec\.it: "):
        compiled(int, **field)


def test_a_default_made_by_a_function_is_refused():
    model = create_model(
        "Model", __base__=Block, it=(int, Field(default_factory=int, description="It."))
    )
    with pytest.raises(Unsupported, match="default_factory"):
        schema.compile_block(model, "spec")


def test_a_check_that_only_python_would_make_is_refused():
    class Checked(Block):
        it: Annotated[int, Field(description="It.")]

        @field_validator("it")
        @classmethod
        def odd(cls, value: int) -> int:
            return value

    with pytest.raises(Unsupported, match="validator odd"):
        schema.compile_block(Checked, "spec")


def test_a_computed_field_is_refused():
    class Computed(Block):
        @computed_field
        @property
        def it(self) -> int:
            return 1

    with pytest.raises(Unsupported, match="computed field it"):
        schema.compile_block(Computed, "spec")


def test_a_block_inside_itself_is_refused():
    with pytest.raises(Unsupported, match=r"spec\.inner\[\]: Tree contains itself"):
        schema.compile_block(Tree, "spec")


class Tree(Block):
    inner: Annotated[list[Tree], Field(max_length=2, description="More.")] = []
