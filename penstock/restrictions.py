"""What restrictions make of a template, and how a route carries them to the workers."""

import hashlib
import json
from typing import Final

from penstock.api.agent import AgentTemplate, Limits
from penstock.api.fields import micro_usd
from penstock.api.restrictions import NO_RESTRICTIONS, Restrictions

_MARK_DIGITS: Final = 16


class TightenedLimits(Limits):
    """Limits of which a restriction has lowered the cost."""


def tightened(template: AgentTemplate, by: Restrictions) -> AgentTemplate:
    """A template with the lower of both costs of a task."""
    most = by.max_cost_usd_per_task
    if most is None or micro_usd(most) >= micro_usd(template.limits.cost_usd):
        return template
    limits = TightenedLimits.model_construct(**{**dict(template.limits), "cost_usd": most})
    return template.model_copy(update={"limits": limits})


def shown(by: Restrictions) -> str:
    """Restrictions as people read them, those alone that are declared."""
    said = (
        f"{field} {', '.join(value) if isinstance(value, list) else value}"
        for field, value in by.wire().items()
        if value
    )
    return "; ".join(said)


# --------------------------------------------------------------------------- as routes carry them


def written(restrictions: Restrictions) -> str:
    """Restrictions as a route carries them, "<mark> <JSON>"; empty where there are none."""
    if not restrictions:
        return ""
    text = json.dumps(restrictions.wire(), sort_keys=True, separators=(",", ":"))
    return f"{hashlib.sha256(text.encode()).hexdigest()[:_MARK_DIGITS]} {text}"


def read(text: str) -> tuple[str, Restrictions]:
    """The mark, and the restrictions of what ``written`` made.

    Raises:
        ValueError: it is nothing of the kind.
    """
    mark, _, document = text.partition(" ")
    return mark, Restrictions.model_validate_json(document) if mark else NO_RESTRICTIONS
