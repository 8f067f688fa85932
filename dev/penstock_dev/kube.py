"""A small Kubernetes API client over httpx: what the environment and its node need, no more."""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

TransportError = httpx.TransportError
FIELD_MANAGER = "penstock-dev"
Document = dict[str, Any]


class ApiError(Exception):
    """The API server's own refusal: HTTP status, reason word, and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class WatchExpired(Exception):
    """The watch's resource version is too old: list again."""


@dataclass
class KubeClient:
    """Calls against one API server, with the identity of one kubeconfig."""

    http: httpx.AsyncClient
    _plurals: dict[str, dict[str, Document]] = field(default_factory=dict)

    @classmethod
    def from_kubeconfig(cls, path: Path, *, timeout_seconds: float = 10.0) -> KubeClient:
        """A client with the current user; close it by `async with` or `http.aclose()`."""
        server, context, headers = _read_kubeconfig(path)
        return cls(
            httpx.AsyncClient(
                base_url=server,
                verify=context,
                headers=headers,
                timeout=timeout_seconds,
                trust_env=False,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        **parameters: str,
    ) -> Document:
        """One request; raises ApiError when refused, httpx.TransportError when unreachable."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type} if content else {}
        response = await self.http.request(
            method, path, content=content, headers=headers, params=parameters
        )
        if response.is_error:
            raise _error(response.status_code, response.text)
        return response.json() if "json" in response.headers.get("content-type", "") else {}

    async def get(self, path: str, **parameters: str) -> Document:
        """One GET; errors as `call`."""
        return await self.call("GET", path, **parameters)

    async def merge(self, path: str, patch: Document, **parameters: str) -> Document:
        """Apply a JSON merge patch."""
        return await self.call(
            "PATCH", path, patch, content_type="application/merge-patch+json", **parameters
        )

    async def apply(self, document: Document, namespace: str = "default") -> Document:
        """Server-side apply of any document, whatever its kind."""
        path = await self.path_of(document, namespace)
        return await self.call(
            "PATCH",
            path,
            document,
            content_type="application/apply-patch+yaml",
            fieldManager=FIELD_MANAGER,
            force="true",
        )

    async def path_of(self, document: Document, namespace: str = "default") -> str:
        """The URL path of a document's object, by discovery."""
        version, kind = document["apiVersion"], document["kind"]
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if kind not in self._plurals.get(prefix, {}):
            listed = await self.get(prefix)
            self._plurals[prefix] = {
                r["kind"]: r for r in listed["resources"] if "/" not in r["name"]
            }
        if kind not in self._plurals[prefix]:
            raise ApiError(404, "NotFound", f"the server has no {kind} in {version}")
        resource = self._plurals[prefix][kind]
        metadata = document["metadata"]
        scope = f"/namespaces/{metadata.get('namespace', namespace)}"
        return (
            f"{prefix}{scope if resource['namespaced'] else ''}"
            f"/{resource['name']}/{metadata['name']}"
        )

    async def watch(
        self, path: str, resource_version: str, **parameters: str
    ) -> AsyncIterator[tuple[str, Document]]:
        """(event type, object) until the server ends the watch.

        Raises WatchExpired when the version is too old, httpx.TransportError when cut off.
        """
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "300",
            **parameters,
        }
        timeout = httpx.Timeout(10.0, read=330.0)
        async with self.http.stream("GET", path, params=query, timeout=timeout) as response:
            if response.is_error:
                await response.aread()
                raise _error(response.status_code, response.text)
            async for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise WatchExpired(event["object"].get("message", ""))
                yield event["type"], event["object"]


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """An answer line by line; a line separator of Unicode inside of a text ends no line."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _error(status: int, text: str) -> ApiError:
    try:
        body = json.loads(text)
        return ApiError(status, body.get("reason", ""), body.get("message", text))
    except (json.JSONDecodeError, AttributeError):
        return ApiError(status, "", text[:500])


def _read_kubeconfig(path: Path) -> tuple[str, ssl.SSLContext, dict[str, str]]:
    config = yaml.safe_load(path.read_text())
    cluster = config["clusters"][0]["cluster"]
    user = config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    if certificate := user.get("client-certificate-data"):
        # The ssl module reads client certificates from files only.
        with tempfile.NamedTemporaryFile() as chain:
            chain.write(base64.b64decode(certificate) + base64.b64decode(user["client-key-data"]))
            chain.flush()
            context.load_cert_chain(chain.name)
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return cluster["server"], context, headers
