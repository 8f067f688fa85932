"""Links with which one named person decides on one call: signed, and good for a while.

A link carries ids and a time, and nothing of the call. Whom it was made for is part of what is
signed: where the chart names another person, or other groups, it opens nothing any more.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.errors import PenstockError
from penstock.escalation import Escalation
from penstock_runtime.gateway import wire
from penstock_runtime.gateway.webhooks import signing
from penstock_runtime.gateway.webhooks.targets import Approver, Targets

PATH: Final = "/v1/links/"
LONGEST_TOKEN: Final = 640
LONGEST_SECONDS: Final = 604_800
_KEY: Final = "link-key"
_ABOUT: Final = "penstock link 1"


class LinkInvalid(PenstockError):
    """No link of ours, or one for a person whom the chart does not name any more."""


class LinkExpired(PenstockError):
    """A link whose time is over."""


@dataclass(frozen=True)
class Opened:
    """What a link is for: a call, when it was asked for, and the person."""

    escalation: str
    asked_ms: int
    approver: Approver


@dataclass(frozen=True)
class Links:
    """Makes links and opens them. ``secret``: a folder with ``link-key``, maybe ``former-link-key``."""

    url: str
    secret: Path
    seconds: int

    def document(self, found: Escalation, target: str, approver: Approver) -> Mapping[str, str]:
        """A link for the approver of a target, the same each time. It ends with the question at the latest.

        Raises:
            SecretUnusable: there is no key to sign with.
        """
        ends = min(found.asked_ms // 1000 + self.seconds, found.deadline_ms // 1000)
        said = _encoded("\n".join((found.id, target, str(found.asked_ms), str(ends))).encode())
        key, *_ = signing.keys_in(self.secret, _KEY)
        token = f"{said}.{_encoded(_signature(key, said, approver))}"
        return {
            "url": f"{self.url.rstrip('/')}{PATH}{token}",
            "approver": approver.user,
            "expiresAt": wire.timestamp(ends * 1000),
        }

    def opened(self, token: str, targets: Targets, now_seconds: float) -> Opened:
        """What a link is for.

        Raises:
            LinkInvalid: it is none of ours.
            LinkExpired: its time is over.
            SecretUnusable: there is no key to tell by.
        """
        said, _, signature = token.partition(".")
        try:
            identifier, name, asked, ends = _decoded(said).decode().split("\n")
            given, asked_ms, until = _decoded(signature), int(asked), int(ends)
        except ValueError:  # UnicodeDecodeError and binascii.Error are such
            raise LinkInvalid("it has not the form of a link") from None
        approver = targets[name].approver if name in targets else None
        if approver is None:
            raise LinkInvalid("its target names no approver")
        keys = signing.keys_in(self.secret, _KEY)
        if not any(hmac.compare_digest(given, _signature(key, said, approver)) for key in keys):
            raise LinkInvalid("its signature is not ours")
        if now_seconds >= until:
            raise LinkExpired("its time is over")
        return Opened(identifier, asked_ms, approver)


def _signature(key: bytes, said: str, approver: Approver) -> bytes:
    about = json.dumps([_ABOUT, said, approver.user, approver.groups])
    return hmac.new(key, about.encode(), hashlib.sha256).digest()


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    if len(text) > LONGEST_TOKEN or not text.isascii():
        raise binascii.Error("it is too long, or no text of ours")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
