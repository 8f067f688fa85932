"""Manifests as people keep them: a file, a directory or standard input, as kubectl would read them."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from penstock_cli.exits import Exit, Stopped
from penstock_cli.seen import Document

_ENDINGS: Final = (".yaml", ".yml", ".json")
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True)
class Manifest:
    """An object as it is written, and where."""

    document: Document
    where: str

    @property
    def kind(self) -> str:
        """Its kind; empty where it has none."""
        return str(self.document.get("kind") or "")

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        return str(self._metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        """The namespace that stands in it; empty where none does."""
        return str(self._metadata.get("namespace") or "")

    @property
    def _metadata(self) -> Document:
        found = self.document.get("metadata")
        return found if isinstance(found, dict) else {}


def read(sources: Sequence[str]) -> list[Manifest]:
    """All objects of files, directories (not of those below them) and, for ``-``, of standard input.

    Raises:
        Stopped: there is no such file, or what is in it are no objects.
    """
    return [one for source in sources for where, text in _texts(source) for one in _in(where, text)]


def _texts(source: str) -> Iterator[tuple[str, str]]:
    if source == "-":
        yield "standard input", sys.stdin.buffer.read().decode("utf-8", "replace")
        return
    path = Path(source)
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            if file == path or (file.suffix in _ENDINGS and file.is_file()):
                yield str(file), file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Stopped(Exit.USAGE, f"{source} cannot be read: {error}") from None


def _in(where: str, text: str) -> Iterator[Manifest]:
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Stopped(Exit.USAGE, f"{where} is no YAML: {error}") from None
    for document in documents:
        if document is not None:
            yield from _objects(where, document)


def _objects(where: str, document: Any) -> Iterator[Manifest]:
    if not isinstance(document, dict):
        raise Stopped(Exit.USAGE, f"{where} holds something that is no Kubernetes object")
    if document.get("kind") == "List":
        for item in document.get("items") or ():
            yield from _objects(where, item)
        return
    yield Manifest(document, where)


class _Loader(yaml.SafeLoader):
    """YAML in which a date is a text, as it is for kubectl."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
