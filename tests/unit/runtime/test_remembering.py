"""For which further calls an approval may hold, and which of them are made by it."""

from dataclasses import replace

import pytest

from penstock.api.oversight import Oversight
from penstock.api.tool import Tool
from penstock.remembering import Remembered, read
from penstock_runtime.agent import asking, effects, happenings, loop, remembered, step
from penstock_runtime.agent.keeper import Interrupted
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.step import CallTool, Park
from penstock_runtime.agent.tools import toolbox
from tests.unit.runtime.fakes import Notebook, Tools

ABOVE = {"argument": "amount", "above": "100", "remember": "Session"}
TO = {"argument": "to", "pattern": "^DE", "remember": "Session"}
ANY = {"type": "object"}


def refund(*rules, schema=ANY, **more):
    said = {"name": "refund", "inputSchema": schema, "http": {"url": "http://127.0.0.1:9/"}}
    approval = {"mode": "When", "rules": list(rules)} if rules else {"mode": "None"}
    return Tool.model_validate(said | {"approval": approval} | more)


class Desk:
    """A revision's tools and rules, and what an approval of a call was remembered for."""

    def __init__(self, run, *rules, overseen=None, **more):
        oversight = Oversight.model_validate(overseen) if overseen else None
        self.tools = toolbox.build([refund(*rules, **more)], oversight)
        self.run = run

    def wants(self, given, name="refund"):
        asks = self.run.replied(scripted.tool_use(("c1", name, given)))
        return asks, asks.transcript.calls[0]

    def approved(self, given, by=("ann",)):
        """As an approval of a call is kept; nothing where the rules do not allow it."""
        _, call = self.wants(given)
        kept = remembered.memory(self.tools, call, self.tools.ask(call))
        return (Remembered(read(kept.text()), by, "e.1"),) if kept else ()

    def then(self, template, approved, given):
        """What is done of a call of the same session."""
        asks, _ = self.wants(given)
        return step.next_step(template, self.tools, replace(asks, approved=approved))


@pytest.fixture
def desk(run):
    return lambda *rules, **more: Desk(run, *rules, **more)


@pytest.mark.parametrize(
    ("amount", "asks"), [(150, False), ("150.00", False), (101, False), (150.01, True), (1e9, True)]
)
def test_a_call_of_at_most_the_amount_that_was_approved_is_made_without_asking(
    desk, template, amount, asks
):
    made = desk(ABOVE)
    found = made.then(template(), made.approved({"amount": 150}), {"amount": amount, "order": "B"})
    assert isinstance(found, Park if asks else CallTool)
    if not asks:
        place, by = found.earlier
        assert (place, by.by, by.escalation) == (found.call.place, ("ann",), "e.1")


def test_without_the_field_nothing_is_remembered_and_never_is_the_same(desk, template):
    for rule in (ABOVE | {"remember": "Never"}, {"argument": "amount", "above": "100"}):
        made = desk(rule)
        assert made.approved({"amount": 150}) == ()
        kept = desk(ABOVE).approved({"amount": 150})
        assert isinstance(made.then(template(), kept, {"amount": 150}), Park)


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        (ABOVE, {}),
        (ABOVE, {"amount": "much"}),
        (ABOVE, {"amount": 1e300}),
        (TO, {}),
        (TO, {"to": 5}),
    ],
)
def test_a_call_whose_argument_cannot_be_compared_is_remembered_for_nothing(desk, rule, given):
    assert desk(rule).approved(given) == ()


def test_another_rule_that_asks_is_another_question(desk, template):
    both = desk(ABOVE, TO)
    kept = both.approved({"amount": 150, "to": "FR1"})
    assert isinstance(both.then(template(), kept, {"amount": 120, "to": "FR2"}), CallTool)
    assert isinstance(both.then(template(), kept, {"amount": 120, "to": "DE2"}), Park)
    together = both.approved({"amount": 150, "to": "DE1"})
    assert isinstance(both.then(template(), together, {"amount": 120, "to": "DE2"}), CallTool)
    assert isinstance(both.then(template(), together, {"amount": 50, "to": "DE2"}), CallTool)
    none = desk(ABOVE, TO | {"remember": "Never"})
    assert none.approved({"amount": 150, "to": "DE1"}) == (), "each rule that asks must allow it"


def test_a_restriction_asks_whatever_was_approved_before(desk, template):
    made = desk(ABOVE)
    kept = made.approved({"amount": 150})
    braked = replace(made.tools.asking, required=frozenset({"refund"}))
    made.tools = replace(made.tools, asking=braked)
    assert made.approved({"amount": 150}) == ()
    assert isinstance(made.then(template(), kept, {"amount": 150}), Park)


@pytest.mark.parametrize("effect", ["ReadOnly", "Idempotent", "Irreversible"])
async def test_a_worker_that_must_put_the_task_down_hears_so_before_such_a_call(
    desk, agent, effect
):
    made, tools = desk(ABOVE, effect=effect), Tools()
    asks, _ = made.wants({"amount": 120})
    held = replace(agent([], tools), toolbox=made.tools)
    begun = replace(asks, approved=made.approved({"amount": 150}))
    with pytest.raises(Interrupted):
        await loop.run_task(held, begun, Notebook(stop_at=1))
    assert tools.calls == []


def test_another_schema_or_another_tool_of_that_rule_asks_again(desk, template):
    overseen = {"rules": [{"name": "money", "toolPattern": ".*", "remember": "Session"}]}
    made = desk(overseen=overseen)
    kept = made.approved({"order": "A1"})
    assert isinstance(made.then(template(), kept, {"order": "B2"}), CallTool)
    other = desk(overseen=overseen, schema={"type": "object", "maxProperties": 9})
    assert isinstance(other.then(template(), kept, {"order": "B2"}), Park)
    named = desk(overseen=overseen, name="refund2")
    asks, _ = named.wants({"order": "B2"}, "refund2")
    found = step.next_step(template(), named.tools, replace(asks, approved=kept))
    assert isinstance(found, Park)


def test_a_rule_about_data_is_remembered_for_the_same_kinds_alone(desk, template):
    rule = {"name": "data", "contains": ["Email", "IBAN"], "remember": "Session"}
    made = desk(overseen={"rules": [rule]})
    kept = made.approved({"note": "ann@example.org"})
    assert isinstance(made.then(template(), kept, {"note": "bob@example.org"}), CallTool)
    assert isinstance(made.then(template(), kept, {"note": "DE89370400440532013000"}), Park)


def asked(made, template, given, proposed=None):
    asks, call = made.wants(given)
    return asking.asked(template, made.tools, asks, Park(call, made.tools.ask(call), proposed))


def test_the_person_reads_for_what_it_would_hold_and_of_what_he_does_not_see_it_holds_for_nothing(
    desk, template
):
    made = desk(ABOVE)
    said = read(asked(made, template(), {"amount": 150}).memory).words
    assert said == "amount above 100, each at most 150"
    assert asked(made, template(), {"amount": 150, "note": "x" * 100_000}).memory == ""
    assert asked(made, template(), {"amount": 150}, {"amount": 120}).memory == ""
    assert asked(desk({"argument": "amount", "above": "1"}), template(), {"amount": 5}).memory == ""


def test_a_call_that_is_made_by_an_earlier_approval_says_so_and_no_other_does(desk, template):
    made = desk(ABOVE)
    found = made.then(template(), made.approved({"amount": 150}, ("ann", "bob")), {"amount": 150})
    said = {"approvedEarlier": {"by": ["ann", "bob"], "escalation": "e.1"}}
    call, tool = found.call, made.tools.tools["refund"]
    told = effects.marked([effects.intended(tool, call)], None, found.earlier)
    assert told[0][1].items() >= said.items()
    assert happenings.called(call, ok=True, wall_ms=1, by=found.earlier)[1].items() >= said.items()
    later = replace(call, position=2)
    for other in (
        effects.marked([effects.intended(tool, later)], None, found.earlier)[0],
        happenings.called(later, ok=True, wall_ms=1, by=found.earlier),
    ):
        assert "approvedEarlier" not in other[1]


def test_a_call_that_changes_nothing_is_made_alone_where_an_earlier_approval_covers_it(
    desk, template
):
    made = desk(ABOVE, effect="ReadOnly")
    kept = made.approved({"amount": 150})
    asks = made.run.replied(
        scripted.tool_use(("c1", "refund", {"amount": 120}), ("c2", "refund", {"amount": 1}))
    )
    found = step.next_step(template(), made.tools, replace(asks, approved=kept))
    assert isinstance(found, CallTool)
    assert found.earlier
