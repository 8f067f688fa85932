"""Which calls need a person, whose word it takes, and what the person is shown."""

import json
from dataclasses import replace

import pytest

from penstock import errors
from penstock.api.oversight import OnTimeout, Oversight
from penstock.api.tool import Tool
from penstock.escalation import Ask, Decision, Verdict
from penstock_runtime.agent import asking, effects, step
from penstock_runtime.agent.models import scripted
from penstock_runtime.agent.step import Answer, Park
from penstock_runtime.agent.tools import toolbox
from penstock_runtime.agent.transcript import ToolUse

ANY = {"type": "object"}


def refund(**approval):
    declared = {"name": "refund", "inputSchema": ANY, "http": {"url": "http://127.0.0.1:9/refund"}}
    return Tool.model_validate(declared | {"approval": approval})


def when(*rules, **more):
    return refund(mode="When", rules=[rule | more for rule in rules])


def ask(tool, given, **oversight):
    overseen = Oversight.model_validate(oversight) if oversight else None
    return toolbox.build([tool], overseen).ask(ToolUse("c1", tool.name, given, 1))


ABOVE = {"argument": "amount", "above": "100"}
IN_TEXT = {"argument": "order.note", "contains": "urgent"}
PATTERN = {"argument": "to", "pattern": "@example\\.org$"}


@pytest.mark.parametrize(
    ("rule", "given", "because"),
    [
        (ABOVE, {"amount": 100}, ""),
        (ABOVE, {"amount": 100.01}, "above 100"),
        (ABOVE, {"amount": "150.00"}, "above 100"),
        (ABOVE, {"amount": "99"}, ""),
        (ABOVE, {"amount": 1e300}, "above 100"),
        (ABOVE, {"amount": -5}, ""),
        (ABOVE | {"above": "-10"}, {"amount": -5}, "above -10"),
        (ABOVE, {}, "absent"),
        (ABOVE, {"amount": None}, "no number"),
        (ABOVE, {"amount": True}, "no number"),
        (ABOVE, {"amount": [150]}, "no number"),
        (ABOVE, {"amount": "much"}, "no number"),
        (ABOVE, {"amount": float("nan")}, "no number"),
        (ABOVE, {"amount": "1" * 5000}, "no number"),
        (ABOVE, {"amount": 10**400}, "no number"),
        (ABOVE, {"Amount": 5}, "absent"),
        (IN_TEXT, {"order": {"note": "not so urgent"}}, "contains 'urgent'"),
        (IN_TEXT, {"order": {"note": "in a while"}}, ""),
        (IN_TEXT, {"order": "urgent"}, "absent"),
        (IN_TEXT, {"order": {"note": 5}}, "no text"),
        (IN_TEXT, {"order.note": "urgent"}, "contains 'urgent'"),
        (IN_TEXT, {"order.note": "calm", "order": {"note": "urgent"}}, "absent"),
        (PATTERN, {"to": "a@example.org"}, "fits"),
        (PATTERN, {"to": "a@example.org.test"}, ""),
    ],
)
def test_a_rule_asks_where_its_argument_fits_and_nowhere_else(rule, given, because):
    found = ask(when(rule), given)
    assert (found is not None) == bool(because)
    assert not because or because in found.why


def test_a_pattern_costs_no_more_than_its_text_is_long():
    rule = {"argument": "to", "pattern": "^(a+)+$"}
    assert ask(when(rule), {"to": "a" * 50_000 + "!"}) is None


def test_a_pattern_that_cannot_be_used_is_told():
    with pytest.raises(errors.InvalidResource, match="cannot be used"):
        ask(when({"argument": "to", "pattern": "(unclosed"}), {})


def test_a_rule_says_whose_word_it_takes_and_of_how_many():
    one = ask(when(ABOVE), {"amount": 150})
    assert (one.approvers, one.min_approvals) == ((), 1)
    both = ask(when(ABOVE | {"approvers": ["finance"], "minApprovals": 2}), {"amount": 150})
    assert (both.approvers, both.min_approvals) == ((("finance",),), 2)
    rules = [{"name": "r", "toolPattern": "refund", "approvers": ["legal"], "minApprovals": 2}]
    together = ask(when(ABOVE | {"approvers": ["finance"]}), {"amount": 150}, rules=rules)
    assert (together.approvers, together.min_approvals) == ((("finance",), ("legal",)), 2)


def test_a_rule_says_that_whoever_decides_shows_a_token_of_the_cluster():
    signed = {"signIn": "Required"}
    assert not ask(when(ABOVE), {"amount": 150}).sign_in
    assert ask(when(ABOVE | signed), {"amount": 150}).sign_in
    rules = [{"name": "r", "toolPattern": "refund", **signed}]
    assert ask(when(ABOVE), {"amount": 150}, rules=rules).sign_in
    asked = Ask("why", sign_in=True)
    said = Decision("e", (1, 1), Verdict.APPROVE, "d", ("ann",))
    assert not said.covers(asked)
    assert replace(said, sign_in=True).covers(asked)


@pytest.mark.parametrize(
    ("pattern", "asks"),
    [
        ("refund", True),
        ("re.*", True),
        ("(delete|refund)", True),
        ("fund", False),
        ("refun", False),
    ],
)
def test_a_rule_about_tools_asks_for_those_whose_whole_name_fits(pattern, asks):
    rules = [{"name": "moves-money", "toolPattern": pattern}]
    found = ask(refund(mode="None"), {}, rules=rules)
    assert (found is not None) == asks
    assert not asks or "moves-money" in found.why


@pytest.mark.parametrize(
    ("kind", "text", "holds"),
    [
        ("CreditCard", "4111 1111 1111 1111", True),
        ("CreditCard", "pay with 4111-1111-1111-1111 12/26", True),
        ("CreditCard", "12 4111111111111111", True),
        ("CreditCard", "４１１１ １１１１ １１１１ １１１１", True),
        ("CreditCard", 4111111111111111, True),
        ("CreditCard", "4111 1111 1111 1112", False),
        ("CreditCard", "order 17", False),
        ("SSN", "her number is 078-05-1120.", True),
        ("SSN", "078–05–1120", True),
        ("SSN", "000-05-1120", False),
        ("SSN", "2078-05-11204", False),
        ("IBAN", "DE89 3704 0044 0532 0130 00 for the rent", True),
        ("IBAN", "to de89370400440532013000", True),
        ("IBAN", "DE89 3704 0044 0532 0130 01", False),
        ("Email", "write to ann@example.org", True),
        ("Email", "at @home", False),
        ("Phone", "+49 (0)151 2345678", True),
        ("Phone", "call (415) 555-0132", True),
        ("Phone", "0151 23456789", True),
        ("Phone", "invoice 20260712", False),
        ("APIKey", "sk-abcdefghijklmnop1234", True),
        ("APIKey", "-----BEGIN RSA PRIVATE KEY-----", True),
        ("APIKey", "sk-1", False),
    ],
)
def test_a_rule_about_data_asks_for_the_calls_that_hold_it(kind, text, holds):
    rules = [{"name": "sensitive", "contains": [kind]}]
    tool = refund(mode="None")
    for given in ({"note": text}, {"deep": [{"er": text}]}, {str(text): 1}):
        found = ask(tool, given, rules=rules)
        assert (found is not None) == holds, given
        assert not holds or (kind in found.why and not found.planned)


def test_a_rule_about_data_and_tools_asks_where_both_fit():
    rules = [{"name": "r", "toolPattern": "send_.*", "contains": ["Email"], "minApprovals": 2}]
    held = {"to": "ann@example.org"}
    assert ask(refund(mode="None"), held, rules=rules) is None
    sends = refund(mode="None").model_copy(update={"name": "send_mail"})
    assert ask(sends, held, rules=rules).min_approvals == 2
    assert ask(sends, {"to": "nobody"}, rules=rules) is None


def test_what_is_looked_for_costs_no_more_than_the_text_is_long():
    rules = [{"name": "all", "contains": ["Email", "Phone", "CreditCard", "SSN", "IBAN", "APIKey"]}]
    for text in ("1 " * 50_000, "4" * 100_000, "a" * 100_000, "DE12 " * 20_000, "@" * 100_000):
        assert ask(refund(mode="None"), {"note": text}, rules=rules) is None


def test_a_question_is_planned_where_any_that_was_declared_asks_it():
    data = [{"name": "sensitive", "contains": ["Email"]}]
    held = {"amount": 150, "to": "ann@example.org"}
    assert ask(when(ABOVE), held, rules=data).planned
    assert ask(refund(mode="Always"), held, rules=data).planned
    assert not ask(refund(mode="None"), held, rules=data).planned


@pytest.mark.parametrize("by", [("ann",), ()], ids=["a person", "time"])
@pytest.mark.parametrize("then", [None, "Tell", "Escalate"])
def test_a_denied_call_is_told_to_the_model_or_ends_the_task_as_declared(template, run, then, by):
    made = template()
    overseen = Oversight.model_validate({"onDeny": then} if then else {})
    asks = run.replied(scripted.tool_use(("c1", "refund", {"order": "A1"})))
    place = asks.transcript.calls[0].place
    said = Decision("e", place, Verdict.DENY, "d", by, "paid already")
    found = step.next_step(made, toolbox.build(made.tools, overseen), replace(asks, decision=said))
    if then != "Escalate":
        assert isinstance(found, step.Tell)
        assert found.is_error
        assert "paid already" in found.text
        return
    assert isinstance(found, step.End)
    ended = found.outcome
    assert (ended.status, ended.reason, ended.counting) == ("Escalated", "Approval", "LeftOut")
    assert (("ann" if by else "in time") in ended.message, "paid already" in ended.message) == (
        True,
        True,
    )


@pytest.mark.parametrize(
    ("declared", "seconds", "holds"),
    [
        (None, 3600, OnTimeout.DENY),
        ({"timeoutSeconds": 60}, 60, OnTimeout.DENY),
        ({"onTimeout": "Approve"}, 3600, OnTimeout.APPROVE),
    ],
)
def test_how_long_a_call_waits_and_what_holds_then_is_as_declared(
    template, run, declared, seconds, holds
):
    made = template()
    if declared is not None:
        made = made.model_copy(update={"oversight": Oversight.model_validate(declared)})
    asked = asked_of(made, run)
    assert (asked.timeout_seconds, asked.on_timeout) == (seconds, holds)


def asked_of(template, run, given=None):
    tools = toolbox.build(template.tools, template.oversight)
    run = run.replied(scripted.tool_use(("c1", "refund", given or {"order": "A1"})))
    call = run.transcript.calls[0]
    return asking.asked(template, tools, run, Park(call, tools.ask(call)))


def test_a_person_is_shown_the_call_and_the_conversation_within_a_bound(template, run):
    asked = asked_of(template(), run)
    assert json.loads(asked.arguments) == {"order": "A1"}
    said = json.loads(asked.context)
    assert [each["role"] for each in said] == ["user", "assistant"]
    assert said[0]["text"] == "Where is A1?"
    assert "refund" in said[1]["text"]
    large = asked_of(template(), run, {"order": "x" * 1_000_000})
    assert len(large.arguments) <= asking.MAX_ARGUMENT_CHARACTERS
    assert len(large.context) <= 2 * asking.MAX_CONTEXT_CHARACTERS


def test_a_long_argument_hides_no_other_one_and_the_person_reads_that_it_was_cut(template, run):
    given = {"note": ["x" * 100_000], "order": "A1"}
    asked = asked_of(template(), run, given)
    shown = json.loads(asked.arguments)
    assert (shown["order"], "100,000 characters" in shown["note"][0]) == ("A1", True)
    assert "too long to be shown whole" in asked.ask.why
    many = asked_of(template(), run, {f"name-{number}": 1 for number in range(10_000)})
    assert "too long to be shown whole" in many.ask.why


def test_an_approval_is_bound_to_tool_schema_and_arguments():
    def digest(tool, given):
        return toolbox.build([tool]).digest(ToolUse("c1", "refund", given, 1))

    other = refund(mode="None").model_copy(update={"input_schema": {"type": "object", "x": 1}})
    first = digest(refund(mode="None"), {"a": 1, "b": 2})
    assert digest(refund(mode="Always"), {"b": 2, "a": 1}) == first
    assert len({first, digest(refund(mode="None"), {"a": 1}), digest(other, {"a": 1, "b": 2})}) == 3


@pytest.mark.parametrize(
    ("named", "given", "micro"),
    [
        (None, {"amount": 5}, ""),
        ("amount", {"amount": 5}, "5000000"),
        ("order.total", {"order": {"total": "0.000001"}}, "1"),
        ("amount", {"amount": -5}, ""),
        ("amount", {"amount": "much"}, ""),
        ("amount", {}, ""),
        ("amount", {"amount": 1e300}, ""),
    ],
)
def test_an_effect_says_what_the_named_argument_says_it_is_worth(named, given, micro):
    made = refund(mode="None").model_copy(update={"amount_from": named})
    kind, said = effects.intended(made, ToolUse("c1", "refund", given, 1))
    assert (kind, said["amount"]) == ("effect", micro)
    assert bool(said["shown"]) == bool(micro)


@pytest.mark.parametrize("declared", [True, False])
def test_the_model_may_ask_for_a_person_by_itself_where_that_is_declared(template, run, declared):
    tools = toolbox.build(template().tools, Oversight(handover=declared))
    assert ("escalate" in [each["name"] for each in tools.declared()]) is declared
    asked = run.replied(scripted.tool_use(("c1", "escalate", {"reason": "who is she?"})))
    found = step.next_step(template(), tools, asked)
    assert isinstance(found, Park if declared else Answer)
    if not declared:
        return
    assert found.ask.why == "the agent asks for a person: who is she?"
    call = asked.transcript.calls[0]

    def decided(verdict, **more):
        said = Decision("e", call.place, verdict, tools.digest(call), ("ann",), **more)
        return step.next_step(template(), tools, replace(asked, decision=said))

    assert decided(Verdict.ANSWER, answer="a regular").text == "a regular"
    assert decided(Verdict.APPROVE).text == "go on by yourself"
    assert decided(Verdict.DENY).is_error
