"""Manifests as people keep them: a file, a directory or standard input, as kubectl would read them."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from penstock_cli.exits import Exit, Stopped
from penstock_cli.seen import Document

_URL: Final = re.compile(r"https?://")
_ENDINGS: Final = (".yaml", ".yml", ".json")
_LISTS: Final = frozenset({"List", "AgentList", "AgentRolloutList", "ConfigMapList"})
_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)")
_FLOAT: Final = re.compile(
    r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_EXACT: Final = 1 << 53  # whole numbers up to here are the same as floats


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

    def is_a(self, kind: str, version: str) -> bool:
        """Whether it is of a kind, by its apiVersion too."""
        return self.kind == kind and self.document.get("apiVersion") == version

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
    if _URL.match(source):
        sentence = (
            f"{source} is a URL, and plan fetches none: curl -fsSL {source} | penstock plan -f -"
        )
        raise Stopped(Exit.USAGE, sentence)
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
    kind = document.get("kind")
    if not (isinstance(kind, str) and kind in _LISTS):
        yield Manifest(document, where)
        return
    items = document.get("items") or []
    if not isinstance(items, list):
        raise Stopped(Exit.USAGE, f"{where} holds a {kind} whose items are no list")
    for item in items:
        yield from _objects(where, _itemised(document, kind.removesuffix("List"), item))


def _itemised(listed: Document, kind: str, item: Any) -> Any:
    """An item of a list of one kind, which need not say it again."""
    if not kind or not isinstance(item, dict) or item.get("kind"):
        return item
    return {**item, "kind": kind, "apiVersion": listed.get("apiVersion")}


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: a date, a time of day and ``=`` are texts, and 1e3 is a number."""

    def whole(self, node: yaml.ScalarNode) -> float | int:
        """A float as JSON writes it for kubectl: a whole one without a point."""
        number: float = self.construct_yaml_float(node)
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number


_OTHERS: Final = frozenset(_TAG + kind for kind in ("timestamp", "value", "int", "float"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OTHERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for kind, pattern in (("int", _INT), ("float", _FLOAT)):  # what is both is an int
    whole_text = re.compile(f"(?:{pattern.pattern})$")
    _Loader.add_implicit_resolver(_TAG + kind, whole_text, list("-+.0123456789"))
_Loader.add_constructor(f"{_TAG}float", _Loader.whole)
