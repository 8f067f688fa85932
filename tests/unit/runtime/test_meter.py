"""What a worker shows of its models, and of which tasks."""

from dataclasses import replace

import prometheus_client
import pytest

from penstock.names import AgentKey
from penstock_runtime import instrumentation
from tests.unit.runtime import fakes
from tests.unit.runtime.test_bad_neighbour import working

_BY_THE_WORKER = ("penstock_tasks_running", "penstock_tasks_unwritten", "penstock_model_breaker")


def shown(agent):
    """The value of each series of an agent, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in prometheus_client.REGISTRY.collect()
        for sample in metric.samples
        if sample.labels.get("agent") == agent and sample.name.startswith("penstock_")
    }


def test_a_fallback_of_the_same_name_hides_no_model_that_is_left_alone():
    model = instrumentation.Meter(AgentKey("test", "twins"), "twins-00000000", "sonnet")
    model.breaker(lambda: True)
    model.of_model("sonnet", 1).breaker(lambda: False)
    found = [
        (dict(labels)["place"], value)
        for (name, *labels), value in shown("twins").items()
        if name == "penstock_model_breaker_open"
    ]
    assert sorted(found) == [("0", 1.0), ("1", 0.0)]


def grown(before):
    """The names of what has grown since, by revision."""
    found = {}
    for (name, *labels), value in shown("support").items():
        if value > before.get((name, *labels), 0.0) and not name.startswith(_BY_THE_WORKER):
            found.setdefault(dict(labels)["revision"], set()).add(name)
    return found


async def one_task(template, *, preview, broken=False):
    claim = fakes.claim(1)
    claim = replace(claim, task=replace(claim.task, preview=preview))

    def answer(_text):
        if broken:
            raise ZeroDivisionError
        return fakes.DONE

    store = fakes.Store(claim)
    before = shown("support")
    async with working(store, fakes.agent(template, fakes.Model(answer))):
        await store.until(lambda: store.finished)
    return grown(before)


@pytest.mark.parametrize("broken", [False, True])
async def test_a_preview_counts_in_no_series_of_tasks_and_in_none_of_its_revision(template, broken):
    ordinary = await one_task(template, preview=False, broken=broken)
    assert {"penstock_tasks_total", "penstock_task_seconds_count"} <= ordinary["support-rev"]
    of_preview = await one_task(template, preview=True, broken=broken)
    assert of_preview.get("support-rev", set()) <= {"penstock_worker_errors_total"}
    spent = of_preview["preview"]
    assert "penstock_model_calls_total" in spent, "its money is in the sums"
    assert not any(name.startswith("penstock_task") for name in spent)


def test_what_a_preview_has_called_asked_and_put_down_is_nobodys_sample():
    meter = instrumentation.Meter(fakes.AGENT, "support-rev", "m")
    before = shown("support")
    token = instrumentation.IN_PREVIEW.set(True)
    try:
        meter.tool_called("refund", "error", 0.1)
        meter.call_asked(planned=True)
        meter.call_decided("Approve", "person")
        meter.task_stopped("GiveBack")
    finally:
        instrumentation.IN_PREVIEW.reset(token)
    found = grown(before)
    assert set(found) == {"preview"}
    assert {"penstock_tool_calls_total", "penstock_calls_asked_total"} <= found["preview"]
    assert "penstock_tasks_stopped_total" not in found["preview"]
