"""Whether a call needs a person: one answer from what the tool declares, and from rules about it."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import jsonschema_rs

from penstock import errors
from penstock.api.oversight import (
    ApprovalMode,
    ApprovalRule,
    OnDeny,
    Oversight,
    OversightRule,
    Remember,
)
from penstock.api.tool import Tool
from penstock.escalation import Ask
from penstock.remembering import Kept
from penstock.revision import canonical
from penstock_runtime.agent.tools import arguments, sensitive

_LONGEST_AMOUNT: Final = 40
_BOUNDS: Final = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 21)


@dataclass(frozen=True)
class Asking:
    """By which rules calls need a person; patterns are compiled.

    ``required``: tools of which every call does, whatever they declare.
    """

    rules: tuple[tuple[OversightRule, frozenset[str]], ...] = ()
    on_deny: OnDeny = OnDeny.TELL
    patterns: Mapping[str, Callable[[str], bool]] = field(default_factory=dict)
    required: Collection[str] = ()

    def ask(self, tool: Tool, given: Mapping[str, Any]) -> Ask | None:
        """Why a call needs a person, and whose word it takes; None where it needs nobody.

        Where several rules ask, all are told, each one's groups must agree, and the larger number
        of people counts; an approval is remembered where all of them allow that.
        """
        asks = [*self._by_tool(tool, given), *self._by_rules(tool, given)]
        if tool.name in self.required:
            asks.append(Ask("restrictions.requireApproval names it"))
        if not asks:
            return None
        approvers = dict.fromkeys(groups for ask in asks for groups in ask.approvers)
        most = max(ask.min_approvals for ask in asks)
        planned = any(ask.planned for ask in asks)
        sign_in = any(ask.sign_in for ask in asks)
        kept = (
            tuple(one for ask in asks for one in ask.kept) if all(ask.kept for ask in asks) else ()
        )
        why = "; ".join(ask.why for ask in asks)
        return Ask(why, tuple(approvers), most, planned, sign_in, kept)

    def _by_tool(self, tool: Tool, given: Mapping[str, Any]) -> list[Ask]:
        match tool.approval_mode:
            case ApprovalMode.NONE:
                return []
            case ApprovalMode.ALWAYS:
                return [Ask(_why_always(tool))]
            case ApprovalMode.WHEN:
                rules = tool.approval.rules if tool.approval else []
                fitting = ((rule, self._fits(rule, given)) for rule in rules)
                return [
                    _ask(rule, why, kept=_of_argument(rule, given)) for rule, why in fitting if why
                ]

    def _by_rules(self, tool: Tool, given: Mapping[str, Any]) -> list[Ask]:
        asks = []
        for rule, tools in self.rules:
            if tool.name not in tools:
                continue
            held = sensitive.found(given, rule.contains)
            named = f"rule {rule.name} of the Agent's oversight"
            if held:
                kinds = ", ".join(held)
                why = f"{named} asks where the arguments hold {kinds}"
                kept = _kept(rule, f"rule {rule.name}, the arguments hold {kinds}", kinds)
                asks.append(_ask(rule, why, planned=False, kept=kept))
            elif not rule.contains:
                kept = _kept(rule, f"rule {rule.name}")
                asks.append(_ask(rule, f"{named} names it", kept=kept))
        return asks

    def _fits(self, rule: ApprovalRule, given: Mapping[str, Any]) -> str:
        """Why a rule asks; empty where it does not."""
        found, name = arguments.found(given, rule.argument), rule.argument
        if found is arguments.ABSENT:
            return f"its argument {name} is absent"
        if rule.above is not None:
            number = arguments.number(found)
            if number is None:
                return f"its argument {name} is no number"
            return (
                f"its argument {name} is above {rule.above}" if number > Decimal(rule.above) else ""
            )
        if not isinstance(found, str):
            return f"its argument {name} is no text"
        if rule.contains is not None:
            return (
                f"its argument {name} contains {rule.contains!r}" if rule.contains in found else ""
            )
        pattern = rule.pattern or ""
        return f"its argument {name} fits {pattern!r}" if self.patterns[pattern](found) else ""


class Unasked(Asking):
    """By which no call needs a person but for a restriction's sake, whatever its tool declares."""

    def ask(self, tool: Tool, given: Mapping[str, Any]) -> Ask | None:
        """See ``Asking.ask``."""
        return super().ask(tool, given) if tool.name in self.required else None


NOBODY: Final = Asking()
UNASKED: Final = Unasked()


def asking(
    tools: Sequence[Tool], overseen: Oversight | None, required: Collection[str] = ()
) -> Asking:
    """The rules of a template, compiled.

    Raises:
        InvalidResource: a pattern cannot be used; the message says which.
    """
    rules = overseen.rules if overseen else []
    told = tuple((rule, _named(rule.tool_pattern, tools)) for rule in rules)
    patterns = {
        rule.pattern: _compiled(rule.pattern, rule.pattern)
        for tool in tools
        for rule in (tool.approval.rules if tool.approval else ())
        if rule.pattern is not None
    }
    on_deny = overseen.on_deny if overseen else OnDeny.TELL
    return Asking(told, on_deny, patterns, frozenset(required))


def _named(pattern: str | None, tools: Sequence[Tool]) -> frozenset[str]:
    """The tools that a rule is about."""
    if pattern is None:
        return frozenset(tool.name for tool in tools)
    fits = _compiled(f"^(?:{pattern})$", pattern)
    return frozenset(tool.name for tool in tools if fits(tool.name))


def _ask(
    rule: ApprovalRule | OversightRule,
    why: str,
    *,
    planned: bool = True,
    kept: tuple[Kept, ...] = (),
) -> Ask:
    groups = (tuple(rule.approvers),) if rule.approvers else ()
    return Ask(why, groups, rule.min_approvals, planned, rule.sign_in is not None, kept)


def _of_argument(rule: ApprovalRule, given: Mapping[str, Any]) -> tuple[Kept, ...]:
    """What an approval of this call would be remembered for; nothing where the argument is not what the rule compares."""
    found, name = arguments.found(given, rule.argument), rule.argument
    if rule.above is None:
        held = f"contains {rule.contains!r}" if rule.contains else f"fits {rule.pattern!r}"
        return _kept(rule, f"{name} {held}") if isinstance(found, str) else ()
    number = arguments.number(found)
    amount = "" if number is None else f"{number:f}"
    if not 0 < len(amount) <= _LONGEST_AMOUNT:
        return ()
    return _kept(rule, f"{name} above {rule.above}, each at most {amount}", most=amount)


def _kept(
    rule: ApprovalRule | OversightRule, words: str, kinds: str = "", most: str = ""
) -> tuple[Kept, ...]:
    if rule.remember is not Remember.SESSION:
        return ()
    said = canonical([rule.model_dump(mode="json"), kinds])
    return (Kept(hashlib.sha256(said.encode()).hexdigest()[:32], most, words),)


def _why_always(tool: Tool) -> str:
    if tool.approval:
        return "its approval.mode is Always"
    return (
        "its effect is Irreversible, as is that of a tool which declares none: declare effect: "
        "ReadOnly where it changes nothing, or approval: {mode: None} where nobody need be asked"
    )


def _compiled(pattern: str, declared: str) -> Callable[[str], bool]:
    """A pattern for an engine without back-tracking: linear time on any text."""
    try:
        check = jsonschema_rs.validator_for(
            {"type": "string", "pattern": pattern}, pattern_options=_BOUNDS, offline=True
        )
    except ValueError as error:
        first = str(error).partition("\n")[0]
        raise errors.InvalidResource(f"the pattern {declared!r} cannot be used: {first}") from error
    return check.is_valid
