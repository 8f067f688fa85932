"""What a rollout runs on is taken away, piece by piece, while it runs: it ends as it would have."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis, RedisError

from penstock.api import condition
from penstock.names import AgentKey
from penstock_store.keys import AgentKeys
from tests import components
from tests.integration.acceptance.outcome_log import OutcomeLog
from tests.integration.acceptance.product import Product
from tests.integration.acceptance.traffic import Load, by_revision
from tests.integration.election import history
from tests.integration.election.operators import Operator, Operators, until
from tests.integration.election.story import AGENTS, BAD, GOOD, Story, program

#: ``PENSTOCK_FAULT_SECONDS=30`` is how long an outage may take. With it the rollout goes on by itself
#: also after it has lost rows, which takes minutes; else a person says so.
AWAY_SECONDS = float(os.environ.get("PENSTOCK_FAULT_SECONDS", "3"))
WHOLE = "PENSTOCK_FAULT_SECONDS" in os.environ
#: Over before another leads, so that what is counted then is lost with the newest rows of Redis; and longer than it takes to ask for both shares.
HOLD_SECONDS = 8
#: So long the route may follow a status that was written right before.
IN_FLIGHT_SECONDS = 2.0
PATIENCE_SECONDS = 600 if WHOLE else 120

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * PATIENCE_SECONDS)]


@contextlib.contextmanager
def frozen(product: Product, component: str) -> Iterator[None]:
    """SIGSTOP for a component: it takes connections, and answers none."""
    pid = components.living(product.environment.state_dir, component).pid
    components.send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        components.send(pid, signal.SIGCONT)


def wait(seconds: float) -> None:
    """The outage itself: its length is what is tried here."""
    time.sleep(seconds)


def redis_files(product: Product) -> Path:
    """Where Redis keeps its append-only file."""
    return Path(product.environment.state_dir) / "redis"


def routed_percent(product: Product, name: str) -> int:
    """The canary's share by the route in Redis; -1 without one, or while Redis says nothing."""
    redis = Redis.from_url(str(product.environment.redis_url), decode_responses=True)
    told = None
    with contextlib.closing(redis), contextlib.suppress(RedisError):
        told = redis.hget(AgentKeys(AgentKey(product.namespace, name)).route, "percent")
    return int(told) if told else -1


def waits_for(product: Product, name: str) -> str:
    """The reason of the condition Progressing."""
    return product.cluster.condition(f"agentrollout/{name}", "Progressing")[1]


def merged(*logs: OutcomeLog) -> OutcomeLog:
    """The rows of logs of which one may lack what the other has."""
    rows = {row.id: row for log in logs for row in log.rows}
    return OutcomeLog(tuple(rows[name] for name in sorted(rows, key=_in_order)))


def _in_order(row_id: str) -> tuple[int, int]:
    ms, _, number = row_id.partition("-")
    return int(ms), int(number)


def the_leader_sleeps(
    operators: Operators, leader: Operator, standby: Operator, product: Product, kept: Path
) -> None:
    """Nothing is decided until the other leads; meanwhile a copy is made of what Redis has."""
    leader.signal(signal.SIGSTOP)
    shares = [product.share(name) for name in AGENTS]
    assert set(shares) <= {20, 50}, "both canaries have users, and no verdict yet"
    shutil.copytree(redis_files(product), kept)
    operators.until_leads(standby)
    leader.signal(signal.SIGCONT)
    until("the old leader ends", lambda: leader.process.poll() is not None)
    assert leader.process.returncode == 3


def the_api_server_is_away(product: Product, story: Story, load: Load) -> None:
    """Users are served as the route says, and nobody is given another share."""
    with frozen(product, "kube-apiserver"):
        gone = time.monotonic()
        wait(IN_FLIGHT_SECONDS)
        before = routed_percent(product, GOOD)
        wait(AWAY_SECONDS)
        assert routed_percent(product, GOOD) == before
        served = by_revision(load.since(gone))
        assert served[story.stable[GOOD]] > served.total() / 4, served


def redis_is_away(product: Product) -> None:
    """The rollout says so, and raises nothing."""
    product.stop("redis")
    gone = datetime.now(UTC)
    try:
        product.until(
            "the rollout says that it cannot measure",
            lambda: waits_for(product, GOOD) == "StoreUnavailable",
        )
        wait(AWAY_SECONDS)
        raised = condition.moment(product.rollout(GOOD)["stepStartedAt"])
        assert raised <= gone + timedelta(seconds=1), "what raises a share begins a step"
    finally:
        product.start("redis")
        product.until("Redis answers", lambda: routed_percent(product, GOOD) >= 0)


def redis_is_restored(
    product: Product, kept: Path, operators: Operators, before: OutcomeLog
) -> None:
    """It comes back as it was when the bad canary had users still; that route does not last.

    No operator lives then, and rows are written before the next one looks: it must see that others
    are gone.
    """
    assert routed_percent(product, BAD) == 0
    for operator in operators.started:
        operator.kill()
    product.stop("redis", kill=True)
    shutil.rmtree(redis_files(product))
    shutil.copytree(kept, redis_files(product))
    product.start("redis")
    product.until("Redis answers", lambda: routed_percent(product, BAD) >= 0)
    last = _in_order(before.rows[-1].id)
    product.until("rows are written", lambda: _in_order(product.log(GOOD).rows[-1].id) > last)
    operators.launch("heir", program=program(), PENSTOCK_LEASE="")
    product.until("the bad canary is off again", lambda: routed_percent(product, BAD) == 0)


def test_without_leader_api_server_or_redis_for_a_while_the_end_is_the_same(
    operators: Operators, product: Product, tmp_path: Path
) -> None:
    leader = operators.launch("one", program=program())
    operators.until_leads(leader)
    standby = operators.launch("two", program=program())  # ready long before it is needed
    story = Story.begun(product, HOLD_SECONDS)
    with (
        history.watched(product.environment, product.namespace) as seen,
        product.live_traffic(15, GOOD) as good,
        product.live_traffic(10, BAD),
    ):
        story.try_canaries()
        product.until("both are tried", lambda: all(product.share(name) == 20 for name in AGENTS))
        the_leader_sleeps(operators, leader, standby, product, tmp_path / "redis")
        # without election it leads as well: two decide from now on
        operators.launch("forced", program=program(), PENSTOCK_LEASE="")
        the_api_server_is_away(product, story, good)
        assert story.until_result(BAD, PATIENCE_SECONDS) == "Rejected"
        redis_is_away(product)
        before = {name: product.log(name) for name in AGENTS}
        redis_is_restored(product, tmp_path / "redis", operators, before[GOOD])
        product.until("it says that rows are lost", lambda: waits_for(product, GOOD) == "RowsLost")
        if not WHOLE:
            canary = product.rollout(GOOD)["canaryRevision"]
            product.request("promote-full", canary, GOOD)
        assert story.until_result(GOOD, PATIENCE_SECONDS) == "Promoted"
    print(seen.summary())
    logs = {name: product.log(name) for name in AGENTS}
    for name in AGENTS:
        product.until(f"all of {name} ends", lambda name=name: not product.log(name).open)
        assert set(product.log(name).finished.values()) <= {1}, "ended more than once"
    story.check_end(seen, {name: merged(before[name], logs[name]) for name in AGENTS})
