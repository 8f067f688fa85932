"""How many tasks a user and a tenant submit in a minute: refused beyond, or only counted."""

from __future__ import annotations

import pytest

from penstock.traffic import RequestRates
from penstock_store import codec
from tests.integration.store.test_bounds import refused

pytestmark = pytest.mark.redis


@pytest.fixture(autouse=True)
async def early_in_the_minute(desk):
    """A test that begins at the end of a minute waits for the next one: nothing here takes long."""

    async def left():
        seconds, micros = await desk.raw.time()
        return 60 - seconds % 60 - micros / 1e6

    while await left() < 10:
        await desk.raw.blpop("nothing-comes", timeout=1)


async def test_a_user_is_refused_beyond_his_rate_and_no_other_is(desk):
    await desk.set_route(rates=RequestRates(user=2))
    for _ in range(2):
        await desk.admit(user="ana")
    problem = await refused(desk, user="ana")
    assert (problem.problem, problem.scope) == ("rate-exceeded", "user")
    assert "budgets.perUser.requestsPerMinute" in problem.detail
    assert "this user has submitted 2 tasks" in problem.detail
    seconds, _ = await desk.raw.time()
    assert 60 - seconds % 60 <= problem.retry_after_seconds <= 60 - seconds % 60 + 2
    await desk.admit(user="ben")
    await desk.admit(user="ana", tenant="another")


async def test_tasks_without_a_user_share_one_of_their_tenant(desk):
    await desk.set_route(rates=RequestRates(user=1))
    await desk.admit(user="")
    assert (await refused(desk, user="")).scope == "user"
    await desk.admit(user="", tenant="another")


async def test_a_tenant_is_refused_beyond_its_rate_whoever_its_users_are(desk):
    await desk.set_route(rates=RequestRates(tenant=2))
    await desk.admit(user="ana")
    await desk.admit(user="ben")
    problem = await refused(desk, user="cem")
    assert problem.scope == "tenant"
    assert "budgets.perTenant.requestsPerMinute" in problem.detail
    await desk.admit(user="ana", tenant="another")


async def test_what_only_reports_refuses_nothing_and_says_what_it_would_have(desk):
    await desk.set_route(rates=RequestRates(user=1, enforced=False))
    first, second = await desk.admit(user="ana"), await desk.admit(user="ana")
    assert (first.over_rate, second.over_rate) == ("", "user")


async def test_the_same_request_again_and_one_that_is_refused_count_nothing(desk):
    await desk.set_route(rates=RequestRates(user=2))
    for _ in range(3):
        await desk.admit(user="ana", idempotency_key="k")
    await desk.admit(user="ana")
    for _ in range(2):
        assert (await refused(desk, user="ana")).problem == "rate-exceeded"
    await desk.admit(user="ana", idempotency_key="k")
    await desk.set_route(rates=RequestRates(user=3))
    await desk.admit(user="ana")


async def test_counts_go_by_themselves(desk):
    await desk.set_route(rates=RequestRates(user=2))
    await desk.admit(user="ana")
    (counts,) = await desk.raw.keys(f"{desk.keys.tag}:rates:*")
    assert 0 < await desk.raw.ttl(counts) <= 120


async def test_without_rates_nothing_is_counted(desk):
    for _ in range(5):
        await desk.admit(user="ana")
    assert not await desk.raw.keys(f"{desk.keys.tag}:rates:*")


@pytest.mark.parametrize("written", ["", "x", "1 2", "-1 0 1", "1 0 1 9"])
async def test_rates_that_another_hand_has_overwritten_hold_up_nobody(desk, written):
    await desk.set_route(rates=RequestRates(user=1))
    await desk.raw.hset(desk.keys.route, "rates", written)
    for _ in range(2):
        await desk.admit(user="ana")


async def test_the_route_in_force_is_known_again_with_its_rates(desk):
    await desk.set_route(rates=RequestRates(user=5, tenant=7, enforced=False))
    look = await desk.store.routes.look(desk.agent, [])
    assert look.route_record == codec.route_record(desk.route)
    assert "5 7 0" in look.route_record
