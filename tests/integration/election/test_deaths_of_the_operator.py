"""The operator is killed again and again in mid-rollout: both canaries end as they would have."""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from penstock.task import TaskStatus
from tests.integration.acceptance.product import Product
from tests.integration.election import history
from tests.integration.election.operators import Operators
from tests.integration.election.story import AGENTS, BAD, GOOD, Story, program

#: ``PENSTOCK_OPERATOR_DEATHS=50`` is the whole proof, 0 the end without any.
DEATHS = int(os.environ.get("PENSTOCK_OPERATOR_DEATHS", "2"))
SEED = int(os.environ.get("PENSTOCK_OPERATOR_DEATHS_SEED", "1"))
HOLD_SECONDS = max(2, DEATHS)
PATIENCE_SECONDS = 180 + 20 * DEATHS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2 * PATIENCE_SECONDS)]


@contextmanager
def dying(operators: Operators, deaths: int, seed: int) -> Iterator[list[tuple[int, float]]]:
    """One operator after another, each of which dies at a moment of chance; the last one lives.

    Yields the lives that are over: the write and the second at which each had to end.
    """
    chance, over = random.Random(seed), threading.Event()
    lives: list[tuple[int, float]] = []
    strange: list[str] = []

    def live() -> None:
        while len(lives) < deaths and not over.is_set():
            life = chance.randint(1, 12), round(chance.uniform(0.1, 4.0), 2)
            name = f"mortal-{len(lives)}"
            mortal = operators.launch(name, program=program(*map(str, life)), PENSTOCK_LEASE="")
            if mortal.process.wait(120) != -9:
                strange.append(mortal.log.read_text(encoding="utf-8"))
            lives.append(life)
        operators.launch("survivor", program=program(), PENSTOCK_LEASE="")

    thread = threading.Thread(target=live, name="deaths")
    thread.start()
    try:
        yield lives
    finally:
        over.set()
        thread.join(120)
    assert not strange, strange


def test_after_deaths_at_any_moment_the_good_is_promoted_and_the_bad_stays_rejected(
    operators: Operators, product: Product
) -> None:
    first = operators.launch("first", program=program(), PENSTOCK_LEASE="")
    story = Story.begun(product, HOLD_SECONDS)
    with (
        history.watched(product.environment, product.namespace) as seen,
        product.live_traffic(15, GOOD) as good,
        product.live_traffic(10, BAD) as bad,
    ):
        first.kill()
        story.try_canaries()
        with dying(operators, DEATHS, SEED) as lives:
            product.until("all have died", lambda: len(lives) >= DEATHS, PATIENCE_SECONDS)
            results = [story.until_result(name, PATIENCE_SECONDS) for name in (GOOD, BAD)]
        operators.started[-1].kill()
        operators.start("heir", PENSTOCK_LEASE="")
    print(f"seed {SEED}, died at (write, second): {lives}", seen.summary())
    assert results == ["Promoted", "Rejected"]
    loads = {GOOD: good, BAD: bad}
    logs = {name: product.until_all_ended(loads[name], name) for name in AGENTS}
    assert not good.refused + bad.refused
    assert {task.status for task in product.tasks(good.tasks)} == {TaskStatus.SUCCEEDED}
    story.check_end(seen, logs)
