"""The API server as the operator uses it: the only importer of the Kubernetes client."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from kubernetes.aio import client, config

from penstock.errors import PenstockError
from penstock.guard import Guard, unguarded
from penstock_operator import metrics
from penstock_operator.cluster import wire
from penstock_operator.cluster.kinds import (
    SELECTOR,
    Kind,
    Object,
    name_of,
    namespace_of,
)

_JSON = "application/json"
_TIMEOUT_SECONDS = 10.0
_MANAGER = "penstock-operator"  # whose writes they are, wherever no manager is named


class ClusterError(PenstockError):
    """The API server refused or did not answer.

    Args:
        status: HTTP status, 0 when there was no answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def conflict(self) -> bool:
        """Whether the write lost against a newer one, so that looking again helps at once."""
        return self.status == 409

    @property
    def refusal(self) -> bool:
        """Whether the API server will not have this very request, now or later."""
        return 400 <= self.status < 500 and self.status not in (409, 429)


class Cluster:
    """Typed access to the API server; every call ends within its deadline.

    Args:
        guard: asked before each write; raises where it must not be made.
        timeout_seconds: the longest that a read may take.
        write_seconds: the longest that a write may take.
    """

    def __init__(
        self,
        api: client.ApiClient,
        guard: Guard,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        write_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        self._api = api
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._write_seconds = write_seconds

    @classmethod
    async def connect(
        cls,
        kubeconfig: str,
        guard: Guard,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        write_seconds: float = _TIMEOUT_SECONDS,
    ) -> Self:
        """Connect by a kubeconfig file, or as the pod's service account when there is none."""
        configuration = client.Configuration()
        if kubeconfig:
            await config.load_kube_config(kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
        configuration.connection_pool_maxsize = 32
        api = client.ApiClient(configuration)
        api.user_agent = _MANAGER
        return cls(api, guard, timeout_seconds, write_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._api.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None when it is not there."""
        try:
            return await self._request("GET", kind, kind.path(namespace, name))
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def listing(
        self, kind: Kind, namespace: str | None = None, selector: str | None = None
    ) -> tuple[list[Object], int]:
        """All objects of a kind that are ours to see, and the list's resourceVersion."""
        if selector is None and kind.labelled:
            selector = SELECTOR
        query = [("labelSelector", selector)] if selector else []
        answer = await self._request("GET", kind, kind.path(namespace), query=query)
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        items = [{**head, **item} for item in answer["items"]]
        return items, int(answer["metadata"]["resourceVersion"])

    async def apply(self, kind: Kind, obj: Object, manager: str) -> Object:
        """Server-side apply; the manager owns just the fields in ``obj``."""
        path = kind.path(namespace_of(obj), name_of(obj))
        query = [("fieldManager", manager), ("force", "true")]
        body, content = wire.patch(obj), wire.PATCH_TYPE
        return await self._request("PATCH", kind, path, query=query, body=body, content=content)

    async def replace_status(self, kind: Kind, obj: Object) -> Object:
        """Replace the status of an object, unless it changed since its resourceVersion."""
        path = kind.path(namespace_of(obj), name_of(obj), "status")
        return await self._request("PUT", kind, path, body=obj)

    async def replace(self, kind: Kind, obj: Object) -> Object:
        """Replace an object, unless it changed since its resourceVersion."""
        return await self._request(
            "PUT", kind, kind.path(namespace_of(obj), name_of(obj)), body=obj
        )

    async def delete(self, kind: Kind, obj: Object) -> None:
        """Delete exactly this object (by uid); it may be gone already."""
        body = {
            "preconditions": {"uid": obj["metadata"]["uid"]},
            "propagationPolicy": "Background",
        }
        try:
            path = kind.path(namespace_of(obj), name_of(obj))
            await self._request("DELETE", kind, path, body=body)
        except ClusterError as error:
            if error.status not in (404, 409):
                raise

    async def create(self, kind: Kind, obj: Object) -> Object:
        """Create an object."""
        return await self._request("POST", kind, kind.path(namespace_of(obj)), body=obj)

    async def _request(
        self,
        method: str,
        kind: Kind,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Any = None,
        content: str = _JSON,
    ) -> Object:
        serialized = await self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=query or [],
            header_params={"Accept": _JSON, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        seconds = self._timeout_seconds
        if method != "GET":
            self._guard()
            seconds = self._write_seconds
        try:
            answer = await self._api.call_api(*serialized, _request_timeout=seconds)
            raw = await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            metrics.API_REQUESTS.labels(kind.kind, method, "none").inc()
            raise ClusterError(
                0, f"{method} {path}: the API server did not answer: {error!r}"
            ) from error
        metrics.API_REQUESTS.labels(kind.kind, method, str(answer.status)).inc()
        if answer.status >= 300:
            raise ClusterError(answer.status, f"{method} {path}: {_message(answer.status, raw)}")
        answer_body: Object = wire.parsed(raw)
        return answer_body


def _message(status: int, raw: bytes) -> str:
    try:
        return f"{status} {wire.parsed(raw).get('message', '')}"
    except (AttributeError, ValueError):
        return f"{status} {raw[:200]!r}"


async def watch_session(kubeconfig: str) -> tuple[str, aiohttp.ClientSession]:
    """The API server's address and a session of its own for watching it."""
    cluster = await Cluster.connect(kubeconfig, unguarded)  # it only watches
    api = cluster._api  # noqa: SLF001  the same module
    configuration = api.configuration
    token = await configuration.get_api_key_with_prefix("BearerToken")
    headers = {"Authorization": token} if token else {}
    connector = aiohttp.TCPConnector(limit=32, ssl=api.rest_client.ssl_context)
    await api.close()
    return configuration.host, aiohttp.ClientSession(
        connector=connector, headers=headers, response_class=_Shallow
    )


class _Shallow(aiohttp.ClientResponse):
    """An answer whose JSON is no deeper than it may be, whether read as a whole or line by line."""

    async def start(self, connection: Any) -> Self:
        """Read the head of the answer."""
        await super().start(connection)
        self.content = cast("aiohttp.StreamReader", _Lines(self.content))
        return self

    async def json(self, **_: Any) -> Any:
        """The whole answer."""
        return wire.parsed(await self.read())


class _Lines:
    """A stream of JSON lines; all but how it is iterated is the stream's own."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Whole lines, each of them shallow; the last one need not end."""
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, last = chunk.split(b"\n")
            if lines:
                lines[0], rest = rest + lines[0], last
                yield b"".join(wire.shallow(line) + b"\n" for line in lines)
            else:
                rest += last
        if rest:
            yield wire.shallow(rest)
