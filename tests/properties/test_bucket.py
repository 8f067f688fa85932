"""The script and the core deal every user, session and task to the same side."""

from __future__ import annotations

import asyncio
import os
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import names, rings, task, traffic
from penstock.errors import AdmissionRefused
from penstock.guard import unguarded
from penstock_store import testing
from penstock_store.store import Store

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis

NAMES = ("anna", "boris", "çelik", "dora")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture(scope="module", params=["bundled", "any"])
def server(request):
    binary = testing.bundled_server() if request.param == "bundled" else ""
    with testing.redis_server(binary) as running:
        yield running


def open_revision(name):
    limits = traffic.RevisionLimits(1000, 60, 60)
    return traffic.RoutedRevision(name, traffic.Standing.OPEN, limits)


async def dealt(server, route, submission):
    """The id of a task, and (revision, arm, bucket) as admission dealt it."""
    agent = names.AgentKey("acme", uuid.uuid4().hex)
    identifier = task.task_id(agent, os.urandom(16))
    store = Store.connect(server.url, guard=unguarded)
    await store.routes.put(agent, route)
    try:
        admission = await store.tasks.admit(agent, identifier, submission)
    except AdmissionRefused:
        return identifier, None
    finally:
        rows = await store.outcomes.rows(agent)
        await store.aclose()
    (row,) = rows
    assert row.begin_version == (0 if row.is_chosen else 1)
    return identifier, (admission.revision, admission.arm, row.bucket)


@settings(max_examples=100)
@given(
    salt=texts,
    user=texts,
    session=texts,
    unit=st.sampled_from(list(traffic.Unit)),
    percent=st.integers(0, 100),
)
def test_admission_picks_what_the_core_picks(server, salt, user, session, unit, percent):
    split = traffic.Split(STABLE, CANARY, percent, salt, unit)
    picks_the_same(server, split, user, "t", session)


@settings(max_examples=100)
@given(
    salt=texts,
    chosen=st.lists(
        st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), max_size=4
    ),
    user=st.sampled_from(("", "nobody", *NAMES)),
    tenant=st.sampled_from(("t", *NAMES)),
    unit=st.sampled_from(list(traffic.Unit)),
    percent=st.sampled_from((0, 5, 50, 100)),
    stable=st.sampled_from(("", STABLE)),
)
def test_admission_knows_the_users_of_rings_as_the_core_does(
    server, salt, chosen, user, tenant, unit, percent, stable
):
    named = tuple(rings.members(salt, *pair) for pair in chosen if any(pair))
    split = traffic.Split(stable, CANARY, percent, salt, unit, chosen=named)
    picks_the_same(server, split, user, tenant, "")


@given(salt=texts, user=texts, tenant=texts, percent=st.integers(0, 100), more=st.integers(0, 100))
def test_whoever_has_the_canary_keeps_it_when_rings_open_and_the_share_rises(
    salt, user, tenant, percent, more
):
    first, then = (rings.members(salt, found, ()) for found in (["a", user], ["b", "c"]))
    order = [
        traffic.Split(STABLE, CANARY, 0, salt, chosen=(first,)),
        traffic.Split(STABLE, CANARY, 0, salt, chosen=(first, then)),
        traffic.Split(STABLE, CANARY, min(percent, more), salt, chosen=(first, then)),
        traffic.Split(STABLE, CANARY, max(percent, more), salt, chosen=(first, then)),
    ]
    sides = [split.pick(user or "id", user, tenant)[1] for split in order]
    assert sides == sorted(sides, reverse=True), "S before C, never back"
    assert not user or set(sides) == {traffic.Arm.CANARY}


def picks_the_same(server, split, user, tenant, session):
    revisions = {name: open_revision(name) for name in (split.stable, CANARY) if name}
    route = traffic.Route("uid", 1, 1, split, revisions=revisions)
    submission = task.Submission("hi", tenant, user=user, session=session)
    identifier, seen = asyncio.run(dealt(server, route, submission))
    told = split.pick(traffic.unit_key(split.unit, user, session, identifier), user, tenant)
    assert seen == (told if told[0] else None)
