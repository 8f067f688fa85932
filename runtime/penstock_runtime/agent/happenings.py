"""What is told of a task while it runs: its events."""

from typing import Final

from penstock.api.agent import AgentTemplate
from penstock.money.prices import usd
from penstock_runtime import redaction
from penstock_runtime.agent import remembered
from penstock_runtime.agent.keeper import Event
from penstock_runtime.agent.models.model import Charge, Reply
from penstock_runtime.agent.remembered import Earlier
from penstock_runtime.agent.transcript import ToolUse

_EVENT_TEXT_CHARACTERS: Final = 4000


def answered(template: AgentTemplate, tier: str, answer: Reply, spent: Charge) -> Event:
    """A call that was answered; ``spent`` is what that took, attempts before it included.

    Who answered is told where it may have been another one than declared first.
    """
    who: dict[str, object] = (
        {"model": answer.by.model} if template.model.fallbacks or template.tiers else {}
    )
    if tier:
        who["tier"] = tier
    if answer.cached:
        who["cached"] = True
    texts = (block["text"] for block in answer.content if block["type"] == "text")
    return "model", {
        "stopReason": answer.stop_reason,
        "text": redaction.redact("".join(texts))[:_EVENT_TEXT_CHARACTERS],
        "inputTokens": answer.tokens.input,
        "cachedInputTokens": answer.tokens.cache_read,
        "outputTokens": answer.tokens.output,
        "costUSD": usd(answer.charge.cost_micro_usd),
        "stepCostUSD": usd(spent.cost_micro_usd),
        "attempts": spent.attempts,
        **who,
    }


def called(call: ToolUse, *, ok: bool, wall_ms: int, by: Earlier | None = None) -> Event:
    """A call of a tool, or one that was not carried out; ``by`` which earlier approval one was made last."""
    said = {"name": call.name, "ok": ok, "wallSeconds": wall_ms / 1000}
    return "tool", said | remembered.told(by, call.place)
