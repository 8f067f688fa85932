"""A revision is named by its name, its hash or a version that one revision alone declares."""

from __future__ import annotations

import pytest

from penstock.names import AgentKey
from penstock_cli import exits, versions
from penstock_cli.kubectl import Kubectl

AGENT = AgentKey("shop", "support")


def record(name, **declared):
    return {"metadata": {"name": name}, "data": {"declared": declared}}


@pytest.fixture
def cluster(kubectl, monkeypatch):
    monkeypatch.setenv("PATH", kubectl.path)
    kubectl.answer(
        "get controllerrevisions",
        {
            "items": [
                record("support-aaaa0000", version="1.0"),
                record("support-bbbb1111", version="1.1"),
                record("support-cccc2222", version="1.1"),
                record("support-dddd3333"),
            ]
        },
    )
    return kubectl


async def test_a_version_is_looked_up_among_the_agents_records(cluster):
    assert await versions.revision_of(Kubectl(), AGENT, "1.0") == "support-aaaa0000"
    [call] = cluster.calls
    assert "--namespace=shop --selector=penstock.dev/agent=support" in call


@pytest.mark.parametrize("said", ["", "1a2b3c4d", "support-1a2b3c4d"])
async def test_a_name_or_hash_needs_no_cluster(cluster, said):
    assert await versions.revision_of(Kubectl(), AGENT, said) == said
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "1.1",
            "several revisions of shop/support declare version '1.1': support-bbbb1111, support-c",
        ),
        ("9", r"declares that version \(known: 1.0, 1.1\)"),
        ("sales-1a2b3c4d", "is called 'sales-1a2b3c4d' or declares"),
    ],
)
async def test_what_names_none_or_several_is_said(cluster, said, words):
    with pytest.raises(exits.Stopped, match=words) as stopped:
        await versions.revision_of(Kubectl(), AGENT, said)
    assert stopped.value.code is exits.Exit.USAGE


async def test_where_the_cluster_does_not_tell_its_words_are_repeated(cluster):
    cluster.answer("get controllerrevisions", {"error": "controllerrevisions.apps is forbidden"})
    with pytest.raises(exits.Stopped, match=r"no version that can be looked up: .* is forbidden"):
        await versions.revision_of(Kubectl(), AGENT, "1.0")
