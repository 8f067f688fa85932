"""Which headers of a tool's Secret are kept from everybody, and which are words of every answer."""

import base64
import json
import random
import uuid

import pytest

from penstock_runtime import redaction
from penstock_runtime.agent import credentials

KEPT = [
    ("Authorization", "Bearer production"),
    ("Authorization", "production"),
    ("X-Api-Key", "2024-01-01"),
    ("X-Shop-Token", "identity"),
    ("x-client-secret", "changeme"),
    ("X-Password", "letmein-please"),
    ("Cookie", "a=development"),
    ("Ocp-Apim-Subscription-Key", "subscription"),
    ("X-Shop", "p4ss-w0rd!"),
    ("X-Shop", "123456789"),
    ("X-Shop", "alice:1234"),
    ("X-Shop", "a8f5f167f44f4964e6c998dee827110c"),
    ("X-Shop", "xKqPzWvLmNbYtRsD"),
    ("X-Shop", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"),
    ("X-Shop", "https://user:hunter22@shop.example/"),
    ("X-Shop", "https://shop.example/hooks/T024BE7LD/aG9va3M"),
    ("X-Shop", "https://shop.example/?sig=aGVsbG8"),
    ("X-Shop", "a8f5f167f44f4964.example"),
    ("X-Shop", "application/a8f5f167f44f4964e6c998"),
    ("X-Shop", "qwmzxkvbnrtplsdfgh"),
    ("X-Shop", str(uuid.UUID(int=0x123E4567E89B12D3A456426614174000))),
]
SHOWN = [
    ("X-Stage", "production"),
    ("X-Tenant", "acme-europe"),
    ("X-Mode", "Read Only"),
    ("X-Since", "2024-01-01"),
    ("X-Since", "2024-01-01T00:00:00Z"),
    ("X-Release", "2024-01-01-preview"),
    ("X-Release", "v10.22.333"),
    ("X-Encoding", "identity"),
    ("X-Format", "application/vnd.shop.v2+json; charset=utf-8"),
    ("X-Callback", "https://shop.example:8443/v1/orders"),
    ("X-Backend", "shop.default.svc.cluster.local"),
    ("Accept-Encoding", "gzip;q=1.0, br;q=0.9"),
    ("ACCEPT", "application/json, text/event-stream;q=0.5"),
    ("Content-Language", "de-CH, fr-CH"),
    ("User-Agent", "shop-agent/10.2 (linux; x86_64)"),
    ("Host", "shop1234567890123.example"),
    ("Cache-Control", "max-age=86400"),
    ("X-Shop-Version", "2024-01-01.acacia12"),
    ("anthropic-version", "2023-06-01"),
    ("X-Environment", "staging-2024"),
]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setattr(redaction, "_forms", [])


def mounted(folder, name, value):
    (folder / name).write_text(value)
    return credentials.headers(folder)


@pytest.mark.parametrize(("name", "value"), KEPT)
def test_what_may_be_a_secret_is_kept(tmp_path, name, value):
    assert mounted(tmp_path, name, value) == {name: value}
    assert redaction.redact(f"so {value}, then") == f"so {redaction.INSTEAD}, then"


@pytest.mark.parametrize(("name", "value"), SHOWN)
def test_what_is_no_secret_stays_in_answers(tmp_path, name, value):
    assert mounted(tmp_path, name, value) == {name: value}
    assert redaction.redact(f"so {value}, then") == f"so {value}, then"


@pytest.mark.parametrize(
    "made",
    [
        lambda chance: chance.randbytes(8).hex(),
        lambda chance: base64.urlsafe_b64encode(chance.randbytes(12)).decode(),
        lambda chance: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
    ],
    ids=["hex", "base64", "uuid"],
)
def test_random_text_is_kept_under_any_name_of_ones_own(made):
    """But for what looks like words by chance: `Vzuukcgt-Wqykoxl` is one of many thousand."""
    chance = random.Random(20261129)
    shown = [
        value
        for value in map(made, [chance] * 5000)
        if not credentials.may_be_secret("X-Shop", value)
    ]
    assert len(shown) <= 2, shown


DOCUMENT = {
    "type": "service_account",
    "project_id": "shop-europe",
    "private_key": "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----",
    "uses": [{"token": "pk-LLLqqq-99812"}],
}


@pytest.mark.parametrize("indent", [None, 2], ids=["one line", "several"])
def test_of_a_json_document_its_secret_members_are_kept_as_well(tmp_path, indent):
    try:
        mounted(tmp_path, "X-Account", json.dumps(DOCUMENT, indent=indent))
    except credentials.Unfit:
        assert indent  # no header may have its line breaks, and nobody may see it either
    told = redaction.redact("service_account shop-europe: no pk-LLLqqq-99812, no MIIEowIBAAKCAQEA")
    assert told == "service_account shop-europe: no [redacted], no [redacted]"
