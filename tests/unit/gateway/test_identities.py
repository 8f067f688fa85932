"""Callers of the cluster: their tenants, and how long what is known of them is used."""

from __future__ import annotations

import pytest

from penstock.names import AgentKey
from penstock_runtime.gateway import identities
from penstock_runtime.gateway.apiserver import APIServerAway, User
from penstock_runtime.gateway.identities import ClusterTokens, Verb
from tests.unit.gateway.reviewers import Reviewer, jwt, service_account

SUPPORT = AgentKey("shop", "support")


class Clock:
    """Both the monotonic clock and the seconds since 1970."""

    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reviewer():
    return Reviewer()


@pytest.fixture
def tokens(reviewer, clock):
    cluster = ClusterTokens(reviewer, ("penstock",), 30, now=clock)
    cluster._callers._clock = cluster._rights._clock = clock
    return cluster


# -------------------------------------------------------------------------------------- tenants


def test_service_accounts_of_one_namespace_are_one_tenant_and_everybody_else_is_one_alone():
    usernames = [
        "system:serviceaccount:shop:web",
        "system:serviceaccount:shop:batch",
        "system:serviceaccount:bank:web",
        "shop",
        "namespace:shop",
        "kubernetes:namespace:shop",
        "ann@example.com",
        "Ann@example.com",
    ]
    tenants = [identities.tenant_of(name) for name in usernames]
    assert tenants[:3] == ["kubernetes:namespace:shop"] * 2 + ["kubernetes:namespace:bank"]
    assert tenants[6] == "kubernetes:user:ann@example.com"
    assert len(set(tenants)) == len(tenants) - 1


@pytest.mark.parametrize(
    "username",
    ["https://issuer.example#ann", "ann smith\n", "Jürgen", "a" * 4000, "{shop/support}", "a/b*"],
)
def test_any_user_name_makes_a_tenant_that_is_short_and_plain(username):
    tenant = identities.tenant_of(username)
    assert tenant.isascii()
    assert tenant.isprintable()
    assert not set(tenant) & set(" {}*/")
    assert len(tenant) <= 150
    assert tenant != identities.tenant_of(username + "2")


def test_a_user_name_cannot_be_chosen_so_that_it_meets_the_digest_of_another():
    long = "a" * 4000
    hashed = identities.tenant_of(long).rpartition(":")[2]
    for attempt in (hashed, f"sha256:{hashed}", f"-sha256:{hashed}"):
        assert identities.tenant_of(attempt) != identities.tenant_of(long)


# --------------------------------------------------------------------------------------- tokens


async def test_only_what_has_the_form_of_a_jwt_is_shown_to_the_api_server(tokens, reviewer):
    for token in (
        "opaque-token",
        "a.b",
        "a..c",
        "a.b.c.d",
        "ä.b.c",
        "a.b.c\n",
        "a.b." + "c" * 20_000,
    ):
        assert await tokens.find(token) is None
    assert reviewer.asked == []


async def test_a_caller_is_reviewed_once_within_the_time_and_again_after_it(
    tokens, reviewer, clock
):
    token = jwt("web")
    reviewer.knows(token, service_account("web"))
    caller = await tokens.find(token)
    assert caller == await tokens.find(token)
    assert (caller.name, caller.tenant) == (
        "system:serviceaccount:shop:web",
        "kubernetes:namespace:shop",
    )
    assert reviewer.asked == ["token"]
    clock.now += 30
    del reviewer.users[token]
    assert await tokens.find(token) is None


async def test_a_refusal_is_forgotten_sooner(tokens, reviewer, clock):
    token = jwt("web")
    assert await tokens.find(token) is None
    reviewer.knows(token, service_account("web"))
    clock.now += identities.REFUSAL_SECONDS - 0.01
    assert await tokens.find(token) is None
    clock.now += 0.01
    assert await tokens.find(token) is not None


@pytest.mark.parametrize(
    ("expires_in", "known_for"), [(10, 10), (3600, 30), (0, 0), (-60, 0), (None, 30), ("soon", 30)]
)
async def test_no_caller_is_remembered_beyond_the_expiry_of_the_token(
    expires_in, known_for, tokens, reviewer, clock
):
    expiry = clock.now + expires_in if isinstance(expires_in, int) else expires_in
    token = jwt("web", exp=expiry)
    reviewer.knows(token, service_account("web"))
    assert await tokens.find(token), "whether it has expired is for the API server to say"
    reviewer.users.clear()
    if known_for:
        clock.now += known_for - 0.01
        assert await tokens.find(token)
        clock.now += 0.01
    assert await tokens.find(token) is None


@pytest.mark.parametrize("payload", ["_____w", "bnVsbA", "W10", "e30", "eyJleHAiOiB0cnVlfQ", "a"])
async def test_a_token_whose_expiry_cannot_be_read_is_remembered_for_the_usual_time(
    payload, tokens, reviewer
):
    token = f"a.{payload}.c"
    reviewer.knows(token, service_account("web"))
    assert await tokens.find(token)
    assert await tokens.find(token)
    assert reviewer.asked == ["token"]


# --------------------------------------------------------------------------------------- rights


async def test_rights_are_asked_by_verb_and_agent_and_remembered_apart(tokens, reviewer, clock):
    token = jwt("web")
    reviewer.knows(token, service_account("web"), "create")
    caller = await tokens.find(token)
    for _ in range(2):
        assert await tokens.allows(caller, Verb.SUBMIT, SUPPORT)
        assert not await tokens.allows(caller, Verb.CANCEL, SUPPORT)
        assert not await tokens.allows(caller, Verb.SUBMIT, AgentKey("bank", "support"))
    assert sorted(reviewer.asked) == [
        "create bank/support",
        "create shop/support",
        "delete shop/support",
        "token",
    ]
    reviewer.rights.clear()
    clock.now += 30
    assert not await tokens.allows(caller, Verb.SUBMIT, SUPPORT)


async def test_two_users_never_share_an_answer(tokens, reviewer):
    reviewer.knows(jwt("web"), service_account("web"), "create")
    reviewer.knows(jwt("groups"), User("system:serviceaccount:shop:other", groups=("a",)))
    assert await tokens.allows(await tokens.find(jwt("web")), Verb.SUBMIT, SUPPORT)
    assert not await tokens.allows(await tokens.find(jwt("groups")), Verb.SUBMIT, SUPPORT)


async def test_while_the_api_server_is_away_what_is_known_goes_on_and_nothing_else_is_said(
    tokens, reviewer, clock
):
    token = jwt("web")
    reviewer.knows(token, service_account("web"), "create")
    caller = await tokens.find(token)
    assert await tokens.allows(caller, Verb.SUBMIT, SUPPORT)
    reviewer.failure = APIServerAway("gone")
    clock.now += 29
    assert await tokens.find(token) == caller
    assert await tokens.allows(caller, Verb.SUBMIT, SUPPORT)
    for unknown in (tokens.find(jwt("other")), tokens.allows(caller, Verb.READ, SUPPORT)):
        with pytest.raises(APIServerAway):
            await unknown
    clock.now += 1
    for forgotten in (tokens.find(token), tokens.allows(caller, Verb.SUBMIT, SUPPORT)):
        with pytest.raises(APIServerAway):
            await forgotten
