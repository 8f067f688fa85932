"""A query that is held to one namespace: each selector gets its matcher, and what hides one is refused."""

from __future__ import annotations

import re

import pytest

from penstock.analysis.promql import QueryRefused, limited

#: As it is written, and as it is sent; N stands for the matcher.
HELD = [
    ("up{}", "up{N}"),
    ('up{job="a"}', 'up{N,job="a"}'),
    ('up{job="a",}', 'up{N,job="a",}'),
    ('{__name__="up"}', '{N,__name__="up"}'),
    ('{"my.metric", a!~"b"}', '{N,"my.metric", a!~"b"}'),
    ("sum(rate(a{}[5m])) by (job) > bool 3", "sum(rate(a{N}[5m])) by (job) > bool 3"),
    ("SUM BY (x) (a{}) / ON (x) GROUP_LEFT (y) b{}", "SUM BY (x) (a{N}) / ON (x) GROUP_LEFT (y) b{N}"),
    ("a{} * on (x) group_left b{}", "a{N} * on (x) group_left b{N}"),
    ("a{} and b{} or c{} unless d{}", "a{N} and b{N} or c{N} unless d{N}"),
    ("max_over_time(a{}[1h30m:1m] offset 5m) @ 123", "max_over_time(a{N}[1h30m:1m] offset 5m) @ 123"),
    ("a{} @ end()", "a{N} @ end()"),
    ("-1.5e3 * a{} + vector(0x1F)", "-1.5e3 * a{N} + vector(0x1F)"),
    ('a{x="}"} + b{x=\'{\'} + c{x=`"`}', 'a{N,x="}"} + b{N,x=\'{\'} + c{N,x=`"`}'),
    (r'a{x="\"}"}', r'a{N,x="\"}"}'),
    ('label_replace(a{}, "namespace", "$1", "b", "(.*)")', 'label_replace(a{N}, "namespace", "$1", "b", "(.*)")'),
    ("histogram_quantile(0.9, sum by (le) (rate(a{}[5m])))", "histogram_quantile(0.9, sum by (le) (rate(a{N}[5m])))"),
    ("job:a:rate5m{}", "job:a:rate5m{N}"),
    ("by{} + on{}", "by{N} + on{N}"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "sent"), HELD, ids=[query for query, _ in HELD])
def test_every_selector_gets_the_matcher_and_nothing_else_changes(query, sent):
    assert limited(query, "namespace", "acme") == sent.replace("{N", '{namespace="acme"')


REFUSED = [
    "secret", "(secret)", "secret[5m]", "secret offset 5m", "secret @ 5", "1 + secret", "-secret",
    "a{} > bool secret", "a{} and secret", "a{} / on (x) secret", "a{} / on (x) group_left secret",
    "f(a{}, secret)", "sum by (x) secret", "sum secret", "secret by (x)", "sum(secret by (x))",
    "by", "on", "bool", "offset", "a{} > bool", "a{} @ secret", "a{} offset secret", "1 secret",
    '"x" secret', "[secret]", "a{}[5m:secret]", "sum(by)",
    '{a="b" or c="d"}', '{a="b", secret}', '{a="b" c="d"}', "{a=b}", '{a>"b"}', '{a="b"', "{{}}",
    "a{} # {", "a{} // b", "a{}; b", 'a{x="b\n"}', "\u00e0{}", "a{}\x00", "a{x='", "$a{}",
    'a{x="\\\n"}',
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
def test_what_hides_a_selector_is_refused(query):
    with pytest.raises(QueryRefused):
        limited(query, "namespace", "acme")


def test_the_refusal_says_what_to_write():
    with pytest.raises(QueryRefused, match=re.escape("write secret{}: a metric's name")):
        limited("sum(secret)", "namespace", "acme")


def test_a_matcher_of_the_querys_own_on_the_same_label_widens_nothing():
    assert limited('a{namespace="b"}', "namespace", "acme") == 'a{namespace="acme",namespace="b"}'
