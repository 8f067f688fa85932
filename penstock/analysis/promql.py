"""A query held to the series of one namespace: each of its selectors gets one more matcher.

Only a plain part of PromQL is let through, in which every selector can be seen for sure: a name of a
metric is followed by braces. What cannot be told for sure is refused, never passed on as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<number>(?:0[xX][0-9a-fA-F]+|[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![a-zA-Z0-9_]))
  | (?P<name>[a-zA-Z_][a-zA-Z0-9_:]*)
  | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^><=(){}\[\],:@])
    """,
    re.VERBOSE,
)
#: They take a list of labels in parentheses.
_LABEL_LISTS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_AGGREGATIONS: Final = frozenset(
    [
        "sum",
        "min",
        "max",
        "avg",
        "group",
        "stddev",
        "stdvar",
        "count",
        "count_values",
        "bottomk",
        "topk",
        "quantile",
        "limitk",
        "limit_ratio",
    ]
)
#: They stand between two operands, and are followed by one.
_BETWEEN: Final = frozenset({"and", "or", "unless", "atan2"})
_GROUPS: Final = frozenset({"group_left", "group_right"})
_MATCHERS: Final = frozenset({"=", "!=", "=~", "!~"})
_COMPARISONS: Final = frozenset({"==", "!=", ">", "<", ">=", "<="})
#: After these an operand begins.
_OPEN: Final = frozenset({"", "(", ",", "+", "-", "*", "/", "%", "^", *_COMPARISONS, *_BETWEEN})


class QueryRefused(ValueError):
    """It cannot be told for sure which series a query reads; says what to write instead."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    end: int


def limited(query: str, label: str, value: str) -> str:
    """The query, reading only series whose label has that value.

    A matcher of the query's own on the same label stays: both must hold.

    Args:
        label: a label's name, as Prometheus allows it.
        value: a namespace: letters, digits and dashes.
    Raises:
        QueryRefused: it has a selector without braces, a comment, or what this version does not know.
    """
    made, done = "", 0
    for brace, is_empty in _selectors(list(_tokens(query))):
        made += query[done:brace] + f'{label}="{value}"' + "," * (not is_empty)
        done = brace
    return made + query[done:]


def _selectors(tokens: list[_Token]) -> Iterator[tuple[int, bool]]:
    """Where the matchers of each selector begin, and whether it has none."""
    previous, place = "", 0
    while place < len(tokens):
        token = tokens[place]
        following = tokens[place + 1].text if place + 1 < len(tokens) else ""
        if token.text == "{" and token.kind == "sign":
            end = _closing(tokens, place)
            yield token.end, end == place + 1
            previous, place = "}", end + 1
        elif token.kind == "name" and _lists_labels(token.text, previous, following):
            place = _past_labels(tokens, place)
            # After `by (…)` stands an operand in parentheses, or none; after the others one stands.
            previous = ")" if token.text.lower() in ("by", "without") else "("
        else:
            if token.kind == "name":
                _check_name(token.text, previous, following)
            previous, place = _role(token), place + 1


def _role(token: _Token) -> str:
    """What a token is to the one after it."""
    return "operand" if token.kind in ("text", "number") else token.text.lower()


def _lists_labels(name: str, previous: str, following: str) -> bool:
    """Whether a list of labels follows on this word; that of a group may be left out."""
    word = name.lower()
    if word not in _LABEL_LISTS:
        return False
    bare = word in _GROUPS and previous == "(" and following not in ("", "{")
    return following == "(" or bare


def _tokens(query: str) -> Iterator[_Token]:
    place = 0
    while place < len(query):
        found = _TOKEN.match(query, place)
        if found is None:
            raise QueryRefused(f"{query[place]!r} at character {place + 1} is not understood here")
        place = found.end()
        if found.lastgroup != "space":
            yield _Token(str(found.lastgroup), found.group(), place)


def _closing(tokens: list[_Token], place: int) -> int:
    """The end of the braces that begin there: matchers parted by commas, and nothing else."""
    place += 1
    while tokens[place : place + 1] and tokens[place].text != "}":
        kinds = [token.kind for token in tokens[place : place + 3]]
        plain = kinds in (["name", "sign", "text"], ["text", "sign", "text"])
        if plain and tokens[place + 1].text in _MATCHERS:
            place += 3
        elif kinds[:1] == ["text"]:
            place += 1  # the metric's own name in quotes
        else:
            raise QueryRefused('a selector holds matchers such as job="a", parted by commas')
        if tokens[place : place + 1] and tokens[place].text == ",":
            place += 1
        elif not (tokens[place : place + 1] and tokens[place].text == "}"):
            raise QueryRefused("the matchers of a selector are parted by commas")
    if place >= len(tokens):
        raise QueryRefused("a brace is not closed")
    return place


def _past_labels(tokens: list[_Token], place: int) -> int:
    """The place after a word such as `by` and its list of labels."""
    word = tokens[place].text
    place += 1
    if tokens[place].text != "(":
        return place
    while place < len(tokens):
        token = tokens[place]
        if token.text not in ("(", ")", ",") and token.kind not in ("name", "text"):
            break
        place += 1
        if token.text == ")":
            return place
    raise QueryRefused(f"{word} is followed by labels in parentheses")


def _check_name(name: str, previous: str, following: str) -> None:
    """A word that stands outside of braces and of lists of labels."""
    word = name.lower()
    if following in ("(", "{"):
        return  # a function, an aggregation, or a selector
    if previous in _OPEN or previous == "bool":
        is_bool = word == "bool" and previous in _COMPARISONS and bool(following)
        aggregates = word in _AGGREGATIONS and following.lower() in ("by", "without")
        if word in ("inf", "nan") or is_bool or aggregates:
            return
        raise QueryRefused(f"write {name}{{}}: a metric's name is followed by braces here")
    if word in _BETWEEN or word == "offset":
        return
    raise QueryRefused(f"{name} is not understood where it stands")
