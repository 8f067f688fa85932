"""HTTP by hand, where a test needs a connection of its own: many of them, or a rude one."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit


def post(path, body, *headers):
    """The bytes of a POST with a JSON body."""
    content = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        "Authorization: Bearer all-agents",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def send(url, request):
    """(reader, writer) of a connection on which the request was sent."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(request)
    await writer.drain()
    return reader, writer


async def answer(reader):
    """(status, parsed body) of an answer with a Content-Length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


async def hang_up(*writers):
    """Break connections off without a goodbye."""
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
