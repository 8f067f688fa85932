"""Exchanges through the proxies that an Agent declares in its worker's environment.

Only what stands in ``spec.template.worker.env`` is taken: a variable that an image or a node
brings along would send an Agent's traffic, and its credentials, where nobody declared it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2

from penstock import errors
from penstock_runtime.agent.transport import exchange
from penstock_runtime.agent.transport.direct import Direct
from penstock_runtime.agent.transport.exchange import ExchangeFailed, Fault

_KEPT_CONNECTIONS: Final = 100  # of each scheme
_VARIABLES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_FAULTS: Final[tuple[tuple[type[Exception], Fault], ...]] = (
    (httpx2.ProxyError, Fault.PROXY),
    (httpx2.ConnectTimeout, Fault.LATE),
    (httpx2.ConnectError, Fault.NO_CONNECTION),
    (httpx2.LocalProtocolError, Fault.ILLEGAL),
    (httpx2.RemoteProtocolError, Fault.NOT_HTTP),
)


def carrier(environment: Mapping[str, str]) -> Callable[[], httpx2.AsyncBaseTransport]:
    """What carries exchanges where these variables are declared.

    Raises:
        InvalidResource: a proxy cannot be used.
    """
    declared = {name.lower(): value for name, value in environment.items() if value}
    found = {name.partition("_")[0]: declared[name] for name in _VARIABLES if name in declared}
    if not found.keys() - {"no"}:
        return Direct
    try:
        Proxied(found)
    except (ValueError, ImportError):
        raise errors.InvalidResource(
            "a proxy in spec.template.worker.env cannot be used: write http://HOST:PORT"
        ) from None
    return lambda: Proxied(found)


class Proxied(httpx2.AsyncBaseTransport):
    """Exchanges through a proxy for each scheme, or directly where none is for it."""

    def __init__(self, proxies: Mapping[str, str]) -> None:
        self._without = proxies.get("no", "")
        self._direct = Direct()
        through = {scheme: address for scheme, address in proxies.items() if scheme != "no"}
        self._through = _carriers(through, _KEPT_CONNECTIONS)
        self._once = _carriers(through, 0)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the head of its answer."""
        scheme, host = request.url.scheme, request.url.host
        carriers = self._once if exchange.is_fresh(request) else self._through
        through = carriers.get(scheme) or carriers.get("all")
        if through is None or is_direct(host, self._without):
            return await self._direct.handle_async_request(request)
        # Before there is a connection: what is open meanwhile may be closed by then.
        await exchange.prepare()
        request.extensions["trace"] = _watch
        request.extensions["timeout"] = {"connect": exchange.CONNECT_SECONDS}
        try:
            return await through.handle_async_request(request)
        except httpx2.TransportError as error:
            kinds = (fault for kind, fault in _FAULTS if isinstance(error, kind))
            raise ExchangeFailed(next(kinds, Fault.BROKE)) from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._direct.aclose()
        for through in (*self._through.values(), *self._once.values()):
            await through.aclose()


def _carriers(proxies: Mapping[str, str], kept: int) -> dict[str, httpx2.AsyncHTTPTransport]:
    """What goes through each scheme's proxy, and keeps so many connections that rest."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=kept)
    return {
        scheme: httpx2.AsyncHTTPTransport(proxy=address, limits=limits)
        for scheme, address in proxies.items()
    }


def is_direct(host: str, without: str) -> bool:
    """Whether a host is among those of NO_PROXY: names and their subdomains, or ``*`` for all."""
    names = (entry.strip().lower().lstrip(".") for entry in without.split(","))
    return any(
        name and (name in ("*", host.lower()) or host.lower().endswith(f".{name}"))
        for name in names
    )


async def _watch(event: str, info: Mapping[str, Any]) -> None:
    """Tell whoever watches, but not of the request by which the proxy is asked for a tunnel."""
    if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
        exchange.about_to_send()
