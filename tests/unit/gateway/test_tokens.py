"""The tokens file: what it may hold, and that a change of it is taken over."""

from __future__ import annotations

import asyncio
import json

import pytest
import structlog

from penstock.errors import InvalidResource
from penstock.names import AgentKey
from penstock_runtime.gateway import tokens
from penstock_runtime.gateway.tokens import TokensFile
from tests.unit.gateway.memory_store import until

ENTRY = {"token": "a-long-token", "name": "ann", "tenant": "acme", "agents": ["shop/*", "a/b"]}


def content(*entries):
    return json.dumps({"tokens": entries}).encode()


def test_a_token_finds_its_caller_and_is_not_kept_itself():
    callers = tokens.parse(content(ENTRY))
    caller = callers[tokens.digest("a-long-token")]
    assert (caller.name, caller.tenant) == ("ann", "acme")
    assert caller.may_use(AgentKey("shop", "support"))
    assert caller.may_use(AgentKey("a", "b"))
    assert not caller.may_use(AgentKey("a", "c"))
    assert "a-long-token" not in repr(callers)


@pytest.mark.parametrize(
    ("malformed", "says"),
    [
        (b"", "the file: Invalid JSON"),
        (b"[]", "the file: Input should be an object"),
        (b'{"tokens": {}}', "tokens: "),
        (b'{"token": []}', "tokens: Field required"),
        (content({**ENTRY, "token": "short"}), "tokens.0.token: "),
        (content({**ENTRY, "token": "with a space in it"}), "tokens.0.token: "),
        (content({**ENTRY, "tenant": ""}), "tokens.0.tenant: "),
        (content({**ENTRY, "agents": ["support"]}), "tokens.0.agents.0: "),
        (content({**ENTRY, "agents": ["*/support"]}), "tokens.0.agents.0: "),
        (content({**ENTRY, "agent": []}), "tokens.0.agent: "),
        (content({**ENTRY, "preview": True}), "preview takes the user whose token it is"),
        (content(ENTRY, {**ENTRY, "name": "bob"}), "twice"),
    ],
)
def test_a_malformed_file_is_told_by_its_place_and_without_its_tokens(malformed, says):
    with pytest.raises(InvalidResource) as refusal:
        tokens.parse(malformed)
    assert says in str(refusal.value)
    assert "a-long-token" not in str(refusal.value)
    assert "with a space" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidResource, match=r"none\.json: No such file"):
        TokensFile(tmp_path / "none.json").load()


async def test_a_changed_file_is_taken_over_and_a_malformed_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "RECHECK_SECONDS", 0.01)
    path = tmp_path / "tokens.json"
    path.write_bytes(content(ENTRY))
    file = TokensFile(path)
    file.load()
    following = asyncio.create_task(file.follow())

    with structlog.testing.capture_logs() as logged:
        path.write_bytes(content({**ENTRY, "token": "another-token"}))
        await until(lambda: file.find("another-token"), lambda: logged)
        assert file.find("a-long-token") is None

        path.write_bytes(b"{")
        await until(lambda: any(line["log_level"] == "error" for line in logged), lambda: logged)
        assert file.find("another-token")

        path.unlink()
        path.write_bytes(content(ENTRY))
        await until(lambda: file.find("a-long-token"), lambda: logged)
    following.cancel()
    errors = [line for line in logged if line["log_level"] == "error"]
    assert len(errors) == 1, "one malformed version is told once"
