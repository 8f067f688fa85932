"""What is away is away for both arms: nobody is condemned for it but where that is declared, and all goes on by itself."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import real_prometheus
from tests.integration.acceptance.product import Product
from tests.integration.election import incidents
from tests.integration.election.incidents import COMPARED, HELD, UNFIT, until_waits
from tests.integration.election.operators import STEADY, Operators
from tests.integration.real_prometheus import Prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
#: A busy machine ends few tasks, and so many must end before everybody is given to a canary that was away.
PROOF_SECONDS = 360
ROLLBACK = {"analysis": {"guardrails": {"onSharedIncident": "Rollback"}}}


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    """A real one, which knows nothing but what is asked for."""
    with real_prometheus.running(tmp_path / "prometheus") as made:
        yield made


def the_model_is_away(product: Product, canary: dict[str, str]) -> None:
    """Both arms fail: users go to stable, nobody is blamed; another policy keeps them, a third one condemns."""
    product.stop("model", kill=True)
    try:
        product.until("users are off the canary", lambda: product.share(COMPARED) == 0)
        told = product.cluster.condition(f"agentrollout/{COMPARED}", "Suspended")
        assert told[:2] == ("True", "SharedIncident"), told
        assert "stable is over the limit too" in told[2]
        until_waits(product, HELD, "SharedIncident")
        assert (product.share(HELD), product.rollout(HELD)["verdicts"]) == (40, [])
        product.patch(f"agentrollout/{HELD}", ROLLBACK)
        verdict = product.until_verdict(canary[HELD], HELD)
        assert (verdict["result"], verdict["check"]) == ("Rejected", "errorRate")
        assert "onSharedIncident: Rollback" in verdict["message"]
    finally:
        product.start("model")


def the_canary_goes_on(product: Product, canary: str, prometheus: Prometheus) -> None:
    """It is back at its share by itself, and is held there until the gate's Prometheus answers again."""
    told = until_waits(product, COMPARED, "ExternalMissing")
    assert "csat" in told
    assert (product.share(COMPARED), product.rollout(COMPARED)["verdicts"]) == (40, [])
    prometheus.start()
    promoted = product.until_verdict(canary, COMPARED, PROOF_SECONDS)
    assert promoted["result"] == "Promoted"
    assert len(product.rollout(COMPARED)["verdicts"]) == 1, "nobody was blamed"


def the_limit_does_not_fit(product: Product, canary: str) -> None:
    """Stable is always over it: that is no incident, the canary is back, and a person decides."""
    told = until_waits(product, UNFIT, "LimitDoesNotFit")
    assert "kubectl patch agentrollout unfit" in told
    assert (product.share(UNFIT), product.rollout(UNFIT)["verdicts"]) == (40, [])
    product.request("promote-full", canary, UNFIT)
    assert product.until_verdict(canary, UNFIT)["result"] == "Promoted"


def test_what_is_away_for_both_condemns_nobody_unless_that_is_declared_and_all_goes_on_by_itself(
    operators: Operators, product: Product, prometheus: Prometheus
) -> None:
    server = {"main": {"url": prometheus.url, "namespaces": ["*"]}}
    operators.start("one", STEADY, PENSTOCK_PROMETHEUS=json.dumps(server))
    stable = incidents.begun(product)
    with incidents.traffic(product):
        canary = incidents.tried(product)
        product.until("the gate has its number", lambda: incidents.gate_says(product) == "4.5")
        prometheus.kill()
        the_model_is_away(product, canary)
        the_canary_goes_on(product, canary[COMPARED], prometheus)
        the_limit_does_not_fit(product, canary[UNFIT])
        product.cluster.apply(incidents.agent(COMPARED, "v1"))
        back = product.until_verdict(stable[COMPARED], COMPARED)
    assert (back["result"], back["reason"], back["percent"]) == ("Promoted", "Returned", 0)
