"""The routes of the fake Messages server: a bare ASGI application, so that it stays fast."""

import asyncio
import dataclasses
import itertools
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from penstock_dev.model import (
    caches,
    chance,
    conversation,
    delivery,
    exchange,
    faults,
    journal,
    models,
    ratelimit,
    reply,
    script,
    validate,
    wire,
)

VERSIONS = frozenset({"2023-01-01", "2023-06-01", "2026-10-21"})
KEY_MARK = "{key}"  # in a scripted error message: the key that the request came with


@dataclass(frozen=True)
class Settings:
    """How strict the server is.

    `required_key`: None takes requests without a key, "" wants any key, other texts want that key.
    """

    required_key: str | None = None
    limits: ratelimit.Limits = field(default_factory=ratelimit.Limits)


class App:
    """The server's state and routes. One instance serves one event loop."""

    def __init__(self, seed: int, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._serials = itertools.count(1)
        self._routes = {
            "messages": ("POST", self._messages),
            "messages/count_tokens": ("POST", self._count_tokens),
            "models": ("GET", self._list_models),
        }
        self._reset(seed)

    async def __call__(
        self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send
    ) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request_id = f"req_011{next(self._serials):021x}"
        call = exchange.Exchange(scope, receive, send, request_id, dict(scope["headers"]))
        try:
            await self._route(call)
        except faults.Rejected as rejected:
            await exchange.fail(call, rejected.fault)

    async def _route(self, call: exchange.Exchange) -> None:
        path = call.scope["path"]
        if path == "/healthz":
            await exchange.respond(call, 200, {"status": "ok"})
        elif path.startswith("/admin/"):
            await self._admin(call, path.removeprefix("/admin/"))
        else:
            await self._api(call, path)

    async def _api(self, call: exchange.Exchange, path: str) -> None:
        _, found, rest = path.rpartition("/v1/")
        rest = rest.rstrip("/") if found else ""
        model_name = rest.removeprefix("models/") if rest.startswith("models/") else None
        method, handler = self._routes.get(rest, ("GET", None))
        if handler is None and model_name is None:
            raise faults.Rejected(404, "Not found")
        _check_method(call, method)
        self._check_headers(call)
        if handler is not None:
            await handler(call)
        elif model_name in models.KNOWN:
            await exchange.respond(call, 200, models.as_json(models.KNOWN[model_name]))
        else:
            raise faults.Rejected(404, f"model: {model_name}")

    def _check_headers(self, call: exchange.Exchange) -> None:
        required = self._settings.required_key
        key = _key(call)
        if required is not None and not key:
            raise faults.Rejected(401, "x-api-key header is required")
        if (required and key != required) or not _is_a_key(key):
            raise faults.Rejected(401, "invalid x-api-key")
        version = call.header(b"anthropic-version")
        if not version:
            raise faults.Rejected(400, "anthropic-version: header is required")
        if version not in VERSIONS:
            raise faults.Rejected(400, f"anthropic-version: {version!r} is not a valid version")

    async def _messages(self, call: exchange.Exchange) -> None:
        raw = await exchange.read_body(call)
        turn, scripted = _understand(exchange.parse_json(raw), beta=_is_beta(call))
        now = time.time()
        answer, drawn = self._answer(call, turn, scripted, now)
        entry = journal.Entry(
            at=now,
            request_id=call.request_id,
            path=call.scope["path"],
            model=turn.model.id,
            prompt=script.prompt_digest(turn.system),
            outcome=reply.outcome(answer),
            stream=turn.request.get("stream", False),
            drawn=drawn,
            raw=raw,
            usage=wire.charged(answer),
        )
        self._journal.record(entry, turn.system)
        await self._send(call, answer, scripted, stream=entry.stream and not scripted.never_stream)

    def _answer(
        self, call: exchange.Exchange, turn: reply.Turn, scripted: script.Script, now: float
    ) -> tuple[reply.Answer, int | None]:
        """The answer and the number it was drawn with; a request over the rate limit draws none."""
        allowance = self._allowance(turn.model, now)
        max_tokens = turn.request["max_tokens"]
        cached = caches.Share()
        if not scripted.token_per_byte:  # what is cached is counted by characters
            cached = self._cache.share(_key(call), turn.model, turn.request, now)
        refused = allowance.admit(turn.input_tokens - cached.read, max_tokens, now)
        if refused:
            call.limit_headers = allowance.headers(now)
            return refused, None
        answer, drawn = self._decide(turn, scripted)
        if isinstance(answer, reply.Reply):
            answer = dataclasses.replace(answer, cached=cached)
            self._cache.keep(cached, now)
        allowance.settle(max_tokens, reply.written_tokens(answer), now)
        call.limit_headers = allowance.headers(now)
        return answer, drawn

    def _decide(self, turn: reply.Turn, scripted: script.Script) -> tuple[reply.Answer, int]:
        drawn = turn.task.drawn
        if drawn is None:
            drawn = self._draws.take(script.prompt_digest(turn.system))
        fate = chance.fate(scripted, drawn)
        ids = (conversation.tool_use_id(drawn, serial) for serial in self._serials)
        return reply.decide(turn, scripted, fate, ids), drawn

    def _allowance(self, model: models.Model, now: float) -> ratelimit.Allowance:
        found = self._allowances.get(model.line)
        if found is None:
            found = self._allowances[model.line] = ratelimit.Allowance(self._settings.limits, now)
        return found

    async def _send(
        self,
        call: exchange.Exchange,
        answer: reply.Answer,
        scripted: script.Script,
        *,
        stream: bool,
    ) -> None:
        if scripted.latency_ms:
            await asyncio.sleep(scripted.latency_ms / 1000)
        match answer:
            case faults.Fault():
                told = answer.message.replace(KEY_MARK, _key(call))
                await exchange.fail(call, dataclasses.replace(answer, message=told))
            case reply.Garbage() if stream:
                await exchange.send_whole(call, 200, exchange.EVENT_HEADERS, wire.GARBAGE_STREAM)
            case reply.Garbage():
                await exchange.send_whole(call, 200, exchange.JSON_HEADERS, wire.GARBAGE_BODY)
            case reply.Reply() if stream:
                await delivery.stream(call, answer, self._message_id(), scripted)
            case reply.Reply():
                await exchange.respond(
                    call, 200, wire.message(answer, self._message_id(), scripted)
                )

    def _message_id(self) -> str:
        return f"msg_01{next(self._serials):022x}"

    async def _count_tokens(self, call: exchange.Exchange) -> None:
        request = exchange.parse_json(await exchange.read_body(call))
        validate.count_request(request, beta=_is_beta(call))
        scripted = _script_of(conversation.system_text(request))
        await exchange.respond(call, 200, {"input_tokens": _counted(request, scripted)})

    async def _list_models(self, call: exchange.Exchange) -> None:
        query = _query(call)
        limit = validate.page_limit(query.get("limit"))
        page = models.page(limit, query.get("after_id"), query.get("before_id"))
        await exchange.respond(call, 200, page)

    async def _admin(self, call: exchange.Exchange, action: str) -> None:
        if action not in ("journal", "reset", "seed"):
            raise faults.Rejected(404, "Not found")
        _check_method(call, "GET" if action == "journal" else "POST")
        answer: dict[str, Any] = {}
        match action:
            case "journal":
                last = _query(call).get("last", "20")
                answer = self._journal.as_json(int(last) if last.isdecimal() else 20)
            case "reset":
                self._reset(self._draws.seed)
            case "seed":
                document = exchange.parse_json(await exchange.read_body(call))
                self._reset(validate.seed_request(document))
        await exchange.respond(call, 200, {"seed": self._draws.seed} | answer)

    def _reset(self, seed: int) -> None:
        self._draws = chance.Draws(seed)
        self._journal = journal.Journal()
        self._allowances: dict[str, ratelimit.Allowance] = {}
        self._cache = caches.Cache()


def _understand(document: Any, *, beta: bool) -> tuple[reply.Turn, script.Script]:
    """A checked request with its script. Raises Rejected for whatever the API would not take."""
    model = validate.messages_request(document, beta=beta)
    system = conversation.system_text(document)
    scripted = script.for_model(_script_of(system), model.id)
    length = _counted(document, scripted)
    validate.prompt_length(length, model)
    length += _overhead(document, scripted.overhead_tokens)
    task = conversation.current_task(document["messages"])
    turn = reply.Turn(document, model, system, task, length)
    return turn, scripted


def _script_of(system: str) -> script.Script:
    try:
        return script.parse(system)
    except script.ScriptError as error:
        raise faults.Rejected(400, str(error)) from error


def _counted(request: dict[str, Any], scripted: script.Script) -> int:
    """The tokens of what is sent, by the script's tokenizer."""
    if scripted.token_per_byte:
        return conversation.input_bytes(request)
    return conversation.input_tokens(request)


def _overhead(request: dict[str, Any], overhead: script.Overhead) -> int:
    """What is charged besides: `count_tokens` does not know of it."""
    messages, tools = len(request["messages"]), len(request.get("tools") or ())
    return overhead.call + overhead.message * messages + overhead.tool * tools


def _check_method(call: exchange.Exchange, method: str) -> None:
    if call.scope["method"] != method:
        raise faults.Rejected(405, "Method Not Allowed", (("allow", method),))


def _key(call: exchange.Exchange) -> str:
    return call.header(b"x-api-key") or _bearer(call.header(b"authorization"))


def _is_a_key(key: str) -> bool:
    """Whether a text can be a key at all: visible ASCII; no key is none that is wrong."""
    return all("!" <= character <= "~" for character in key)


def _is_beta(call: exchange.Exchange) -> bool:
    return bool(call.header(b"anthropic-beta")) or _query(call).get("beta") == "true"


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _query(call: exchange.Exchange) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(call.scope["query_string"].decode("latin-1")))
