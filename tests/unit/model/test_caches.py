"""What the fake Messages server keeps for its clients' marks, and how it charges for it."""

from __future__ import annotations

import pytest

from penstock_dev.model import caches, conversation, models

MODEL = models.KNOWN["claude-sonnet-5-5"]
MARK = {"cache_control": {"type": "ephemeral"}}
LONG = "x" * 4 * 2000


def block(said, **more):
    return {"type": "text", "text": said, **more}


def request(*messages, system=None, **more):
    told = [{"role": role, "content": content} for role, content in messages]
    system = system or (block(LONG, **MARK),)
    return {"system": list(system), "messages": told, **more}


def asked(cache, document, now=0.0, owner="key", model=MODEL):
    share = cache.share(owner, model, document, now)
    cache.keep(share, now)
    return share.read, share.written_5m, share.written_1h


HELLO = ("user", "hello")


def test_what_is_marked_is_written_once_and_read_after():
    cache = caches.Cache()
    assert asked(cache, request(HELLO)) == (0, 2000, 0)
    assert asked(cache, request(("user", "another question"))) == (2000, 0, 0)


def test_without_a_mark_nothing_is_kept():
    cache = caches.Cache()
    plain = request(HELLO, system=(block(LONG),))
    assert asked(cache, plain) == asked(cache, plain) == (0, 0, 0)


def test_what_is_below_the_models_minimum_is_kept_nowhere():
    cache = caches.Cache()
    short = request(("user", LONG), system=(block("x" * 4 * 1023, **MARK),))
    assert asked(cache, short) == asked(cache, short) == (0, 0, 0)
    enough = request(HELLO, system=(block("x" * 4 * 1024, **MARK),))
    assert asked(cache, enough) == (0, 1024, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"owner": "another key"},
        {"model": models.KNOWN["claude-sonnet-5"]},
        {"document": request(HELLO, tools=[{"name": "look_up", "input_schema": {}}])},
    ],
)
def test_another_key_model_or_tool_reads_nothing(other):
    cache = caches.Cache()
    asked(cache, request(HELLO))
    assert asked(cache, **{"document": request(HELLO), **other})[0] == 0


def test_five_minutes_after_its_last_use_it_is_gone():
    cache = caches.Cache()
    asked(cache, request(HELLO), now=0)
    assert asked(cache, request(HELLO), now=299)[0] == 2000
    assert asked(cache, request(HELLO), now=598)[0] == 2000
    assert asked(cache, request(HELLO), now=898) == (0, 2000, 0)


def test_an_hour_is_counted_apart():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    cache = caches.Cache()
    hour = request(HELLO, system=(block(LONG, **mark),))
    assert asked(cache, hour) == (0, 0, 2000)
    assert asked(cache, hour, now=3599) == (2000, 0, 0)


def test_a_conversation_is_read_up_to_the_mark_before():
    cache = caches.Cache()
    asked(cache, request(("user", [block("x" * 400, **MARK)])))
    longer = request(
        ("user", "x" * 400), ("assistant", "x" * 40), ("user", [block("x" * 80, **MARK)])
    )
    assert asked(cache, longer) == (2100, 30, 0)


def test_no_more_than_twenty_blocks_are_looked_back():
    cache = caches.Cache()
    first = request(("user", [block("x" * 400, **MARK)]))
    asked(cache, first)

    def after(blocks):
        said = [block("y" * 4) for _ in range(blocks)]
        return request(
            ("user", "x" * 400),
            ("assistant", said),
            ("user", [block("z", **MARK)]),
            system=(block(LONG),),
        )

    assert cache.share("key", MODEL, after(19), 0).read == 2100
    assert cache.share("key", MODEL, after(20), 0).read == 0


def test_a_mark_at_the_top_is_one_behind_the_last_block():
    cache = caches.Cache()
    plain = request(HELLO, system=(block(LONG),), **MARK)
    whole = conversation.input_tokens(plain)
    assert asked(cache, plain) == (0, whole, 0)
    assert asked(cache, plain) == (whole, 0, 0)


def test_what_brought_no_answer_is_not_kept():
    cache = caches.Cache()
    cache.share("key", MODEL, request(HELLO), 0)
    assert asked(cache, request(HELLO))[0] == 0
