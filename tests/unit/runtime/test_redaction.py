"""A known credential is found in every form in which libraries and servers repeat it."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from penstock_runtime import logs, redaction

TOKEN = "p4ss/w0rd+with=\"odd' \\chars"
BASIC = "Basic " + base64.b64encode(b"alice:" + TOKEN.encode()).decode()
LINES = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJA=\n-----END KEY-----"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setattr(redaction, "_forms", [])


@pytest.mark.parametrize(
    "form",
    [
        lambda value: value,
        lambda value: f"Illegal header value {value.encode()!r}",
        repr,
        json.dumps,
        lambda value: json.dumps(json.dumps({"a": value})),
        lambda value: json.dumps(value).replace("/", "\\/"),
        lambda value: quote(value, safe=""),
        quote,
        lambda value: quote(value, safe="").lower(),
        quote_plus,
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
        lambda value: value.encode().hex(),
        lambda value: value.encode().hex().upper(),
        html.escape,
        lambda value: html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        lambda value: html.escape(value).replace("&#x27;", "&#39;"),
        lambda value: html.escape(value, quote=False),
    ],
    ids=[
        *("plain", "bytes", "repr", "json", "nested", "escaped"),
        *("url", "path", "lower", "form", "base64", "url64", "hex", "HEX"),
        *("html", "html in numbers", "html of both kinds", "html text"),
    ],
)
@pytest.mark.parametrize(
    "value", [TOKEN, f"Bearer {TOKEN}", BASIC], ids=["plain", "Bearer", "Basic"]
)
def test_a_credential_is_replaced_in_any_form(form, value):
    redaction.learn(value)
    said = redaction.redact(f"before {form(TOKEN if value == BASIC else value)} after")
    assert said.startswith("before ")
    assert said.endswith(" after")
    lowered = said.lower()
    for part in (TOKEN, "p4ss", "w0rd", TOKEN.encode().hex()):
        assert part.lower() not in lowered


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("header", ["", "k", "X-Api-Key: ", "Authorization: Bearer "])
@pytest.mark.parametrize("after", ["", "\r\n", "\r\nHost: shop"])
def test_a_credential_inside_of_what_is_encoded_is_replaced(encode, header, after):
    redaction.learn(TOKEN)
    said = redaction.redact(encode(f"{header}{TOKEN}{after}".encode()).decode())
    assert redaction.INSTEAD in said
    left = said.replace(redaction.INSTEAD, "").rstrip("=")
    others = encode(f"{header}{after}".encode()).decode().rstrip("=")
    assert len(left) <= len(others) + 2  # the characters of both


@pytest.mark.parametrize("port", ["", ":5432"])
@pytest.mark.parametrize("tail", ["", "/orders?mail=a@b.example"])
def test_the_password_in_an_address_is_replaced_without_its_address(port, tail):
    redaction.learn(f"postgres://bob:p4ssW0rd%2Flong@db.example.com{port}{tail}")
    said = redaction.redact("bad password p4ssW0rd/long, p4ssW0rd%2Flong at db.example.com for bob")
    assert said == "bad password [redacted], [redacted] at db.example.com for bob"


def test_each_line_of_a_credential_is_replaced():
    redaction.learn(LINES)
    for line in LINES.splitlines():
        assert line not in redaction.redact(f"error near {line}!")
    assert "MIIE" not in redaction.redact(repr(LINES))


def test_a_credential_that_was_replaced_stays_known():
    redaction.learn("old-credential")
    redaction.learn("new-credential")
    assert redaction.redact("old-credential new-credential") == "[redacted] [redacted]"


@pytest.mark.parametrize("value", ["", "on", "1234567"])
def test_what_is_short_is_a_word_that_stays(value):
    redaction.learn(value)
    assert redaction.redact(f"on 1234567 {value}") == f"on 1234567 {value}"


@pytest.mark.parametrize("length", range(8, 20))
def test_half_a_credential_at_a_cut_is_replaced(length):
    redaction.learn("abcdefghijklmnopqrst")
    cut = "x " + "abcdefghijklmnopqrst"[:length]
    assert redaction.redact_cut(cut) == "x [redacted]"


def test_a_text_is_filtered_before_it_is_cut():
    redaction.learn("abcdefghijklmnopqrst")
    for most in range(5, 40):
        assert "abcd" not in redaction.shortened("x" * 10 + "abcdefghijklmnopqrst" * 3, most)


def test_values_are_filtered_wherever_they_stand():
    redaction.learn("abcdefghij")
    told = redaction.redact_all({"abcdefghij": [{"a": ("abcdefghij", 5, None)}]})
    assert told == {"[redacted]": [{"a": ["[redacted]", 5, None]}]}


def test_a_log_line_holds_no_credential_nor_does_its_traceback(capsys, monkeypatch):
    redaction.learn(TOKEN)
    monkeypatch.setattr(logs, "_take_over_standard_logging", lambda _: None)
    defaults = logs.structlog.get_config()
    logs.configure("INFO")
    try:
        raise ValueError(f"Illegal header value {TOKEN!r}")
    except ValueError:
        logs.get().exception("it broke", header=TOKEN)
    finally:
        logs.structlog.configure(**defaults)
        logs.structlog.contextvars.clear_contextvars()
    line = capsys.readouterr().out
    assert json.loads(line)["event"] == "it broke"
    assert "w0rd" not in line
