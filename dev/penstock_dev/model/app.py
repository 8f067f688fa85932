"""The HTTP face of the fake Messages server: a bare ASGI application, so that it stays fast."""

import asyncio
import itertools
import json
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from penstock_dev.model import (
    chance,
    conversation,
    faults,
    journal,
    models,
    reply,
    script,
    validate,
    wire,
)

LARGEST_BODY_BYTES = 32 * 1024 * 1024
ORGANIZATION_ID = "00000000-0000-4000-8000-000000000000"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

_JSON = ("content-type", "application/json")
_EVENTS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


@dataclass
class Settings:
    """How strict the server is about keys: `required_key` None takes anyone, "" any key, a text only that key."""

    required_key: str | None = None


@dataclass(frozen=True)
class Call:
    """One HTTP request with everything needed to answer it."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    headers: dict[bytes, bytes]


class App:
    """The server's state and routes. One instance serves one event loop."""

    def __init__(self, seed: int, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.draws = chance.Draws(seed)
        self.journal = journal.Journal()
        self._serials = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        call = Call(scope, receive, send, f"req_011{next(self._serials):021x}", dict(scope["headers"]))
        try:
            await self._route(call)
        except faults.Rejected as rejected:
            await _fail(call, rejected.fault)

    async def _route(self, call: Call) -> None:
        path = call.scope["path"]
        match path:
            case "/healthz":
                return await _respond(call, 200, {"status": "ok"})
            case "/admin/journal" | "/admin/reset" | "/admin/seed":
                return await self._admin(call, path)
        _, found, rest = path.rpartition("/v1/")
        rest = rest.rstrip("/") if found else ""
        handlers = {
            "messages": ("POST", self._messages),
            "messages/count_tokens": ("POST", self._count_tokens),
            "models": ("GET", self._models),
        }
        one_model = rest.startswith("models/")
        if rest not in handlers and not one_model:
            raise faults.Rejected(404, "Not found")
        method, handler = handlers.get(rest) or ("GET", self._models)
        if call.scope["method"] != method:
            raise faults.Rejected(405, "Method Not Allowed")
        self._authenticate(call)
        await handler(call)

    def _authenticate(self, call: Call) -> None:
        required = self.settings.required_key
        bearer = call.headers.get(b"authorization", b"").decode("latin-1")
        key = call.headers.get(b"x-api-key", b"").decode("latin-1") or bearer.removeprefix("Bearer ").strip()
        if required is not None and (not key or (required and key != required)):
            raise faults.Rejected(401, "invalid x-api-key" if key else "x-api-key header is required")
        if not call.headers.get(b"anthropic-version"):
            raise faults.Rejected(400, "anthropic-version: header is required")

    async def _messages(self, call: Call) -> None:
        request = await _json_body(call)
        validate.messages_request(request)
        system = conversation.system_text(request)
        try:
            scripted = script.parse(system)
        except script.ScriptError as error:
            raise faults.Rejected(400, str(error)) from error
        answer = self._decide(call, request, system, scripted)
        if scripted.latency_ms:
            await asyncio.sleep(scripted.latency_ms / 1000)
        match answer:
            case faults.Fault():
                await _fail(call, answer)
            case reply.Garbage():
                await _garbage(call, request)
            case reply.Reply() if request.get("stream"):
                await self._stream(call, answer, scripted)
            case reply.Reply():
                await _respond(call, 200, wire.message(answer, self._message_id(), scripted.omit_usage))

    def _decide(self, call: Call, request: dict[str, Any], system: str, scripted: script.Script) -> reply.Answer:
        prompt = script.prompt_digest(system)
        task = conversation.current_task(request["messages"])
        drawn = self.draws.take(prompt) if task.drawn is None else task.drawn
        answer = reply.decide(
            request,
            scripted,
            chance.fate(scripted, drawn),
            task,
            lambda: conversation.tool_use_id(drawn, next(self._serials)),
        )
        self._record(call, request, system, answer, drawn)
        return answer

    def _record(self, call: Call, request: dict[str, Any], system: str, answer: reply.Answer, drawn: int) -> None:
        small = int(call.headers.get(b"content-length", b"0")) <= journal.LARGEST_KEPT_BODY_BYTES
        entry = journal.Entry(
            at=time.time(),
            request_id=call.request_id,
            path=call.scope["path"],
            model=request["model"],
            prompt=script.prompt_digest(system),
            outcome=_outcome(answer),
            stream=bool(request.get("stream")),
            drawn=drawn,
            body=request if small else None,
        )
        self.journal.record(entry, system)

    def _message_id(self) -> str:
        return f"msg_01{next(self._serials):022x}"

    async def _stream(self, call: Call, answer: reply.Reply, scripted: script.Script) -> None:
        events = wire.events(
            answer, self._message_id(), call.request_id, scripted.unknown_events, scripted.omit_usage
        )
        await _start(call, 200, _EVENTS)
        await _body(call, b"".join(events))

    async def _count_tokens(self, call: Call) -> None:
        request = await _json_body(call)
        validate.count_request(request)
        await _respond(call, 200, {"input_tokens": conversation.input_tokens(request)})

    async def _models(self, call: Call) -> None:
        name = call.scope["path"].rstrip("/").rpartition("/v1/models")[2].removeprefix("/")
        if not name:
            query = dict(urllib.parse.parse_qsl(call.scope["query_string"].decode("latin-1")))
            limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 20
            return await _respond(call, 200, models.page(limit, query.get("after_id"), query.get("before_id")))
        if name not in models.KNOWN:
            raise faults.Rejected(404, f"model: {name}")
        await _respond(call, 200, models.as_json(models.KNOWN[name]))

    async def _admin(self, call: Call, path: str) -> None:
        method = call.scope["method"]
        if method != ("GET" if path == "/admin/journal" else "POST"):
            raise faults.Rejected(405, "Method Not Allowed")
        match path:
            case "/admin/journal":
                query = dict(urllib.parse.parse_qsl(call.scope["query_string"].decode("latin-1")))
                last = int(query["last"]) if query.get("last", "").isdecimal() else 20
                return await _respond(call, 200, {"seed": self.draws.seed} | self.journal.as_json(last))
            case "/admin/reset":
                self.reset(self.draws.seed)
            case "/admin/seed":
                self.reset(_seed(await _json_body(call)))
        await _respond(call, 200, {"seed": self.draws.seed})

    def reset(self, seed: int) -> None:
        """Forget every request and start all sequences anew from a seed."""
        self.draws = chance.Draws(seed)
        self.journal = journal.Journal()


def _seed(document: Any) -> int:
    seed = document.get("seed") if isinstance(document, dict) else None
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise faults.Rejected(400, "seed: Input should be a valid integer")
    return seed


def _outcome(answer: reply.Answer) -> str:
    match answer:
        case faults.Fault(status=status):
            return f"error {status}"
        case reply.Garbage():
            return "garbage"
        case reply.Reply(ending="complete"):
            return answer.stop_reason
        case reply.Reply():
            return answer.ending


async def _json_body(call: Call) -> Any:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        event = await call.receive()
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY_BYTES:
            raise faults.Rejected(413, "Request exceeds the maximum allowed number of bytes.")
        chunks.append(chunk)
        more = event.get("more_body", False)
    try:
        return json.loads(b"".join(chunks).decode())
    except (ValueError, RecursionError) as error:
        raise faults.Rejected(400, f"The request body is not valid JSON: {error}") from error


async def _fail(call: Call, fault: faults.Fault) -> None:
    if fault.status == 502:
        await _start(call, 502, (("content-type", "text/html"), *fault.headers), len(faults.HTML_BAD_GATEWAY))
        return await _body(call, faults.HTML_BAD_GATEWAY)
    await _respond(call, fault.status, faults.body(fault, call.request_id), fault.headers)


async def _garbage(call: Call, request: dict[str, Any]) -> None:
    if request.get("stream"):
        await _start(call, 200, _EVENTS)
        return await _body(call, wire.GARBAGE_STREAM)
    await _start(call, 200, (_JSON,), len(wire.GARBAGE_BODY))
    await _body(call, wire.GARBAGE_BODY)


async def _respond(call: Call, status: int, document: dict[str, Any], headers: Headers = ()) -> None:
    encoded = wire.encode(document)
    await _start(call, status, (_JSON, *headers), len(encoded))
    await _body(call, encoded)


async def _start(call: Call, status: int, headers: Headers, length: int | None = None) -> None:
    sent = [(name.encode(), value.encode()) for name, value in headers]
    sent.append((b"request-id", call.request_id.encode()))
    sent.append((b"anthropic-organization-id", ORGANIZATION_ID.encode()))
    if length is not None:
        sent.append((b"content-length", str(length).encode()))
    await call.send({"type": "http.response.start", "status": status, "headers": sent})


async def _body(call: Call, body: bytes) -> None:
    await call.send({"type": "http.response.body", "body": body})
