"""The form of a request, and which revision a person means by a word."""

from __future__ import annotations

import pytest

from penstock.rollout import requests
from penstock.rollout.requests import Request, Verb

VERSIONS = {
    "support-00000001": "1.0",
    "support-00000002": "2.0",
    "support-00000003": "1.0",
    "support-00000004": None,
    "support-00000005": "00000001",
    "support-00000006": "support-00000002",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("support-00000001", ["support-00000001"]),
        ("00000004", ["support-00000004"]),
        ("2.0", ["support-00000002"]),
        ("1.0", ["support-00000001", "support-00000003"]),
        ("00000001", ["support-00000001"]),  # a hash comes before a version of the same letters
        ("support-00000002", ["support-00000002"]),
        ("3.0", []),
        ("", []),
        ("None", []),
    ],
)
def test_a_revision_is_named_by_its_name_its_hash_or_its_version(text, found):
    assert requests.named(text, VERSIONS) == found


@pytest.mark.parametrize("verb", Verb)
def test_each_verb_is_read_with_a_version_of_any_letters(verb):
    assert requests.parse(f"{verb}/1.0-rc_1/1795914511") == Request(verb, "1.0-rc_1")


@pytest.mark.parametrize("value", ["", "undo", "undo/1.0", "undo/1.0/", "undo//1", "Undo/1.0/1"])
def test_what_has_another_form_is_no_request(value):
    assert requests.parse(value) is None
