"""What a gate makes of a server: of a real Prometheus, and of what may stand in its place."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from decimal import Decimal

import pytest

from penstock.analysis import promql
from penstock.analysis.gates import MOST_BYTES, Said
from penstock_operator.external import prometheus
from penstock_operator.external.prometheus import Unasked
from penstock_operator.external.servers import Server
from tests.integration.external.conftest import OK, body, number


@pytest.fixture
async def connections():
    async with prometheus.session() as made:
        yield made


@pytest.fixture
def ask(connections):
    async def asked(where, query="csat", credentials=None):
        server = Server(url=where.url, namespaces=("*",), credentials=credentials)
        return await prometheus.ask(connections, server, query)

    return asked


# -------------------------------------------------------------------------- a real Prometheus


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ('avg(csat{namespace="acme"})', "4"),
        ("scalar(calls_total) * 2", "14"),
        ("1e-7 * calls_total", "7e-07"),
        ('csat{pod="a"} - csat{pod="a"}', None),
        ("vector(4.5)", "4.5"),
    ],
)
async def test_prometheus_says_a_number(real, ask, query, value):
    said = await ask(real, query)
    assert said.value == Decimal(value or "0")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("csat", "3 series"),
        ("nobody_has_this", "no series"),
        ("broken", "NaN"),
        ("calls_total / 0", "+Inf"),
        ("csat[5m]", "no number"),
        ('"a word"', "no number"),
    ],
)
async def test_prometheus_says_something_else(real, ask, query, words):
    said = await ask(real, query)
    assert said.value is None
    assert words in said.problem


async def test_prometheus_tells_what_is_wrong_with_a_query(real, ask):
    with pytest.raises(Unasked, match=r"it answered 400: .*parse error"):
        await ask(real, "csat{")


#: What a scrape or two cannot tell yet; it must be understood all the same.
ANYTHING = "anything"
HELD = {
    "sum(csat{})": "8",
    'sum(csat{namespace="globex"})': None,
    'sum(csat{namespace=~".*"})': "8",
    'sum by (namespace) (csat{pod!="c"}) / on (namespace) group_left count by (namespace) (csat{})': "4",
    'max(max_over_time(csat{pod="a"}[5m]))': "4.5",
    'max(max_over_time(csat{pod="a"}[5m:1s] @ end()))': ANYTHING,
    "sum(rate(calls_total{}[1m])) >= bool 0": ANYTHING,
    'count({__name__=~"csat|calls_total"})': "3",
    "-csat{pod='a'} @ end()": "-4.5",
    'label_replace(sum(csat{}), "namespace", "globex", "", "")': "8",
}  # fmt: skip


@pytest.mark.parametrize("query", HELD)
async def test_prometheus_takes_a_query_that_is_held_to_a_namespace(real, ask, query):
    said = await ask(real, promql.limited(query, "namespace", "acme"))
    if HELD[query] is None:
        assert said.problem == "the query yields no series"
    elif HELD[query] != ANYTHING:
        assert said.value == Decimal(HELD[query])


# -------------------------------------------------------------------- what stands in its place


async def test_the_query_is_sent_whole_and_nothing_else_is(plain, ask):
    assert (await ask(plain, 'a{b="ü & ?"} + 1')).value == Decimal("4.5")
    (request,) = plain.requests
    line, *headers = request.split("\r\n")
    assert line == "GET /api/v1/query?query=a%7Bb%3D%22%C3%BC+%26+?%22%7D+%2B+1 HTTP/1.1"
    names = {header.partition(":")[0].lower() for header in headers if header}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}


ANSWERS = {
    "HTML": (body("<html>log in</html>"), "no Prometheus"),
    "401": (body("who are you", b"HTTP/1.1 401 Unauthorized\r\n"), "refuses the credential of the chart (401)"),
    "403": (body("{}", b"HTTP/1.1 403 Forbidden\r\n"), "refuses the credential of the chart (403)"),
    "another place": (
        body("", b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\n"),
        "leads elsewhere (302)",
    ),
    "an HTML error": (body("<h1>Bad gateway</h1>", b"HTTP/1.1 502 Bad Gateway\r\n"), "(HTTP 502)"),
    "a small archive": (
        body(gzip.compress(b" " * 50_000_000), OK + b"Content-Encoding: gzip\r\n"),
        "compresses its answer",
    ),
    "too long": (body(" " * (MOST_BYTES + 1)), "longer than 1 MiB"),
    "half": (OK + b"Content-Length: 500\r\n\r\n{", "broke off"),
    "noise": (b"\x00\x01\x02\r\n\r\n", "broke off"),
    "nothing": (b"", "broke off"),
    "a header without end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "broke off"),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_else_answers_is_no_number(plain, ask, name):
    plain.answer, words = ANSWERS[name]
    try:
        said = await ask(plain)
    except Unasked as error:
        said = Said(problem=str(error))
    assert said.value is None
    assert words in said.problem
    asked = {request.split("\r\n")[0] for request in plain.requests}
    assert asked == {"GET /api/v1/query?query=csat HTTP/1.1"}, "nobody is followed"


async def test_an_answer_of_just_the_longest_length_is_read(plain, ask):
    text = number()
    plain.answer = body(text + " " * (MOST_BYTES - len(text)))
    assert (await ask(plain)).value == Decimal("4.5")


async def test_an_answer_without_end_is_cut_at_its_bound(plain, ask):
    sent = 0

    async def endless(writer):
        nonlocal sent
        writer.write(OK + b"\r\n")
        while not writer.is_closing():
            writer.write(b" " * 65536)
            await writer.drain()
            sent += 65536

    plain.writes = endless
    with pytest.raises(Unasked, match="longer than 1 MiB"):
        await ask(plain)
    await asyncio.sleep(0)
    assert sent < 64 * MOST_BYTES


@pytest.mark.parametrize("after", ["nothing", "the head", "a byte at a time"])
async def test_who_is_slow_is_not_waited_for(plain, ask, monkeypatch, after):
    monkeypatch.setattr(prometheus, "SECONDS", 0.3)

    async def slow(writer):
        if after != "nothing":
            writer.write(OK + b"\r\n")
        while not writer.is_closing():
            if after == "a byte at a time":
                writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    plain.writes = slow
    async with prometheus.session() as connections:
        server = Server(url=plain.url, namespaces=("*",))
        with pytest.raises(Unasked, match="no answer within"):
            await prometheus.ask(connections, server, "csat")


async def test_nobody_there_is_told(ask, plain):
    plain.url = "http://127.0.0.1:1"
    with pytest.raises(Unasked, match="it cannot be reached"):
        await ask(plain)


# ------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("files", "header"),
    [
        ({"token": "abc\n"}, "Bearer abc"),
        ({"username": "me", "password": "pw"}, "Basic bWU6cHc="),
        ({"ca.crt": ""}, None),
    ],
)
async def test_it_says_who_it_is_as_its_secret_says_and_reads_that_each_time(
    plain, ask, tmp_path, monkeypatch, files, header
):
    monkeypatch.setattr(
        ssl, "create_default_context", lambda cafile: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    await ask(plain, credentials=tmp_path)
    sent = [h for h in plain.requests[0].split("\r\n") if h.lower().startswith("authorization:")]
    assert sent == ([f"Authorization: {header}"] if header else [])
    (tmp_path / "token").write_text("fresh", encoding="utf-8")
    await ask(plain, credentials=tmp_path)
    assert "Authorization: Bearer fresh" in plain.requests[1]


@pytest.mark.parametrize("files", [{}, {"username": "me"}])
async def test_without_what_it_needs_nobody_is_asked(plain, ask, tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(Unasked, match="neither token nor username and password"):
        await ask(plain, credentials=tmp_path)
    assert plain.requests == []


async def test_a_token_that_is_no_header_is_not_sent_and_not_told(plain, ask, tmp_path):
    (tmp_path / "token").write_text("se\r\ncret: x", encoding="utf-8")
    with pytest.raises(Unasked) as told:
        await ask(plain, credentials=tmp_path)
    assert "cret" not in str(told.value)
    assert plain.requests == []
