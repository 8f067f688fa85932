"""A server that answers with the very bytes it is told, and keeps what it was sent."""

import asyncio
import contextlib
import json


async def until(condition, seconds=60.0):
    """Wait for a condition to be true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, condition
        await asyncio.sleep(0.01)


class Raw:
    """Answers each request with the next of ``answers``, the last one again and again.

    An answer is bytes, or a function of a writer for what has no end.
    """

    def __init__(self, *answers, tls=None):
        self.answers = list(answers)
        self.tls = tls
        self.requests = []
        self.connections = 0
        self.writers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=1 << 24, ssl=self.tls
        )
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"
        self.tasks = set()
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.connections += 1
        self.writers.append(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _exchange(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append((lines[0], headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            await answer(writer)
        else:
            writer.write(answer)
            await writer.drain()
        return True


def response(body=b"", status="200 OK", **headers):
    """A whole answer with its length."""
    told = {
        "content-length": str(len(body)),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def streamed(data, *, end=True, kind="text/event-stream"):
    """An answer in chunks; without ``end`` its last chunk never comes."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n" % (len(data), data) + (b"0\r\n\r\n" if end else b"")


def sse(*events):
    """Events as the Messages API writes them."""
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode()


def message(*blocks, stop_reason="end_turn", usage=(20, 5)):
    """The events of a whole message."""
    given, written = usage
    begin = {"usage": {"input_tokens": given, "output_tokens": 1}}
    events = [{"type": "message_start", "message": begin}]
    for index, block in enumerate(blocks):
        events += _block(index, block)
    delta = {"type": "message_delta", "delta": {"stop_reason": stop_reason}}
    events.append({**delta, "usage": {"output_tokens": written}})
    return [*events, {"type": "message_stop"}]


def _block(index, block):
    start = {"type": "content_block_start", "index": index, "content_block": block}
    if block["type"] == "tool_use":
        start["content_block"] = {**block, "input": {}}
        part = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield start
        yield {"type": "content_block_delta", "index": index, "delta": part}
    else:
        yield start
    yield {"type": "content_block_stop", "index": index}


def says(*blocks, **more):
    """A streamed message as bytes."""
    return streamed(sse(*message(*blocks, **more)))


def text(words):
    """A block of text."""
    return {"type": "text", "text": words}


@contextlib.asynccontextmanager
async def closed_port():
    """A port at which nobody listens."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    yield port
