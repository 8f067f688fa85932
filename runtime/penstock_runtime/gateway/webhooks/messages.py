"""What a target is told of an escalation, as it leaves the gateway."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from penstock.escalation import Escalation
from penstock_runtime.gateway import plain, wire
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.webhooks import signing, template
from penstock_runtime.gateway.webhooks.targets import Target
from penstock_store.outbox import Delivery

_ID_CHARACTERS: Final = 32
_FIXED: Final = {"Content-Type": "application/json", "User-Agent": "penstock"}


@dataclass(frozen=True)
class Message:
    """A body, the address it goes to, and its headers."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def delivery_id(delivery: Delivery, found: Escalation) -> str:
    """The same for each attempt at a delivery, and for no other one.

    A call that is asked for once more has the id that it had, and is another question.
    """
    named = f"{delivery.kind}\n{delivery.target}\n{delivery.escalation}\n{found.asked_ms}"
    return hashlib.sha256(named.encode()).hexdigest()[:_ID_CHARACTERS]


def document(
    delivery: Delivery, found: Escalation, link: Mapping[str, str] | None, installation: str
) -> dict[str, Any]:
    """A message as it is without a body of the target's own: an escalation as a list shows it."""
    shown = wire.escalation_document(found, tenant=True)
    return {
        "event": delivery.kind,
        "delivery": delivery_id(delivery, found),
        "installation": installation,
        "escalation": {name: template.bounded(value) for name, value in shown.items()},
        "command": f"penstock escalations show {found.id}",
        "link": link,
    }


def message(
    delivery: Delivery,
    found: Escalation,
    target: Target,
    links: Links | None,
    installation: str,
    now_seconds: int,
) -> Message:
    """A message, signed at this moment. Its link, where the target names an approver, is for him.

    Raises:
        SecretUnusable: the target's Secret, or that of links, lacks something.
    """
    link = None
    if links and target.approver and found.status == "Open":
        link = links.document(found, delivery.target, target.approver)
    told = document(delivery, found, link, installation)
    body = plain.encoded(told if target.body is None else template.filled(target.body, told))
    keys = signing.keys_in(target.secret, "signing-key")
    headers = {
        **_FIXED,
        "Penstock-Event": delivery.kind,
        "Penstock-Delivery": delivery_id(delivery, found),
        signing.TIMESTAMP: str(now_seconds),
        signing.SIGNATURE: signing.signature(keys, now_seconds, body),
    }
    if authorization := signing.word_in(target.secret, "authorization"):
        headers["Authorization"] = authorization
    path = signing.word_in(target.secret, "path")
    joined = f"{target.url.rstrip('/')}/{path.lstrip('/')}" if path else target.url
    return Message(joined, headers, body)
