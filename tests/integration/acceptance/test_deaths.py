"""Workers die: every accepted task still ends, once, and a canary that cannot live is taken off."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import pytest

from penstock import names
from penstock.task import TaskStatus
from penstock.traffic import Arm
from tests import components
from tests.integration.acceptance import manifests
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import by_revision


@pytest.mark.timeout(300)
def test_workers_killed_under_load_lose_no_task_and_end_none_twice(product: Product) -> None:
    spec = {"scaling": {"minReplicas": 2, "maxReplicas": 2}}
    product.cluster.apply(manifests.agent("Slowly.", spec=spec, latencyMs=1500))
    stable = product.until_stable()
    product.until("two workers", lambda: len(product.worker_pids(stable)) == 2)
    with product.live_traffic(15) as load:
        for survivors in (1, 0):
            product.until("they have work", lambda: product.work(stable).running >= 15)
            before = set(product.worker_pids(stable))
            for pid in sorted(before)[survivors:]:
                components.send(pid, signal.SIGKILL)
            product.until(
                "the killed are replaced",
                lambda before=before, survivors=survivors: (
                    len(set(product.worker_pids(stable)) - before) == 2 - survivors
                ),
            )
    product.until_all_ended(load, seconds=120)
    assert load.refused.total() == 0, load.refused
    ended = product.tasks(load.tasks)
    again = [count for count in product.starts(load.tasks) if count > 1]
    print(f"{len(ended)} tasks, {len(again)} of them begun by a worker that was killed")
    assert len(again) >= 10, "the killed workers held tasks"
    assert {task.status for task in ended} == {TaskStatus.SUCCEEDED}


@contextlib.contextmanager
def reaper(product: Product, revision: str) -> Iterator[None]:
    """Every worker of a revision is killed as soon as it shows, as if its memory never sufficed."""
    stop = threading.Event()

    def reap() -> None:
        while not stop.wait(0.3):
            product.kill_workers(revision)

    thread = threading.Thread(target=reap, name="reaper")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(400)
def test_a_canary_whose_pods_all_die_is_taken_off_and_its_users_are_served(
    product: Product,
) -> None:
    steps: manifests.Steps = ((20, 3000, 1),)
    product.cluster.apply(manifests.agent("v1", latencyMs=300), manifests.rollout(steps))
    stable = product.until_stable()
    with product.live_traffic(15) as load:
        product.cluster.apply(manifests.agent("v2", latencyMs=300))
        canary = product.until_canary(stable)
        product.until_share(20)
        product.until(
            "the canary serves",
            lambda: len(product.log().ended_on(names.hash_of(canary))) >= 10,
        )
        with reaper(product, canary):
            product.until(
                "tasks pile up on the dead canary", lambda: product.work(canary).queued >= 5
            )
            product.until_share(0, seconds=90)
            status = product.rollout()
            assert status["share"]["source"] == "Suspended"
            suspended = product.cluster.condition("agentrollout/support", "Suspended")
            assert suspended[:2] == ("True", "CandidateUnavailable")
            assert canary in suspended[2]
            taken_off = load.accepted[-1].sent_at
            product.until(
                "what waited for the dead goes to stable",
                lambda: product.work(canary).queued == 0,
            )
            product.until("new users come", lambda: len(load.since(taken_off)) >= 30)
            assert set(by_revision(load.since(taken_off)[1:])) == {stable}
        label = f"{names.LABEL_REVISION}={names.hash_of(canary)}"
        product.cluster.kubectl("delete", "pods", "-l", label, "--wait=false")  # no back-off
        product.until_share(20, seconds=90)  # it comes back by itself once its pods live
    log = product.until_all_ended(load, seconds=120)
    rescued = log.rehomed & log.ended_on(names.hash_of(stable))
    print(f"{len(rescued)} tasks of the dead canary were ended by stable")
    assert len(rescued) >= 5
    assert log.routed_to(Arm.CANARY) >= 15
    assert {task.status for task in product.tasks(load.tasks)} == {TaskStatus.SUCCEEDED}
    assert product.rollout()["unavailableCount"] == 1
    assert product.rollout()["verdicts"] == [], "once is no verdict"
