"""The pages that a link leads to: plain HTML, without a script, that nobody keeps or frames."""

import base64
import hashlib
from html import escape
from typing import Any, Final

from starlette.responses import Response

from penstock import names
from penstock.escalation import Escalation, EscalationStatus
from penstock.money.prices import usd
from penstock_runtime.gateway import plain, wire
from penstock_runtime.gateway.problems import Problem

MOST_SHOWN: Final = 65_536  # characters of the arguments, and of what was written before
_STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#111;"
    "background:#fff}dt{font-weight:bold}dd{margin:0 0 .75rem}pre{white-space:pre-wrap;"
    "overflow-wrap:anywhere;background:#f2f2f2;padding:.5rem}label{display:block;font-weight:bold}"
    "textarea{width:100%;font:inherit;box-sizing:border-box}"
    "button{font:inherit;padding:.5rem 1.5rem;margin:.5rem 1rem .5rem 0}"
    ".doubt{border-left:.5rem solid #a00000;padding-left:1rem}"
)
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
}


def question(found: Escalation, person: str, why_not: str) -> Response:
    """What a person is asked, with a form; without one where a link does not decide: ``why_not``."""
    if found.status is not EscalationStatus.OPEN:
        return decided(found)
    title = f"{found.agent}: {found.tool} waits for a decision"
    parts = [_call(found)]
    if found.doubt:
        parts.append(
            f'<p class="doubt" role="note"><strong>It may have been made already.</strong> What became of it '
            f"{_said(found.doubt)} is lost. Ask the tool's service before you approve.</p>"
        )
    parts.append(_elsewhere(found, why_not) if why_not else _form(found, person))
    return _page(title, "".join(parts), 200)


def decided(found: Escalation) -> Response:
    """What was decided; the same page however often the link is opened."""
    who = " and ".join(found.decided_by) or "time"
    words = "its task has ended" if found.status is EscalationStatus.VOID else f"by {who}"
    title = f"{found.agent}: {found.tool} is {found.status.value.lower()}"
    body = f"<p>{_said(found.status.value)}: {_said(words)}.</p>{_call(found)}"
    return _page(title, body, 200)


def refusal(problem: Problem) -> Response:
    """Why a link does nothing, as a page."""
    return _page(problem.kind.title, f"<p>{_said(problem.detail)}</p>", problem.kind.status)


def _call(found: Escalation) -> str:
    document = wire.escalation_document(found, tenant=False, whole=True)
    rows = {
        "Tool": found.tool,
        "Why you are asked": found.ask.why,
        "For the user": found.user,
        "In the session": found.session,
        "Submitted by": found.submitter,
        "Revision": names.revision_name(found.agent.name, found.revision)
        + (", a preview, whose calls are really made" if found.preview else ""),
        "What the task has cost so far": f"{usd(found.usage.cost_micro_usd)} USD",
        "Time decides at": f"{wire.timestamp(found.deadline_ms)}: {found.on_timeout.value}",
        "Escalation": found.id,
    }
    told = "".join(f"<dt>{name}</dt><dd>{_said(text)}</dd>" for name, text in rows.items() if text)
    changed = document["changedArguments"]
    shown = _block("Arguments", document["arguments"])
    more = "" if changed is None else _block("Arguments that a person has put forward", changed)
    return f"<dl>{told}</dl>{shown}{more}{_conversation(document['conversation'])}"


def _block(title: str, value: Any) -> str:
    text = value if isinstance(value, str) else plain.encoded(value).decode()
    return f"<h2>{title}</h2><pre>{_said(plain.shortened(text, MOST_SHOWN))}</pre>"


def _conversation(said: Any) -> str:
    if not isinstance(said, list) or not said:
        return ""
    lines = [
        f"{one.get('role', '')}: {one.get('text', '')}" for one in said if isinstance(one, dict)
    ]
    text = plain.shortened("\n\n".join(lines), MOST_SHOWN)
    return f"<h2>What was written before</h2><pre>{_said(text)}</pre>"


def _form(found: Escalation, person: str) -> str:
    # The digest is that of the call on this page: where another one stands here by then, nothing is decided.
    digest = f'<input type="hidden" name="digest" value="{_said(found.digest)}">'
    return (
        f"<h2>Decide</h2><p>You decide as <strong>{_said(person)}</strong>. It is decided once.</p>"
        f'<form method="post">{digest}<label for="note">Note (of a denied call the model reads it)</label>'
        '<textarea id="note" name="note" rows="3" maxlength="4096"></textarea>'
        f"{_remember(found)}"
        '<button name="decision" value="Approve">Approve: the call is made</button>'
        '<button name="decision" value="Deny">Deny: it is not made</button></form>'
        f'<form method="post">{digest}<label for="answer">Or answer in its place: the model reads it as the result</label>'
        '<textarea id="answer" name="answer" rows="3" maxlength="65536" required></textarea>'
        '<button name="decision" value="Answer">Answer: the call is not made</button></form>'
    )


def _remember(found: Escalation) -> str:
    """A box, not ticked, by which an approval holds for further calls too; nothing where none may."""
    if not found.remembers:
        return ""
    return (
        '<label><input type="checkbox" name="remember" value="Session"> With Approve: also further calls of '
        f"{_said(found.tool)} in this session, without asking again, however many: {_said(found.remembers)}</label>"
    )


def _elsewhere(found: Escalation, why_not: str) -> str:
    commands = "\n".join(
        f"penstock escalations {word} {found.id} --token TOKEN" for word in ("approve", "deny")
    )
    return f"<h2>Decide</h2><p>{_said(why_not)} In a terminal:</p><pre>{_said(commands)}</pre>"


def _said(text: str) -> str:
    return escape(plain.text(text), quote=True)


def _page(title: str, body: str, status: int) -> Response:
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_said(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{_said(title)}</h1>{body}</main></body></html>\n"
    )
    return Response(content, status, HEADERS, media_type="text/html")
