"""Names that a declaration mentions and nothing has: most are a slip of the pen, and would do nothing in silence.

What can never be right is refused where a revision is cut. The rest is told while it is served: a
rule may be written before the tool that it is about, and a brake may name what only another
revision has.
"""

import difflib
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from penstock.api import patternfits
from penstock.api.agent import AgentTemplate
from penstock.api.harm import Harm
from penstock.api.oversight import HANDOVER
from penstock.api.restrictions import Restrictions
from penstock.api.tool import Tool

_MOST_SHOWN: Final = 8
_LONGEST_SHOWN: Final = 64
_MAX_AMOUNT: Final = "analysis.harm.maxAmount.tool of the AgentRollout"
#: Parts of a schema by which there may be properties that it does not list.
_OPEN: Final = frozenset(
    (
        "$ref",
        "allOf",
        "anyOf",
        "oneOf",
        "if",
        "patternProperties",
        "dependentSchemas",
        "$dynamicRef",
    )
)


def undone_by_nobody(tools: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Tools whose compensation is a call of a tool that is not there: each one's name, and what to write.

    Args:
        tools: as the API server stores them.
    """
    declared = [*tools]
    names = [str(tool.get("name", "")) for tool in declared]
    for tool, name in zip(declared, names, strict=True):
        wanted = (tool.get("compensate") or {}).get("tool")
        if isinstance(wanted, str) and wanted not in names:
            told = f"compensate.tool is {_short(wanted)}, and spec.template declares no such tool"
            yield name, told + known(wanted, names)


def of_template(template: AgentTemplate) -> Iterator[str]:
    """What a template mentions in vain, each in a sentence without its end."""
    names = tuple(tool.name for tool in template.tools)
    for place, rule in enumerate(template.oversight.rules if template.oversight else ()):
        if rule.tool_pattern is not None and _fits_none(rule.tool_pattern, names):
            yield (
                f"spec.template.oversight.rules[{place}].toolPattern {_short(rule.tool_pattern)} fits no "
                f"tool, so that rule {rule.name} asks nobody{known(rule.tool_pattern, names)}"
            )
    for tool in template.tools:
        yield from _of_tool(tool, {other.name: other for other in template.tools})


def of_restrictions(by: Restrictions, templates: Collection[AgentTemplate]) -> Iterator[str]:
    """What restrictions mention that none of these templates has."""
    if not templates:
        return
    tools = {tool.name for template in templates for tool in template.tools}
    if any(template.oversight and template.oversight.handover for template in templates):
        tools.add(HANDOVER)
    models = {model.name for template in templates for model in template.model.asked}
    models |= {tier.model for template in templates for tier in template.tiers}
    for field, mentioned, there, kind in (
        ("denyTools", by.deny_tools, tools, "tool"),
        ("requireApproval", by.require_approval, tools, "tool"),
        ("denyModels", by.deny_models, models, "model"),
    ):
        for name in mentioned:
            if name not in there:
                yield (
                    f"spec.restrictions.{field} names {_short(name)}, and no revision that is served has such a "
                    f"{kind}{known(name, there)}"
                )


def of_harm(harm: Harm | None, template: AgentTemplate) -> str:
    """Why the amounts of a limit cannot be counted with a template; empty where they can."""
    amount = harm.max_amount if harm else None
    names = [tool.name for tool in template.tools]
    if amount is None or amount.tool in names:
        return unpriced(harm, template)
    told = (
        f"{_MAX_AMOUNT} is {_short(amount.tool)}, and no such tool is declared: nothing is counted"
    )
    return told + known(amount.tool, names)


def unpriced(harm: Harm | None, template: AgentTemplate) -> str:
    """Why a limit can never count what the calls of a tool are worth that is there; empty where it can."""
    amount = harm.max_amount if harm else None
    if amount is None:
        return ""
    silent = [tool.name for tool in template.tools if tool.amount_from is None]
    if amount.tool not in silent:
        return ""
    return (
        f"{_MAX_AMOUNT} is {amount.tool}, and that tool has no amountFrom, so that nothing says what a call is "
        "worth: declare it, or take maxAmount out"
    )


def known(name: str, names: Collection[str]) -> str:
    """What there is instead of a name, and which of it may have been meant: the end of a sentence."""
    if not names:
        return " (there is none)"
    shown = ", ".join(_short(one) for one in sorted(names)[:_MOST_SHOWN])
    more = ", …" if len(names) > _MOST_SHOWN else ""
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f" (there is: {shown}{more})" + (f"; did you mean {_short(near[0])}?" if near else "")


def _of_tool(tool: Tool, tools: Mapping[str, Tool]) -> Iterator[str]:
    own = f'tool "{tool.name}": '
    for place, rule in enumerate(tool.approval.rules if tool.approval else ()):
        if told := _no_argument(rule.argument, tool):
            yield f"{own}approval.rules[{place}].argument {told}; a call without it asks a person"
    if tool.amount_from and (told := _no_argument(tool.amount_from, tool)):
        yield f"{own}amountFrom {told}"
    if tool.compensate is None:
        return
    undoes = tools.get(tool.compensate.tool)
    for name, source in tool.compensate.arguments.items():
        whose, _, path = source.partition(".")
        if whose == "arguments" and (told := _no_argument(path, tool)):
            yield f"{own}compensate.arguments {_short(name)} comes from what {told}"
        if undoes and (told := _no_argument(name, undoes)):
            yield f"{own}compensate.arguments {told} (of {undoes.name})"


def _no_argument(path: str, tool: Tool) -> str:
    """What is said of a path that leads to no argument in a tool's schema; empty where it does, or may."""
    schema: Any = tool.input_schema
    if path in _properties(schema):
        return ""  # a name with dots in it
    for name in path.split("."):
        listed = _properties(schema)
        if not listed or name in listed:
            schema = listed.get(name)
            continue
        return f"is {_short(path)}, and inputSchema lists no {_short(name)}{known(name, listed)}"
    return ""


def _properties(schema: Any) -> Mapping[str, Any]:
    """What a schema lists; nothing where there may be others, as far as it tells."""
    if not isinstance(schema, Mapping) or _OPEN & schema.keys():
        return {}
    listed = schema.get("properties")
    return listed if isinstance(listed, Mapping) else {}


@functools.lru_cache(maxsize=512)  # the same ones are seen at each pass
def _fits_none(pattern: str, names: tuple[str, ...]) -> bool:
    """Whether it fits none of them for sure."""
    return all(patternfits.fits(pattern, name) is False for name in names)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
