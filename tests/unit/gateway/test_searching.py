"""What can be looked for, and that everything else is refused in a sentence."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from penstock.names import AgentKey
from penstock.task import OutcomeReason, TaskStatus
from penstock_runtime.gateway import searching
from penstock_runtime.gateway.apiserver import User
from penstock_runtime.gateway.problems import Problem
from penstock_store.listing import Place
from tests.unit.gateway.reviewers import jwt, service_account
from tests.unit.gateway.test_problems import TASKS, assert_problem

AGENT = AgentKey("shop", "support")


def read(*query, agent=AGENT, tenant="acme", versions=MappingProxyType({})):
    return searching.read(agent, query, tenant, versions)


def test_no_parameters_or_empty_ones_look_for_everything_that_the_caller_sees():
    nothing = read()
    assert nothing.wanted.tenant == "acme"
    assert (nothing.wanted.revision, nothing.wanted.statuses, nothing.wanted.ago_ms) == (
        "",
        (),
        None,
    )
    assert (nothing.place, nothing.limit) == (Place(), 50)
    assert read(*((name, "") for name in searching.PARAMETERS)) == nothing


def test_a_revision_is_named_by_its_name_or_its_hash():
    assert read(("revision", "support-1a2b3c4d")).wanted.revision == "1a2b3c4d"
    assert read(("revision", "1a2b3c4d")).wanted.revision == "1a2b3c4d"
    long = AgentKey("shop", "a" * 63)
    name = f"{'a' * 47}-{'0' * 8}"
    for other in (name, "sales-1a2b3c4d", "1.4.0", "support-", "1A2B3C4D", "x-support-1a2b3c4d"):
        with pytest.raises(Problem, match="its hash"):
            read(("revision", other), agent=long if other == name else AGENT)


VERSIONS = {
    "1a2b3c4d": "v1", "2a2b3c4d": "v2", "3a2b3c4d": "v2", "4a2b3c4d": "", "5a2b3c4d": "20251121",
    "6a2b3c4d": "1a2b3c4d", "7a2b3c4d": "4a2b3c4e",
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "revision"),
    [
        ("v1", "1a2b3c4d"),
        ("20251121", "5a2b3c4d"),  # it could be a hash
        ("4a2b3c4e", "7a2b3c4d"),
        ("support-1a2b3c4d", "1a2b3c4d"),
        ("4a2b3c4d", "4a2b3c4d"),
        ("ffffffff", "ffffffff"),  # of a revision that the route no longer lists
        ("1", "1a2b3c4d"),  # v1
        ("v20251121", "5a2b3c4d"),
        ("5a2b", "5a2b3c4d"),
        ("support-5a2b3", "5a2b3c4d"),
    ],
)
def test_a_revision_is_named_by_a_version_that_it_alone_declares(said, revision):
    assert read(("revision", said), versions=VERSIONS).wanted.revision == revision


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("v2", r"'v2'; it may be any of support-2a2b3c4d, support-3a2b3c4d: give the name of one"),
        ("1a2b3c4d", "any of support-1a2b3c4d, support-6a2b3c4d"),
        ("v9", r"a version that one declares \(1a2b3c4d, 20251121, 4a2b3c4e, v1, v2\)"),
    ],
)
def test_a_version_that_several_declare_or_none_is_refused_with_what_there_is(said, words):
    with pytest.raises(Problem, match=words):
        read(("revision", said), versions=VERSIONS)


def test_where_no_version_is_known_the_refusal_says_that_names_and_hashes_work():
    with pytest.raises(
        Problem, match=r"support-<hash>, or its hash; declared versions are not known"
    ):
        read(("revision", "v1"))
    with pytest.raises(Problem, match=r"declares \(none does\)"):
        read(("revision", "v1"), versions={"4a2b3c4d": ""})


def test_what_another_hand_has_written_as_versions_is_shown_within_bounds():
    foreign = {f"\x1b[31m{n}": "v1" for n in range(9)} | {
        f"{n:08x}": f"x\x1b[31m\n{n}" * 999 for n in range(99)
    }
    with pytest.raises(Problem) as refused:
        read(("revision", "v1"), versions=foreign)
    assert len(refused.value.detail) < 3000
    assert refused.value.detail.isprintable()


def test_statuses_and_reasons_are_given_with_commas_or_several_times():
    found = read(
        ("status", "Failed,Escalated"), ("status", "Failed"), ("reason", "ModelError,")
    ).wanted
    assert found.statuses == (TaskStatus.FAILED, TaskStatus.ESCALATED)
    assert found.reasons == (OutcomeReason.MODEL_ERROR,)


@pytest.mark.parametrize(
    ("since", "since_ms", "ago_ms"),
    [
        ("2025-11-21T09:00:00Z", 1_763_715_600_000, None),
        ("2025-11-21T09:00:00.250+00:00", 1_763_715_600_250, None),
        ("2025-11-21T10:00:00 01:00", 1_763_715_600_000, None),  # a plus that was not escaped
        ("1763715600.5", 1_763_715_600_500, None),
        ("999999999999", 253_402_300_799_000, None),
        ("0001-01-01T00:00:00+23:00", 0, None),
        ("90", 0, 90_000),
        ("0", 0, 0),
    ],
)
def test_since_is_a_moment_or_seconds(since, since_ms, ago_ms):
    wanted = read(("since", since)).wanted
    assert (wanted.since_ms, wanted.ago_ms) == (since_ms, ago_ms)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("stauts", "Failed", "There is no parameter 'stauts'; there are revision, status"),
        ("status", "failed", "it must be one of Queued, Running"),
        ("reason", "Bad", "it must be one of ModelError"),
        ("since", "yesterday", "RFC 3339"),
        ("since", "2025-11-21", "RFC 3339"),
        ("since", "2025-11-21T09:00:00", "RFC 3339"),
        ("since", "-5", "RFC 3339"),
        ("since", "1e9", "RFC 3339"),
        ("limit", "0", "from 1 to 200"),
        ("limit", "201", "from 1 to 200"),
        ("limit", "١", "from 1 to 200"),
        ("user", "x" * 257, "at most 256"),
        ("continue", "abc", "under continue"),
        ("continue", "ä", "under continue"),
        ("continue", "MS4w", "under continue"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_name(name, value, words):
    with pytest.raises(Problem) as refused:
        read((name, value))
    assert refused.value.kind.slug == "invalid-query"
    assert name in refused.value.detail
    assert words in refused.value.detail


def test_what_is_given_twice_or_too_often_is_refused():
    with pytest.raises(Problem, match="user may be given once"):
        read(("user", "a"), ("user", "b"))
    with pytest.raises(Problem, match="at most"):
        read(("status", ",".join(["Failed"] * 33)))


async def test_a_page_says_whose_tasks_it_has_and_nothing_that_was_written(client, submit):
    created = (await submit({"input": "x", "type": "ask"})).json()
    page = (await client.get(TASKS)).json()
    assert (page["tenant"], page["continue"], page["unreadable"]) == ("acme", "", 0)
    [item] = page["items"]
    assert item["id"] == created["id"]
    assert item["type"] == "ask"
    assert not {"tenant", "output", "input"} & item.keys()
    others = await client.get(TASKS, headers={"Authorization": "Bearer other-tenant"})
    assert (others.json()["items"], others.json()["tenant"]) == ([], "globex")
    assert_problem(await client.get(TASKS, params={"x": "y"}), 400, "invalid-query")
    refused = await client.get(TASKS.replace("support", "Bad_Name"))
    assert_problem(refused, 404, "agent-not-found")
    assert (await client.put(TASKS)).headers["allow"] == "GET, POST"


async def test_the_verb_list_shows_the_tasks_of_all_tenants_and_get_their_content(
    cluster_client, reviewer
):
    web = reviewer.knows(jwt("web"), service_account("web"), "create", "get")
    static = {"Authorization": "Bearer one-agent"}
    look = reviewer.knows(jwt("look"), User("ann@example.com"), "list")
    read_all = reviewer.knows(jwt("bob"), User("bob@example.com"), "list", "get", "delete")
    mine = (await cluster_client.post(TASKS, json={"input": "x"}, headers=web)).json()["id"]
    other = (await cluster_client.post(TASKS, json={"input": "x"}, headers=static)).json()["id"]

    async def listed(headers):
        page = (await cluster_client.get(TASKS, headers=headers)).json()
        return page["tenant"], [(item["id"], item.get("tenant")) for item in page["items"]]

    tenant = "kubernetes:namespace:shop"
    assert await listed(web) == (tenant, [(mine, None)])
    assert await listed(static) == ("acme", [(other, None)])
    for headers in (look, read_all):
        assert await listed(headers) == ("", [(other, "acme"), (mine, tenant)])
    place = f"/v1/tasks/{mine}"
    assert (await cluster_client.get(place, headers=look)).status_code == 403
    assert (await cluster_client.get(place, headers=read_all)).json()["id"] == mine
    assert (await cluster_client.get(f"{place}/events", headers=read_all)).json()["items"]
    assert (await cluster_client.get(f"/v1/tasks/{other}", headers=web)).status_code == 404
    ended = await cluster_client.delete(place, headers=read_all)
    assert ended.json()["status"] == "Cancelled"


async def test_without_a_verb_that_reads_nothing_is_listed(cluster_client, reviewer):
    writes = reviewer.knows(jwt("web"), service_account("web"), "create", "delete")
    refused = await cluster_client.get(TASKS, headers=writes)
    assert_problem(refused, 403, "agent-forbidden", "the verb get on agents/tasks")
