"""Which revision a person means."""

import pytest

from penstock import names, naming

VERSIONS = {"1a2b3c4d": "v1", "1a2b9999": "2", "3a2b3c4d": "v2", "4a2b3c4d": "", "5a2b3c4d": "4a2b"}
LONG = "a" * 60


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1a2b3c4d", "1a2b3c4d"),
        ("support-1a2b3c4d", "1a2b3c4d"),
        ("v1", "1a2b3c4d"),
        ("1", "1a2b3c4d"),
        ("2", "1a2b9999"),  # in full before v2
        ("v2", "3a2b3c4d"),
        ("1a2b3", "1a2b3c4d"),
        ("support-3a2b", "3a2b3c4d"),
        ("4a2b", "5a2b3c4d"),  # a version in full before the beginning of a hash
        ("4a2b3", "4a2b3c4d"),
        ("ffffffff", "ffffffff"),
    ],
)
def test_a_revision_is_found(text, found):
    assert naming.named("support", text, VERSIONS) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1a2b", r"any of support-1a2b3c4d, support-1a2b9999: give the name of one"),
        ("3a2", "the beginning of it"),  # too short to be meant
        ("", "the beginning of it"),
        ("sales-1a2b3c4d", "the beginning of it"),
        ("V", "the beginning of it"),
        ("9", r"a version that one declares \(2, 4a2b, v1, v2\)"),
    ],
)
def test_what_is_none_or_may_be_several_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        naming.named("support", text, VERSIONS)


def test_the_name_of_a_long_agent_begins_with_what_is_left_of_it():
    name = names.revision_name(LONG, "1a2b3c4d")
    assert naming.named(LONG, name[:-3], VERSIONS) == "1a2b3c4d"
