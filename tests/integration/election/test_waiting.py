"""A task that no worker lives to take ends when it has waited long enough, and nobody polls for it."""

import json

import pytest

from tests.integration.acceptance.product import Product
from tests.integration.cluster import agent
from tests.integration.election.operators import STEADY, Operators, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def test_tasks_expire_where_no_worker_lives_also_those_behind_another_of_their_session(
    operators: Operators, product: Product
) -> None:
    operators.start("one", STEADY)
    product.cluster.apply(
        agent("Be kind.", template={"limits": {"queueSeconds": 2}}, scaling={"replicas": 1})
    )
    product.cluster.until_condition("agent/support", "Ready", "True", "Serving")
    patch = json.dumps({"spec": {"scaling": {"replicas": 0}}})
    product.cluster.kubectl("patch", "agent", "support", "--type", "merge", "-p", patch)
    until("no worker", lambda: not product.cluster.items("pods"))
    answers = [product.ask("u", session="s"), product.ask("u", session="s"), product.ask("v")]
    tasks = [answer.json()["id"] for answer in answers]
    until(
        "all are expired",
        lambda: {product.read(task)["status"] for task in tasks} == {"Expired"},
        seconds=60,
    )
