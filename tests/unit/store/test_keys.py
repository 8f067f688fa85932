"""Keys stay in the slot of their agent, and no two of them meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import names
from penstock_store import connection, keys

SUPPORT = keys.AgentKeys(names.AgentKey("acme", "support"))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_the_slot_is_that_of_redis_cluster():
    assert keys.slot("123456789") == 0x31C3
    assert keys.slot("{user1000}.following") == keys.slot("{user1000}.followers")
    assert keys.slot("foo{}{bar}") == keys.slot("foo{}{bar}")
    assert keys.slot("foo{}{bar}") != keys.slot("{bar}")
    assert keys.slot("foo{{bar}}zap") == keys.slot("{bar")
    assert keys.slot("foo{bar") != keys.slot("bar")


@given(tenant=texts, session=texts, key=texts)
def test_whatever_callers_write_every_key_of_an_agent_is_in_its_slot(tenant, session, key):
    spelled = [
        SUPPORT.route,
        SUPPORT.session(tenant, session),
        SUPPORT.waiting(tenant, session),
        SUPPORT.idempotency(tenant, key),
        SUPPORT.task("x"),
        SUPPORT.queue("aaaa0000", "Normal"),
    ]
    assert {keys.slot(key) for key in spelled} == {keys.slot("{acme/support}")}
    connection.assert_one_slot(spelled)


@given(one=st.tuples(texts, texts), other=st.tuples(texts, texts))
def test_two_callers_never_share_a_session(one, other):
    if one != other and one[1] and other[1]:
        assert SUPPORT.session(*one) != SUPPORT.session(*other)


def test_a_key_of_another_agent_in_the_same_call_is_refused():
    billing = keys.AgentKeys(names.AgentKey("acme", "billing"))
    with pytest.raises(ValueError, match=r"not in one slot: \{acme/support\}:route, \{acme/bill"):
        connection.assert_one_slot([SUPPORT.route, billing.route])


@pytest.mark.parametrize("name", ["a}b", "a{b", "A", "", "a:b", "-a", "a-"])
def test_names_that_could_leave_their_tag_are_no_agents(name):
    with pytest.raises(ValueError, match="no agent's namespace/name"):
        keys.AgentKeys(names.AgentKey("acme", name))


def test_equal_names_in_two_namespaces_have_different_keys():
    assert SUPPORT.route != keys.AgentKeys(names.AgentKey("other", "support")).route


def test_the_index_is_in_a_slot_of_its_own():
    assert keys.slot(keys.index("main")) == keys.slot(keys.index_complete("main"))
    assert keys.slot(keys.index("main")) == keys.slot("{main}")
