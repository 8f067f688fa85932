"""Regular expressions of schemas: what is accepted compiles in a worker, and is not too large."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.api import patterns

#: As a worker compiles them.
OPTIONS = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)


def compiles(pattern):
    schema = {"properties": {"a": {"pattern": pattern}}}
    try:
        jsonschema_rs.validator_for(schema, pattern_options=OPTIONS, offline=True)
    except ValueError:
        return False
    return True


EVERY_DAY = [
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    r"^[^\s@]{1,64}@[^\s@]{1,255}$",
    r"^\+?[1-9]\d{1,14}$",
    r"^(?:EUR|USD|GBP)$",
    r"^.{1,900}$",
    r"^[A-Za-z0-9_.~-]{1,4000}$",
    r"^\p{Lu}[\p{L} '-]+$",
    r"^(?<year>\d{4})/(?<month>\d{2})$",
    r"^\S+( \S+)*$",
    r"^[À-ÿa-z]{1,60}$",
    r"^[\u4e00-\u9fff]{1,100}$",
    r"^\/[\w\/.-]*$",
    r"(?i)^(yes|no)$",
    r"^\{[a-f0-9]{8}\}$",
    r"^$|^a{0}b??$",
    r"[()[\]{}]",
    r"^[-+]?\d+(\.\d+)?([eE][-+]?\d+)?$",
    "^naïve 💥+$",
    "",
]


@pytest.mark.parametrize("pattern", EVERY_DAY)
def test_an_expression_of_every_day_is_accepted_and_compiles(pattern):
    assert patterns.complaint(pattern) is None
    assert compiles(pattern)


UNFIT = {
    "look-ahead": (r"^(?!\s*$).+", "look-around such as (?! has no place"),
    "look-behind": (r"(?<=a)b", "look-around"),
    "a reference back": (r"(a|b)\1", r"\1 would refer back"),
    "a named reference back": (r"(?<n>a)\k<n>", r"\k would refer back"),
    "an atomic group": (r"(?>a)", "a group that begins like this"),
    "a comment": (r"(?#c)a", "a group that begins like this"),
    "an open group": (r"(a", "missing ), unterminated subpattern"),
    "a group closed twice": (r"a)", "unbalanced parenthesis"),
    "an open class": (r"[a", "unterminated character set"),
    "a class of nothing": (r"[]", "a class of nothing"),
    "a class backwards": (r"[z-a]", "leads backwards"),
    "a range from a class": (r"[\w-z]", "must lead from one character to another"),
    "a star of nothing": (r"*a", "nothing to repeat"),
    "a star of an empty choice": (r"a|*", "nothing to repeat"),
    "a lone brace": (r"{a}", "{ must begin a number of repeats"),
    "a repeat without its least": (r"a{,3}", "{ must begin a number of repeats"),
    "a repeat backwards": (r"a{3,2}", "repeats at least more often than at most"),
    "an escape of another dialect": (r"\Qa\E", r"\Q is not known"),
    "half a number of a character": (r"\x4", r"\x is not known"),
    "half of a pair": (r"\uD83D", "is no character"),
    "a name used twice": (r"(?<n>a)(?<n>b)", "two groups are named n"),
    "a thousand groups": ("(" * 1000 + ")" * 1000, "nested more than 100 levels deep"),
    "a repeat of a repeat": (r"(a{1000}){1000}", "its repeats written out are too large"),
    "three of them": (r"^((a{100}b?){100}){100}$", "too large"),
    "a number of nine digits": (r"a{999999999}", "too large"),
    "many letters of all languages": (r"^\p{L}{64}$", "too large"),
    "many of a wide class": (r"^[^/]{2000}$", "too large"),
    "many that may be missing": (r"^(\w?){8000}$", "too large"),
    "a long choice, repeated": (
        "(" + "|".join(f"{i:x}order" for i in range(250)) + "){30}",
        "too large",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_a_worker_could_not_compile_is_refused_with_the_reason(name):
    pattern, expected = UNFIT[name]
    assert expected in (patterns.complaint(pattern) or "nothing")
    assert not compiles(pattern)


ATOMS = [
    "a", "é", "💥", ".", r"\w", r"\d", r"\s", r"\W", r"\S", r"\D", "[^x]", "[a-z]", "[a-zA-Z0-9_.-]",
    r"\p{L}", r"\p{Lu}", "(a|b)", "(ab|cd|ef)", "(?:a)", "a?", "(a{10})", "^", r"\b", r"[\w.-]",
    "[éàü]", "(a*)", r"[^\w]", "[\u4e00-\u9fff]", "[\U00010000-\U0010ffff]", "(?i:k)", "(?i:é)",
    "(?i:[a-z])", r"[\S\d]", r"\x41", "(a?b+c*)", "(a|)", "()", "[^\u4e00-\u9fff]", r"[\u0100-\uffff]",
]  # fmt: skip


@pytest.mark.parametrize("atom", ATOMS)
@pytest.mark.parametrize("least", ["", "0,"])
def test_the_longest_repeat_that_is_accepted_compiles(atom, least):
    low, high = 0, 1 << 17
    while low < high:
        middle = (low + high + 1) // 2
        fits = patterns.complaint(f"{atom}{{{least}{middle}}}") is None
        low, high = (middle, high) if fits else (low, middle - 1)
    assert low >= 20
    assert compiles(f"{atom}{{{least}{low}}}")


TOKENS = [
    "a", "b", "-", "^", "$", ".", "|", "(", ")", "(?:", "(?<n>", "(?i)", "(?i:", "[", "[^", "]", "*", "+",
    "?", "{2}", "{1,3}", "{2,}", "{30}", "{", "}", ",", "\\", r"\d", r"\W", r"\b", r"\p{L}", r"\u0041", r"\x7f",
    r"\cA", r"\-", r"\]", r"\/", "&", "~", "é", "💥", "0", " ", "\n", "<", ">", "=", "!", "#", ":", "z", "_",
]  # fmt: skip


@given(st.lists(st.sampled_from(TOKENS), max_size=8).map("".join) | st.text(max_size=6))
@example("[a&&b]")
@example("[--a]")
@example("[+--]")
@example("a{1}{2}+*?")
@example(r"[\<]")
def test_whatever_is_accepted_compiles(pattern):
    if patterns.complaint(pattern) is None:
        assert compiles(pattern), pattern
