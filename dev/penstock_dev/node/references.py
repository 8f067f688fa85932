"""ConfigMaps and Secrets as the node may read them, with the kubelet's words when they lack."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from penstock_dev import kube

Files = dict[str, bytes]

_WORDS = {"configmap": "ConfigMap", "secret": "Secret"}


class NotFound(Exception):
    """An object or key that something refers to does not exist; the message is the kubelet's."""


@dataclass(frozen=True)
class References:
    """Reads the ConfigMaps and Secrets of one namespace. A kind is configmap or secret."""

    client: kube.KubeClient
    namespace: str

    async def data(self, kind: str, reference: kube.Document) -> Files:
        """Keys and contents of what `reference` names. Raises NotFound unless it is optional."""
        name = reference.get("name") or reference["secretName"]
        try:
            path = f"/api/v1/namespaces/{self.namespace}/{kind}s/{name}"
            return contents(await self.client.get(path))
        except kube.ApiError as error:
            if error.status != 404:
                raise
            if reference.get("optional", False):
                return {}
            raise NotFound(f'{kind} "{name}" not found') from error

    async def key(self, kind: str, reference: kube.Document) -> str | None:
        """One value as text; None when it is optional and missing. Raises NotFound."""
        data = await self.data(kind, reference)
        key, name = reference["key"], reference["name"]
        if key in data:
            return data[key].decode()
        if reference.get("optional", False):
            return None
        raise NotFound(f"couldn't find key {key} in {_WORDS[kind]} {self.namespace}/{name}")

    async def files(self, kind: str, source: kube.Document) -> Files:
        """The files of a volume source: all keys, or those `items` names, under their paths."""
        data = await self.data(kind, source)
        if not source.get("items"):
            return data
        missing = [item["key"] for item in source["items"] if item["key"] not in data]
        if missing and not source.get("optional", False):
            raise NotFound(f"{kind} references non-existent config key: {missing[0]}")
        return {i["path"]: data[i["key"]] for i in source["items"] if i["key"] in data}


def contents(found: kube.Document) -> Files:
    """The keys of a ConfigMap or Secret as bytes."""
    if found["kind"] == "Secret":
        return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    binary = {key: base64.b64decode(v) for key, v in (found.get("binaryData") or {}).items()}
    return binary | {key: text.encode() for key, text in (found.get("data") or {}).items()}
