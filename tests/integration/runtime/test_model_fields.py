"""What a revision declares of its model is what the model server is asked."""

import json

import pytest

from penstock import revision
from penstock_dev.model import testing
from penstock_runtime.agent.models.model import Failure, ModelFailed, Request
from penstock_runtime.settings import WorkerSettings
from penstock_runtime.worker import boot
from tests.integration.runtime.shop import template

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def other_server():
    with testing.model_server(8, "--require-key", "the-key") as server:
        yield server


@pytest.fixture
def asked(tmp_path):
    """Boots a worker on a template and asks its model once."""

    async def ask(installation_url, *, instructions="Help.", key=None, **model):
        declared = template({"text": "x"}, **model)
        declared["instructions"] = f'{instructions}\n#fake {{"text": "x"}}'
        cut = revision.cut("support", declared, {}, "penstock:test")
        document = tmp_path / "revision.json"
        document.write_text(json.dumps(cut.document()))
        if key:
            (tmp_path / "key").write_text(key)
        settings = WorkerSettings(
            namespace="shop",
            agent="support",
            revision=cut.name,
            revision_file=document,
            revision_digest=revision.digest(cut.document()),
            redis_url="redis://127.0.0.1:9",
            model_url=installation_url,
            credentials_file=tmp_path / "key" if key else None,
        )
        agent = boot.equip(settings, boot.load_revision(settings))
        try:
            return await agent.model.reply(Request([{"role": "user", "content": "Hi"}], 50, 10.0))
        finally:
            await agent.model.aclose()

    return ask


def last_body(server):
    return server.journal(1)["requests"][-1]["body"]


async def test_an_agents_own_endpoint_comes_before_the_installations(fake_model, asked):
    with pytest.raises(ModelFailed) as failed:
        await asked(fake_model.url, baseURL=NOWHERE)
    assert failed.value.kind is Failure.CONNECTION
    assert fake_model.journal(1)["requests"] == []
    await asked(NOWHERE, baseURL=fake_model.url)
    assert len(fake_model.journal(5)["requests"]) == 1
    await asked(fake_model.url)
    assert len(fake_model.journal(5)["requests"]) == 2


async def test_the_key_in_the_credentials_file_is_the_one_that_is_sent(other_server, asked):
    assert (await asked(other_server.url, key="the-key")).stop_reason == "end_turn"
    for wrong in ("another-key", None):
        with pytest.raises(ModelFailed) as failed:
            await asked(other_server.url, key=wrong)
        assert failed.value.kind is Failure.CREDENTIALS


@pytest.mark.parametrize("name", ["claude-sonnet-5-5", "claude-haiku-5-5"])
async def test_the_declared_model_is_the_one_that_is_asked(fake_model, asked, name):
    await asked(fake_model.url, name=name)
    assert last_body(fake_model)["model"] == name


@pytest.mark.parametrize(
    ("declared", "sent"),
    [({"effort": "Low"}, {"effort": "low"}), ({"effort": "High"}, {"effort": "high"}), ({}, None)],
)
async def test_the_declared_effort_is_sent_and_none_when_there_is_none(
    fake_model, asked, declared, sent
):
    await asked(fake_model.url, **declared)
    assert last_body(fake_model).get("output_config") == sent


@pytest.mark.parametrize("words", ["Be kind.", "Be brief."])
async def test_the_instructions_are_the_system_prompt(fake_model, asked, words):
    await asked(fake_model.url, instructions=words)
    assert words in json.dumps(last_body(fake_model)["system"])
