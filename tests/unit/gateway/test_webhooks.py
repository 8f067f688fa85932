"""Targets, bodies, signatures and pauses of webhooks, without a network."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import json
import pathlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from penstock.errors import InvalidResource, StoreRefused
from penstock.names import AgentKey
from penstock_dev.controlplane import certificates
from penstock_runtime.gateway.outages import Outages
from penstock_runtime.gateway.webhooks import posting, sender, signing, targets, template
from penstock_runtime.gateway.webhooks.messages import Message
from penstock_store.outbox import Due

PLAIN = {"url": "https://hooks.example.com/x", "secret": "/etc/x", "namespaces": ["shop"]}
ANN = {"user": "ann@example.com", "groups": ["finance"]}
MESSAGE = {
    "event": "Asked",
    "delivery": "d1",
    "command": "penstock escalations show e1",
    "link": {"url": "https://a/l"},
    "escalation": {
        "tool": "refund",
        "arguments": {"amount": 150, "to": {"name": 'a"b'}},
        "decidedAt": None,
    },
}


def read(**changes):
    return targets.read(json.dumps({"a": PLAIN | changes}))["a"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://hooks.example.com"}, "https only"),
        ({"url": "https://user:geheim@host"}, "url"),
        ({"url": "https://host/x?sig=geheim"}, "url"),
        ({"namespaces": []}, "namespaces"),
        ({"kinds": ["Told"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"surplus": 1}, "surplus"),
        ({"approver": {"user": "a\nb"}}, "approver"),
        ({"body": {"text": "${escalation.tol}"}}, "there is no ${escalation.tol}"),
        ({"body": {"text": "${secret}"}}, "there is no ${secret}"),
        ({"body": {"text": "${escalation}"}}, "there is no ${escalation}"),
        ({"body": {"text": "${link.url}"}}, "names none"),
        ({"body": {"text": "x" * 20_000}}, "bytes"),
        ({"body": {"text": "${event}" * 101}}, "placeholders"),
        ({"body": {"a": json.loads("[" * 40 + "]" * 40)}}, "levels"),
    ],
)
def test_a_target_that_could_not_be_sent_to_is_refused_and_nothing_of_it_is_shown(changes, words):
    with pytest.raises(InvalidResource) as refusal:
        read(**changes)
    assert words in str(refusal.value)
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["http://tickets.ops.svc:8080/x", "http://127.0.0.1:1", "https://a"]
)
def test_what_does_not_leave_the_cluster_may_do_without_tls(url):
    assert read(url=url).url == url


def test_no_word_of_a_target_is_told_of_what_is_not_its_own():
    told = targets.read(
        json.dumps(
            {
                "all": PLAIN | {"namespaces": ["*"]},
                "one": PLAIN | {"agents": ["refunds"]},
                "shop": PLAIN,
            }
        )
    )

    def names(agent):
        return [name for name, _ in targets.told_of(told, AgentKey.parse(agent))]

    assert names("shop/refunds") == ["all", "one", "shop"]
    assert names("shop/support") == ["all", "shop"]
    assert names("bank/refunds") == ["all"]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${escalation.tool} waits", "refund waits"),
        ("${escalation.arguments}", {"amount": 150, "to": {"name": 'a"b'}}),
        ("With ${escalation.arguments.to.name}", 'With a"b'),
        ("${escalation.arguments.amount}", 150),
        ("${escalation.arguments.none}", ""),
        ("${escalation.arguments.amount.more}", ""),
        ("${escalation.decidedAt}", ""),
        ("$$ and $x and ${event}", "$ and $x and Asked"),
        ("$${event}", "${event}"),
    ],
)
def test_a_text_is_filled_in_and_a_placeholder_alone_becomes_the_value(text, filled):
    assert template.filled({"a": [{"b": text}]}, MESSAGE) == {"a": [{"b": filled}]}


def test_what_is_filled_in_is_neither_filled_in_again_nor_longer_than_allowed():
    evil = {
        "escalation": {"tool": "${link.url}", "arguments": {"a": "x" * 9000}},
        "link": {"url": "l"},
    }
    found = template.filled({"a": "${escalation.tool}", "b": "${escalation.arguments}"}, evil)
    assert found["a"] == "${link.url}"
    assert len(found["b"]) == template.MAX_TEXT


def test_a_message_is_signed_with_its_time_by_each_key(tmp_path):
    (tmp_path / "signing-key").write_text("n" * 32 + "\n")
    (tmp_path / "former-signing-key").write_text("f" * 32)
    keys = signing.keys_in(tmp_path, "signing-key")
    said = signing.signature(keys, 17, b"{}")
    wanted = [
        hmac.new(letter * 32, b"17.{}", hashlib.sha256).hexdigest() for letter in (b"n", b"f")
    ]
    assert said == f"v1={wanted[0]},v1={wanted[1]}"


@pytest.mark.parametrize(
    ("name", "word"),
    [("signing-key", ""), ("signing-key", "short"), ("former-signing-key", "short")],
)
def test_a_key_that_is_missing_or_could_be_guessed_signs_nothing(tmp_path, name, word):
    (tmp_path / "signing-key").write_text("n" * 32)
    (tmp_path / name).write_text(word)
    with pytest.raises(signing.SecretUnusable) as refusal:
        signing.keys_in(tmp_path, "signing-key")
    assert "short" not in str(refusal.value)


def test_the_documented_receiver_takes_what_is_sent(monkeypatch):
    page = pathlib.Path(__file__).parents[3] / "docs/operating/webhooks.md"
    code = page.read_text().split("```python\n")[1].split("```")[0]
    known = {}
    exec(code, known)
    headers = {
        signing.TIMESTAMP: "1000",
        signing.SIGNATURE: signing.signature([b"n" * 32, b"f" * 32], 1000, b"{}"),
    }
    monkeypatch.setattr(known["time"], "time", lambda: 1100.0)
    assert known["is_ours"](b"f" * 32, headers, b"{}")
    assert known["is_ours"](b"n" * 32, headers, b"{}")
    assert not known["is_ours"](b"o" * 32, headers, b"{}")
    assert not known["is_ours"](b"n" * 32, headers, b"{ }")
    monkeypatch.setattr(known["time"], "time", lambda: 1400.0)
    assert not known["is_ours"](b"n" * 32, headers, b"{}")


@pytest.mark.parametrize(
    ("waited", "asked_for", "chance", "pause"),
    [
        (0, 0, 0.5, 5),
        (20, 0, 0.5, 20),
        (20, 0, 0, 16),
        (20, 0, 1, 24),
        (86_400, 0, 0.5, 300),
        (20, 600, 0.5, 600),
        (-5, 0, 0.5, 5),
    ],
)
def test_the_pause_is_as_long_as_the_message_has_waited_or_as_its_receiver_asks(
    waited, asked_for, chance, pause
):
    assert sender.pause_seconds(waited, asked_for, chance) == pytest.approx(pause)


async def test_an_agent_that_cannot_be_looked_at_silences_no_other_one():
    looked = []

    class Outbox:
        async def look(self, agent, kinds, place):
            looked.append(agent.name)
            if agent.name == "odd":
                raise StoreRefused("another hand has written it")
            return 0, [Due(due=False, waiting=0, waited_ms=0)]

    class Routes:
        async def index(self):
            return dict.fromkeys(AgentKey("shop", name) for name in ("odd", "fine"))

    store = cast("Any", SimpleNamespace(outbox=Outbox(), routes=Routes()))
    courier = cast("Any", SimpleNamespace(target=read()))
    await sender.Sender(store, {"a": courier}, lambda: 0.0, Outages())._round()
    assert looked == ["odd", "fine"]


async def test_a_fault_of_our_own_ends_no_looking(monkeypatch):
    monkeypatch.setattr(sender, "LONGEST_PAUSE_SECONDS", 0)
    looked, again = [], asyncio.Event()

    class Outbox:
        async def lead(self, who, seconds):
            looked.append(seconds)
            if len(looked) > 1:
                again.set()
            raise LookupError("a fault")

    store = cast("Any", SimpleNamespace(outbox=Outbox()))
    looking = asyncio.create_task(sender.Sender(store, {}, lambda: 0.0, Outages())._look_for_ever())
    async with asyncio.timeout(10):
        await again.wait()
    assert not looking.done()
    looking.cancel()


class Receiver:
    """Takes messages, one of them only when it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()
        self.closed: asyncio.Queue[bool] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(65536):
            if b"POST /slow" in head:
                self.asked.set()
                await self.let_go.wait()
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        writer.close()
        await self.closed.put(self.let_go.is_set())


async def test_a_delivery_under_way_ends_where_it_began_when_the_authority_is_replaced(tmp_path):
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    post, quick = posting.Post(tmp_path), Message(f"{url}/quick", {}, b"{}")
    try:
        async with asyncio.timeout(60):
            slow = asyncio.create_task(post.send(Message(f"{url}/slow", {}, b"{}")))
            await receiver.asked.wait()
            authority = certificates.Authority.create(datetime.datetime.now(datetime.UTC))
            (tmp_path / "ca.crt").write_bytes(authority.pair.certificate)
            await post.send(quick)
            assert not slow.done(), "it was cut off"
            receiver.let_go.set()
            await slow
            assert await receiver.closed.get(), "once it had its answer"
            (tmp_path / "ca.crt").write_bytes(b"none")
            with pytest.raises(signing.SecretUnusable):
                await post.send(quick)
            await post.aclose()
            assert await receiver.closed.get()
    finally:
        receiver.let_go.set()
        server.close()
