"""The script and the core deal every user, session and task to the same side."""

from __future__ import annotations

import asyncio
import os
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import names, task, traffic
from penstock.guard import unguarded
from penstock_store import testing
from penstock_store.store import Store

STABLE, CANARY = "aaaa0000", "bbbb1111"
pytestmark = pytest.mark.redis

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
    admission = await store.tasks.admit(agent, identifier, submission)
    (row,) = await store.outcomes.rows(agent)
    await store.aclose()
    return identifier, (admission.revision, admission.arm, row.bucket)


@settings(max_examples=100, deadline=None)
@given(
    salt=texts,
    user=texts,
    session=texts,
    unit=st.sampled_from(list(traffic.Unit)),
    percent=st.integers(0, 100),
)
def test_admission_picks_what_the_core_picks(server, salt, user, session, unit, percent):
    revisions = {name: open_revision(name) for name in (STABLE, CANARY)}
    split = traffic.Split(STABLE, CANARY, percent, salt, unit)
    route = traffic.Route("uid", 1, 1, split, revisions=revisions)
    submission = task.Submission("hi", "t", user=user, session=session)
    identifier, seen = asyncio.run(dealt(server, route, submission))
    assert seen == split.pick(traffic.unit_key(unit, user, session, identifier))
