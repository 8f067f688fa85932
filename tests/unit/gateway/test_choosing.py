"""Who may choose the revision of a task, and which one is meant."""

from types import SimpleNamespace

import pytest

from penstock.names import AgentKey
from penstock_runtime.gateway import routes
from penstock_runtime.gateway.access import Access
from penstock_runtime.gateway.apiserver import User
from penstock_runtime.gateway.identities import ClusterCaller
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.tokens import StaticCaller

ANN = ClusterCaller(User("ann", "uid-1"))
AGENT = AgentKey("shop", "support")
VERSIONS = {"aaaa0000": "1.0", "bbbb1111": "2.0", "cccc2222": "2.0"}


def gateway(*verbs):
    async def allows(_caller, verb, _agent):
        return verb.value in verbs

    async def versions(_agent):
        return VERSIONS

    access = Access(None, SimpleNamespace(allows=allows))
    return SimpleNamespace(
        access=access, store=SimpleNamespace(routes=SimpleNamespace(versions=versions))
    )


async def chosen(text, *verbs, caller=ANN):
    return await routes._chosen(gateway(*verbs), caller, AGENT, text)


@pytest.mark.parametrize("text", ["aaaa0000", "support-aaaa0000", "1.0", "v1.0", "aaaa000"])
async def test_a_name_a_hash_and_a_version_say_the_same(text):
    assert await chosen(text, "preview") == "aaaa0000"


async def test_who_chooses_none_needs_no_right():
    assert await chosen("") == ""


@pytest.mark.parametrize("verbs", [("create", "get", "list", "approve"), ()])
async def test_without_the_verb_nobody_chooses(verbs):
    with pytest.raises(Problem) as refused:
        await chosen("1.0", *verbs)
    assert "the verb preview on agents/tasks" in refused.value.detail


@pytest.mark.parametrize("text", ["2.0", "3.0", "other-aaaa0000", "aaa", "a" * 256])
async def test_what_may_be_several_or_none_is_refused(text):
    with pytest.raises(Problem) as refused:
        await chosen(text, "preview")
    assert refused.value.kind.slug == "invalid-body"


async def test_a_static_token_chooses_where_its_entry_says_so():
    one = StaticCaller("ann", "acme", frozenset(["*"]), user="ann", preview=True)
    assert await chosen("1.0", caller=one) == "aaaa0000"
    with pytest.raises(Problem):
        await chosen("1.0", caller=StaticCaller("web", "acme", frozenset(["*"])))
