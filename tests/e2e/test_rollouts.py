"""The examples on a real cluster: a good revision climbs, a bad one comes back, hands may help."""

from __future__ import annotations

import time

import pytest

from tests.e2e.site import ROOT, Site, Tenant

EXAMPLE = ROOT / "examples" / "02-gradual-rollout"


def apply_example(tenant: Tenant, *names: str) -> None:
    """Kubectl apply -f of files of the example."""
    files = [word for name in names for word in ("-f", str(EXAMPLE / name))]
    tenant.cluster.kubectl("apply", *files)


@pytest.mark.timeout(600)
def test_a_good_revision_climbs_with_a_hand_on_the_share_and_a_bad_one_comes_back(
    tenant: Tenant,
) -> None:
    apply_example(tenant, "agent-v1.yaml", "rollout.yaml")
    stable = tenant.until_stable()
    with tenant.live_traffic(10, users=lambda index: f"user-{index % 400}") as load:
        apply_example(tenant, "agent-v2.yaml")
        good = tenant.until_canary(stable)
        patch_the_share(tenant, 20)
        asked_at = time.monotonic()
        tenant.until("300 tasks at 20 %", lambda: len(load.since(asked_at)) >= 300, 120)
        users = {one.user for one in load.since(asked_at)}
        on_canary = {one.user for one in load.since(asked_at) if one.revision == good}
        share = 100 * len(on_canary) / len(users)
        print(f"{len(on_canary)} of {len(users)} users ({share:.1f} %) are on the canary")
        assert 10 <= share <= 30
        patch_the_share(tenant, None)
        tenant.until("it is promoted", lambda: tenant.rollout().get("stableRevision") == good, 180)
        apply_example(tenant, "agent-v3-bad.yaml")
        bad = tenant.until_canary(good)
        verdict = tenant.until_verdict(bad, seconds=180)
        assert verdict["result"] == "Rejected", verdict
        tenant.until_share(0)
        rejected_at = time.monotonic()
        tenant.until("a hundred tasks more", lambda: len(load.since(rejected_at)) >= 100)
        assert {one.revision for one in load.since(rejected_at)} == {good}
    touched = {one.user for one in load.accepted if one.revision == bad}
    print(f"{verdict['message']}; {len(touched)} users met the bad revision")
    assert len(touched) < 0.5 * 400
    ended = tenant.until_all_ended(load)
    print(f"tasks: {ended}")
    assert load.refused.total() == 0, load.refused
    assert tenant.agent()["stableRevision"] == good


def patch_the_share(tenant: Tenant, percent: int | None) -> None:
    """The command of the README, and the time until it is in force."""
    begun = time.monotonic()
    tenant.set_percent(percent)
    if percent is not None:
        tenant.until_share(percent)
        print(f"kubectl patch: {percent} % in force after {time.monotonic() - begun:.1f} s")


@pytest.mark.timeout(300)
def test_the_smallest_example_answers_at_the_node_port_and_in_the_terminal(
    tenant: Tenant, site: Site
) -> None:
    tenant.cluster.kubectl("apply", "-f", str(ROOT / "examples" / "01-minimal" / "agent.yaml"))
    tenant.until_stable("hello")
    answer = tenant.ask("hello", "alice")
    assert answer.status_code == 200, answer.text
    task = answer.json()
    assert (task["status"], task["output"]) == ("Succeeded", "You said: Where is my order?")
    asked = ("kubectl", "penstock", "run", "hello", "Good morning", "-n", tenant.namespace)
    assert site.run(*asked, "--context", "kind-penstock").strip() == "You said: Good morning"
