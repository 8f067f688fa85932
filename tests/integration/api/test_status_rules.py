"""What not even the operator may write into a status."""

from __future__ import annotations

import pytest

from tests.integration.api.manifests import Document, manifest

pytestmark = pytest.mark.cluster

# Far above what an operator of the same environment would write into an object of no agent.
EPOCH = 1_000_000
REJECTED = "a rejected revision gets no share and no ring unless status.attempt grows"
RING = {"name": "staff", "at": "2026-11-21T10:00:00Z", "members": "0123456789ab"}


def verdict(
    revision: str = "support-aaaaaaaa", attempt: int = 1, result: str = "Rejected"
) -> Document:
    return {
        "revision": revision,
        "attempt": attempt,
        "result": result,
        "reason": "ErrorRateRegression",
        "message": "Too many errors.",
        "at": "2026-11-21T10:00:00Z",
    }


@pytest.fixture
async def write(api):
    """Writes the status of a rollout that stands at an epoch and a route version."""
    assert await api.create(manifest("AgentRollout")) is None

    async def patch(**status):
        return await api.patch("AgentRollout", {"status": status}, "/status")

    assert await patch(epoch=EPOCH, routeVersion=EPOCH) is None
    return patch


@pytest.mark.parametrize("field", ["epoch", "routeVersion"])
async def test_a_counter_stays_or_grows(field, write):
    assert await write(**{field: EPOCH}) is None
    assert await write(**{field: EPOCH + 1}) is None


@pytest.mark.parametrize("field", ["epoch", "routeVersion"])
async def test_a_counter_never_falls_and_never_goes_away(field, write):
    for lower in (EPOCH - 1, 0, None):
        answer = await write(**{field: lower})
        assert f"status.{field} never falls" in (answer or f"accepted {lower}")


@pytest.mark.parametrize("field", ["epoch", "version"])
async def test_the_counters_of_an_agents_traffic_never_fall_either(field, api):
    assert await api.create(manifest("Agent")) is None

    async def patch(traffic):
        return await api.patch("Agent", {"status": {"traffic": traffic}}, "/status")

    assert await patch({field: EPOCH}) is None
    assert await patch({field: EPOCH + 1}) is None
    for lower in ({field: EPOCH}, {field: None}, None):
        answer = await patch(lower)
        assert f"status.traffic.{field} never falls" in (answer or f"accepted {lower}")


async def test_the_status_cannot_be_taken_away_as_a_whole(api, write):
    answer = await api.patch("AgentRollout", {"status": None}, "/status")
    assert "status.epoch never falls" in (answer or "accepted")


async def test_the_spec_changes_without_the_status(api, write):
    assert await api.patch("AgentRollout", {"spec": {"paused": True}}) is None


async def test_a_status_that_comes_with_the_spec_is_passed_over(api, write):
    assert await api.patch("AgentRollout", {"status": {"epoch": 1}}) is None
    assert (await api.stored("AgentRollout"))["status"]["epoch"] == EPOCH


async def reject(write, **status):
    """The canary is rejected in its first attempt."""
    answer = await write(
        canaryRevision="support-aaaaaaaa",
        attempt=1,
        share={"percent": 0, "source": "Rollback"},
        verdicts=[verdict()],
        **status,
    )
    assert answer is None


async def test_a_rejected_canary_gets_no_share(write):
    await reject(write)
    answer = await write(share={"percent": 5})
    assert REJECTED in (answer or "accepted")


async def test_a_rejected_canary_gets_no_ring(write):
    await reject(write)
    answer = await write(share={"percent": 0}, rings=[RING])
    assert REJECTED in (answer or "accepted")
    assert await write(attempt=2, rings=[RING]) is None


async def test_a_rejected_canary_gets_a_share_in_a_larger_attempt(write):
    await reject(write)
    assert await write(attempt=2, share={"percent": 5}) is None


async def test_another_canary_gets_a_share(write):
    await reject(write)
    assert await write(canaryRevision="support-bbbbbbbb", share={"percent": 5}) is None


async def test_a_superseded_canary_may_come_back(write):
    await reject(write)
    status = {"verdicts": [verdict(), verdict("support-cccccccc", 1, "Superseded")]}
    assert await write(canaryRevision="support-cccccccc", share={"percent": 5}, **status) is None


async def test_a_canary_promoted_in_a_later_attempt_may_come_back(write):
    await reject(write)
    verdicts = [verdict(), verdict(attempt=2, result="Promoted")]
    assert await write(verdicts=verdicts, share={"percent": 5}) is None


async def test_a_rejection_is_not_taken_from_the_list(write):
    await reject(write)
    for fewer in ([], None, [verdict("support-bbbbbbbb")], [verdict(result="Superseded")]):
        answer = await write(verdicts=fewer)
        assert "a Rejected verdict stays in status.verdicts" in (answer or f"accepted {fewer}")


async def test_a_rejection_is_pushed_out_by_ten_newer_ones(write):
    await reject(write)
    newer = [verdict(f"support-{i:08d}", 1, "Promoted") for i in range(10)]
    assert "stays in status.verdicts" in (await write(verdicts=newer[:9]) or "accepted")
    assert await write(verdicts=newer) is None


async def test_there_are_at_most_ten_verdicts(write):
    eleven = [verdict(f"support-{i:08d}") for i in range(11)]
    assert "must have at most 10 items" in (await write(verdicts=eleven) or "accepted")


async def test_a_condition_comes_once_with_all_its_fields(write):
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Holding",
        "message": "Step 1/3.",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    }
    assert await write(conditions=[ready]) is None
    assert "Duplicate value" in (await write(conditions=[ready, ready]) or "accepted")
    del ready["observedGeneration"]
    assert "observedGeneration: Required value" in (await write(conditions=[ready]) or "accepted")
