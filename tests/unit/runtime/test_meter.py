"""What a worker shows of its models."""

import prometheus_client

from penstock.names import AgentKey
from penstock_runtime import instrumentation


def test_a_fallback_of_the_same_name_hides_no_model_that_is_left_alone():
    model = instrumentation.Meter(AgentKey("test", "twins"), "twins-00000000", "sonnet")
    model.breaker(lambda: True)
    model.of_model("sonnet", 1).breaker(lambda: False)
    found = [
        (sample.labels["place"], sample.value)
        for metric in prometheus_client.REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "penstock_model_breaker_open" and sample.labels["agent"] == "twins"
    ]
    assert sorted(found) == [("0", 1.0), ("1", 0.0)]
