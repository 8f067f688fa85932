"""Addresses of tools and models: what is accepted can be called, and goes where it says."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.api import addresses

CALLABLE = [
    "http://orders.acme.svc/refund",
    "https://api.example.com:8443/v1/orders?limit=10&kind=a%20b",
    "http://127.0.0.1:9/",
    "http://[::1]:8080/x",
    "http://orders",
    "HTTPS://Example.COM/A",
    "http://orders_v2.acme.svc.cluster.local./refund",
    "https://xn--bcher-kva.example/größe",
    "http://orders/a//b/../c;d=e,f@g",
    "https://api.example.com/{tenant}|x",
]


@pytest.mark.parametrize("address", CALLABLE)
def test_an_address_of_every_day_is_accepted(address):
    assert addresses.complaint(address) is None
    assert httpx.URL(address).host


UNFIT = {
    "a line break": ("http://orders/a\nb", "has the character U+000A"),
    "NUL": ("http://orders/\0", "has the character U+0000"),
    "a space that is not seen": ("http://ord\u200bers/", "has the character U+200B"),
    "a space of no width to break": ("http://orders/\u00a0", "has the character U+00A0"),
    "a control character": ("http://orders/\x7f", "U+007F"),
    "turned text": ("http://orders/\u202e", "U+202E"),
    "a user": ("http://admin@orders/", "holds a user or a password; keep them in a Secret"),
    "a password": ("https://a:hunter2@orders/", "holds a user or a password"),
    "no port": ("http://orders:port/", "has a port or brackets that cannot be read"),
    "a port too large": ("http://orders:70000/", "has a port or brackets"),
    "port nought": ("http://orders:0/", "names port 0"),
    "an open bracket": ("http://[::1/", "has a port or brackets"),
    "brackets of nothing": ("http://[]/", "brackets"),
    "a host of dots": ("http://..../", "has a host of numbers that"),
    "a host in quotes": ('http://"orders"/', "has no host"),
    "a host with an escape": ("http://ord%65rs/", "has no host"),
    "a host with a backslash": ("http://orders\\.evil.example/", "has no host"),
    "a host that begins with a dash": ("http://-orders/", "has no host"),
    "a host of another alphabet": (
        "http://bücher.example/",
        "write the form that begins with xn--",
    ),
    "a host of numbers": ("http://1.2.3/", "a host of numbers that is no IPv4 address"),
    "a number too large": ("http://1.2.3.256/", "no IPv4 address"),
    "a zone": ("http://[fe80::1%25eth0]/", "no IPv6 address"),
    "a long label": (f"http://{'a' * 64}.example/", "has no host"),
    "a long name": (f"http://{'a.' * 127}a/", "has no host"),
    "another scheme": ("ftp://orders/", "is no address of http or https"),
    "a fragment": ("http://orders/#a", "a part behind #"),
    "a percent sign": ("http://orders/100%", "a % that begins no escape"),
    "half an escape": ("http://orders/%4", "a % that begins no escape"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_address_that_cannot_be_called_as_written_is_refused_with_the_remedy(name):
    address, expected = UNFIT[name]
    assert expected in (addresses.complaint(address) or "nothing")


def test_an_address_that_is_continued_may_have_no_query():
    assert addresses.complaint("http://model/v?key=1") is None
    told = addresses.complaint("http://model/v?key=1", query_allowed=False) or ""
    assert "has a part behind ?" in told


@pytest.mark.parametrize(
    "address",
    ["http://u:hunter2@h/", "http://u:hunter2/x@h/", "http://h/?hunter2=%", "http://hunter2 h/",
     "http://[hunter2]/", "http://hunter2é/", 'http://hunter2"/', "http://h:hunter2/"],
)  # fmt: skip
def test_a_complaint_quotes_nothing_of_the_address(address):
    assert "hunter2" not in (addresses.complaint(address) or pytest.fail("accepted"))


@given(st.text(alphabet="ab0.-_:/?#[]@%\\ é\n\0'\"{}", max_size=14))
def test_whatever_is_accepted_is_read_alike_by_the_client_that_calls_it(rest):
    address = "http://" + rest
    if addresses.complaint(address) is None:
        read = httpx.URL(address)
        assert read.host
        assert read.userinfo == b""
        assert read.fragment == ""


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com"),
        ("http://model:8080/v/", "http://model:8080/v/"),
        ("https://user:hunter2@gw/v1", "https://gw/v1"),
        ("https://hunter2@gw:8443", "https://gw:8443"),
        ("https://a@hunter2@gw", "https://gw"),
        ("https://gw/v1?key=hunter2", "https://gw/v1"),
        ("https://gw/v1#hunter2", "https://gw/v1"),
        ("https://[::1]:80/?hunter2", "https://[::1]:80/"),
        ("https://user:hunter2?@gw/v1", addresses.UNREADABLE),
        ("https://user:hunter2#@gw/v1", addresses.UNREADABLE),
        ("https://user:hunter2/@gw/v1", addresses.UNREADABLE),
        ("https://[hunter2", addresses.UNREADABLE),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_opens_it(address, shown):
    assert addresses.shown(address) == shown
    assert "hunter2" not in addresses.shown(address)


@given(st.text(alphabet="ab0.-_:/?#[]@%\\ é\n\0'\"{}", max_size=14))
def test_an_address_that_is_accepted_for_a_model_is_shown_as_it_is(rest):
    address = "http://" + rest
    if addresses.complaint(address, query_allowed=False) is None:
        assert addresses.shown(address) == address
