"""What a worker hears of its credential and its model, and that it is passed on once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock import errors
from penstock.access import Access
from penstock_runtime.agent.models import faults, scripted
from penstock_runtime.agent.models.access import LastWord, News, Watched
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from penstock_runtime.worker import heart
from penstock_store.records import Telling
from tests.unit.runtime import fakes
from tests.unit.runtime.test_bad_neighbour import working

ASKED = Request([{"role": "user", "content": "x"}], 100, 5.0)
REFUSED = ModelFailed(Failure.CREDENTIALS, "401", access=Access.CREDENTIALS_REFUSED)


@pytest.mark.parametrize(
    ("status", "error_type", "access"),
    [
        (401, "authentication_error", Access.CREDENTIALS_REFUSED),
        (401, "", Access.CREDENTIALS_REFUSED),
        (403, "permission_error", Access.CREDENTIALS_REFUSED),
        (200, "authentication_error", Access.CREDENTIALS_REFUSED),
        (404, "not_found_error", Access.MODEL_NOT_FOUND),
        (404, "", Access.MODEL_NOT_FOUND),
        (405, "", Access.MODEL_NOT_FOUND),
        (308, "", Access.MODEL_NOT_FOUND),
        (200, "not_found_error", Access.MODEL_NOT_FOUND),
        (400, "invalid_request_error", None),
        (402, "billing_error", None),
        (413, "request_too_large", None),
        (429, "rate_limit_error", None),
        (500, "authentication_error", None),
        (529, "overloaded_error", None),
        (200, "overloaded_error", None),
    ],
)
def test_each_answer_says_of_access_what_it_can(status, error_type, access):
    assert faults.access_of(status, error_type) == access


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_read_again_whatever_the_answer_says_of_retries(status):
    forbidden = {"x-should-retry": "false"}
    assert faults.kind_of(status, "", "", forbidden) == Failure.CREDENTIALS


async def heard(*answers):
    last_word = LastWord()
    model = Watched(scripted.ScriptedModel(answers), last_word)
    for answer in answers:
        if isinstance(answer, ModelFailed):
            with pytest.raises(ModelFailed):
                await model.reply(ASKED)
        else:
            await model.reply(ASKED)
    return last_word.news and last_word.news.access


async def test_the_newest_call_that_says_anything_counts():
    outage = ModelFailed(Failure.OVERLOADED, "529")
    late = ModelFailed(Failure.TIMEOUT, "late")
    assert await heard(outage, late) is None
    assert await heard(scripted.text("x")) is Access.ACCEPTED
    assert await heard(scripted.text("x"), REFUSED) is Access.CREDENTIALS_REFUSED
    assert await heard(REFUSED, scripted.text("x")) is Access.ACCEPTED
    assert await heard(REFUSED, outage) is Access.CREDENTIALS_REFUSED


def test_what_is_heard_while_the_former_word_is_passed_on_is_not_lost():
    now = [100.0]
    last_word = LastWord(lambda: now[0])
    last_word.heard(Access.CREDENTIALS_REFUSED)
    sent = last_word.news
    now[0] = 102.5
    assert last_word.age_ms(sent) == 2500
    last_word.heard(Access.ACCEPTED)
    last_word.told(sent)
    assert last_word.news == News(Access.ACCEPTED, 102.5)
    last_word.told(last_word.news)
    assert last_word.news is None


def test_another_credential_is_looked_for_only_where_one_was_refused():
    asked = []

    def renew():
        asked.append(1)
        return len(asked) > 1

    last_word = LastWord()
    for access in (Access.ACCEPTED, Access.MODEL_NOT_FOUND):
        last_word.heard(access)
        last_word.refresh(renew)
    assert not asked
    last_word.heard(Access.CREDENTIALS_REFUSED)
    last_word.refresh(renew)
    assert last_word.news.access is Access.CREDENTIALS_REFUSED, "it is the same one still"
    last_word.refresh(renew)
    assert last_word.news.access is Access.UNTRIED
    last_word.refresh(renew)
    assert len(asked) == 2


def answering(text):
    if text == "refused":
        raise REFUSED
    return fakes.DONE


async def test_a_word_rides_on_the_heartbeat_once_and_again_where_a_beat_was_lost(template):
    store = fakes.Store(fakes.claim(1, "refused"))
    agent = fakes.agent(template, fakes.Model(answering))
    lost = []

    def lose(*_):
        lost.append(1)
        raise errors.StoreUnavailable("no answer")

    async with working(store, agent, heartbeat_seconds=0.05):
        await store.until(lambda: store.told)
        (word,) = store.told
        duty = fakes.duty()
        assert word == Telling(duty.agent, duty.revision, Access.CREDENTIALS_REFUSED, word.age_ms)
        store.failing["ping"] = lose
        store.waiting.append(fakes.claim(2))
        await store.until(lambda: len(store.finished) == 2 and len(lost) > 1)
        del store.failing["ping"]
        await store.until(lambda: len(store.told) == 2)
        beats = store.times("ping")
        await store.until(lambda: store.times("ping") > beats + 2)
    assert [told.access for told in store.told] == [Access.CREDENTIALS_REFUSED, Access.ACCEPTED]


async def test_whom_the_tasks_ask_rides_on_a_heartbeat_once_and_again_when_it_is_another(
    template, monkeypatch
):
    store, asks = fakes.Store(), ["one"]
    agent = replace(fakes.agent(template, fakes.Model(answering)), asks=lambda: asks[-1])
    async with working(store, agent, heartbeat_seconds=0.02):
        await store.until(lambda: store.told)
        beats = store.times("ping")
        await store.until(lambda: store.times("ping") > beats + 3)
        duty = fakes.duty()
        assert store.told == [Telling(duty.agent, duty.revision, None, 0, "one")]
        asks.append("two")
        await store.until(lambda: len(store.told) == 2)
        monkeypatch.setattr(heart, "_TELL_AGAIN_SECONDS", 0.0)
        await store.until(lambda: len(store.told) > 3)
    assert [told.asks for told in store.told[:4]] == ["one", "two", "two", "two"]


def test_an_answer_of_one_model_does_not_hide_that_another_is_not_found():
    last_word = LastWord()
    last_word.heard(Access.MODEL_NOT_FOUND, "tier")
    last_word.heard(Access.ACCEPTED, "model")
    assert last_word.news.access is Access.MODEL_NOT_FOUND
    last_word.heard(Access.CREDENTIALS_REFUSED, "model")
    assert last_word.news.access is Access.CREDENTIALS_REFUSED
    last_word.heard(Access.ACCEPTED, "tier")
    assert last_word.news.access is Access.ACCEPTED
