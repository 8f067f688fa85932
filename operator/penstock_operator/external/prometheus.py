"""One question to a Prometheus over HTTP: within a time, within a size, and believed only as far as it can be."""

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Final

import aiohttp

from penstock.analysis import gates
from penstock.analysis.gates import Said
from penstock_operator.external.servers import Server

SECONDS: Final = 5.0
_PATH: Final = "/api/v1/query"
_CHUNK: Final = 64 * 1024
_PLAIN: Final = ("", "identity")


class Unasked(Exception):
    """A server could not be asked, or did not answer; says why."""


def session() -> aiohttp.ClientSession:
    """A session for all questions: no cookies, no proxy, no decompression, as many connections as are asked for.

    How many questions are in flight is bounded by who asks them: waiting for a connection would
    take from the time of an answer.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        auto_decompress=False,
        trust_env=False,
    )


async def ask(connections: aiohttp.ClientSession, server: Server, query: str) -> Said:
    """What a server says to a query.

    Raises:
        Unasked: it did not answer within SECONDS, its answer is longer than MOST_BYTES, it wants to
            lead elsewhere, it refuses the credential, or there is none.
    """
    try:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers |= await asyncio.to_thread(_credential, server.credentials)
        trust = await asyncio.to_thread(_trust, server.credentials)
        async with connections.get(
            server.url.rstrip("/") + _PATH,
            params={"query": query},
            headers=headers,
            allow_redirects=False,
            ssl=trust,
        ) as answer:
            return await _read(answer)
    except TimeoutError:
        raise Unasked(f"no answer within {SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise Unasked(_words(error)) from error


async def _read(answer: aiohttp.ClientResponse) -> Said:
    if answer.status in (401, 403):
        raise Unasked(f"it refuses the credential of the chart ({answer.status})")
    if 300 <= answer.status < 400:
        raise Unasked(f"it leads elsewhere ({answer.status}), which is not followed")
    if answer.headers.get("Content-Encoding", "") not in _PLAIN:
        raise Unasked("it compresses its answer, for which it was not asked")
    body = bytearray()
    async for chunk in answer.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > gates.MOST_BYTES:
            raise Unasked(f"its answer is longer than {gates.MOST_BYTES >> 20} MiB")
    said = gates.read(answer.status, bytes(body))
    if said.value is None and answer.status != 200:
        raise Unasked(said.problem)
    return said


def _credential(folder: Path | None) -> dict[str, str]:
    """The header that says who asks; read each time, since Secrets change."""
    if folder is None:
        return {}
    if token := _text(folder / "token"):
        return {"Authorization": f"Bearer {token}"}
    user, password = _text(folder / "username"), _text(folder / "password")
    if user and password:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    if (folder / "ca.crt").exists():
        return {}
    raise Unasked("its Secret has neither token nor username and password")


def _trust(folder: Path | None) -> ssl.SSLContext | bool:
    """By which certificates it is known: those of its Secret, else the usual ones."""
    file = folder / "ca.crt" if folder else None
    return ssl.create_default_context(cafile=file) if file and file.exists() else True


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _words(error: Exception) -> str:
    """Why there was no answer; nothing of what was sent is in it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientConnectorError():
            return (
                f"it cannot be reached: {error.os_error.strerror or type(error.os_error).__name__}"
            )
        case aiohttp.ClientError() | OSError():
            return f"it broke off: {type(error).__name__}"
        case _:
            return f"it cannot be asked: {type(error).__name__}"
