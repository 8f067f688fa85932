"""The revisions of a rollout's Agent: how each ended, and what one has that another has not. Pure."""

import difflib
import json
from collections.abc import Iterator
from typing import Any, Final

import yaml
from rich.text import Text

from penstock import names, naming
from penstock.api.analysis import Verdict
from penstock_cli import attempts, fieldpaths, picture, tables
from penstock_cli.attempts import Attempt
from penstock_cli.exits import Exit, Stopped
from penstock_cli.picture import BAD, DIM, GOOD, Cell
from penstock_cli.seen import Document, Seen

_MARKS: Final = {"Rejected": "✗", "Promoted": "✓"}
_STYLES: Final = {"Rejected": BAD, "Promoted": GOOD}


def lines(seen: Seen, width: int) -> Iterator[Text]:
    """A row for each revision on record, the newest first, and one for each attempt of it.

    ``SERVED`` numbers those that have served everybody, the last one highest.
    """
    head = ["REVISION", "ROLE", "AGE", "SERVED", "VERDICT", "SHARE"]
    rows = [[(one, DIM) for one in head]]
    for record in records(seen):
        rows += [_row(seen, record), *(_attempt(one) for one in tried(seen, record))]
    if len(rows) == 1:
        yield Text("no revision is on record", style=DIM)
        return
    yield from picture.grid(rows, width)
    for what, why in seen.documents.missing.items():
        yield Text(f"{what} cannot be read: {why}", style=BAD)


def tried(seen: Seen, record: Document) -> list[Attempt]:
    """The attempts of a revision, the newest first."""
    name, last = record["metadata"]["name"], verdict(record)
    kept = [one for one in seen.status.verdicts if one.revision == name]
    current = seen.status.attempt if name == seen.canary else 0
    texts = seen.documents.decisions.get(name, {})
    return attempts.of(texts, [*kept, *([last] if last else [])], current)


def _attempt(one: Attempt) -> list[Cell]:
    """Which attempt, since when, where it was, how it ended."""
    places = " → ".join(place.label for place in one.places) or "-"
    end = f"{_MARKS.get(one.result, '–')} {one.reason}" if one.ended else "…"
    return [
        (f"  attempt {one.number}", ""),
        (one.started or "start not on record", DIM),
        (places, ""),
        (end, _STYLES.get(one.result, DIM)),
    ]


def records(seen: Seen) -> list[Document]:
    """The ControllerRevisions, the newest first."""
    return sorted(seen.documents.records, key=lambda one: -int(one.get("revision") or 0))


def _row(seen: Seen, record: Document) -> list[Cell]:
    name, told = record["metadata"]["name"], verdict(record)
    version = seen.version(name)
    cut = record["metadata"].get("creationTimestamp", "")
    said = f"{_MARKS.get(told.result.value, '–')} {told.reason.value}" if told else "-"
    served = seen.records[name].served_sequence
    cells = [
        picture.role(seen, name),
        tables.age(cut, seen.now) if cut else "-",
        str(served) if served else "-",
    ]
    return [
        (f"{name} ({version})" if version else name, "bold"),
        *((cell, "") for cell in cells),
        (said, _STYLES.get(told.result.value, "") if told else DIM),
        (_share(told) if told else "-", ""),
    ]


def _share(told: Verdict) -> str:
    return f"ring {told.ring}" if told.ring else f"{told.percent} %"


def verdict(record: Document) -> Verdict | None:
    """The last verdict on a revision; None where there is none, or it cannot be read."""
    text = (record["metadata"].get("annotations") or {}).get(names.ANNOTATION_VERDICT, "")
    try:
        return Verdict.model_validate(json.loads(text)) if text else None
    except (ValueError, RecursionError):
        return None


def document(seen: Seen) -> dict[str, Any]:
    """The same for programs."""
    return {"items": [_item(seen, record) for record in records(seen)]}


def _item(seen: Seen, record: Document) -> dict[str, Any]:
    name, told = record["metadata"]["name"], verdict(record)
    return {
        "name": name,
        "version": seen.version(name),
        "role": picture.role(seen, name),
        "cut": record["metadata"].get("creationTimestamp", ""),
        "served": seen.records[name].served_sequence,
        "verdict": told.wire() if told else None,
        "attempts": [one.wire() for one in tried(seen, record)],
    }


# ----------------------------------------------------------------------------------- difference


def between(seen: Seen, before: str, after: str) -> list[str]:
    """What was declared in one revision and not in the other, as a unified diff; empty: nothing.

    Args:
        before: name, hash or version; empty: stable.
        after: name, hash or version; empty: the canary.

    Raises:
        Stopped: no revision on record, or several, can be meant.
    """
    both = _pair(seen, before, after)
    first, second = (dumped(_content(one)) for one in both)
    from_title, to_title = (_title(seen, one["metadata"]["name"]) for one in both)
    return list(difflib.unified_diff(first, second, from_title, to_title, lineterm=""))


def difference(seen: Seen, before: str, after: str) -> dict[str, Any]:
    """The same for programs: which two, the fields that differ, and what each declares. See ``between``."""
    both = _pair(seen, before, after)
    one, other = map(_content, both)
    named_as = [
        {"name": name, "version": seen.version(name)}
        for name in (one["metadata"]["name"] for one in both)
    ]
    return {
        "before": {**named_as[0], **one},
        "after": {**named_as[1], **other},
        "changed": list(fieldpaths.paths(one, other)),
    }


def _pair(seen: Seen, before: str, after: str) -> tuple[Document, Document]:
    first = named(seen, before or seen.stable, "stable")
    return first, named(seen, after or seen.canary, "a canary")


def coloured(line: str) -> Text:
    """A line of a diff."""
    style = {"+": GOOD, "-": BAD, "@": DIM}.get(line[:1], "")
    told = tables.one_line(line)
    return Text(told, style="bold" if line.startswith(("+++", "---")) else style)


def _title(seen: Seen, name: str) -> str:
    version = seen.version(name)
    return f"{name} ({version})" if version else name


def named(seen: Seen, text: str, what: str = "") -> Document:
    """The revision on record that is meant: by name, hash, the beginning of that, or version.

    Raises:
        Stopped: there is none, or there are several.
    """
    if not text:
        raise Stopped(Exit.USAGE, f"{seen.name} has not {what}: say which revision is meant")
    by_hash = {names.hash_of(one["metadata"]["name"]): one for one in seen.documents.records}
    versions = {each: seen.version(one["metadata"]["name"]) for each, one in by_hash.items()}
    try:
        found = naming.named(seen.agent_name, text, versions)
    except ValueError as error:
        raise Stopped(Exit.USAGE, f"revision {text}: {error}") from None
    if found not in by_hash:
        there = ", ".join(sorted(seen.records)) or "none"
        raise Stopped(Exit.USAGE, f"revision {text} is not on record; there are: {there}")
    return by_hash[found]


def _content(record: Document) -> Document:
    """What people declared, and the content that it refers to."""
    data = record.get("data") or {}
    declared = {"template": data.get("declared") or {}}
    references = data.get("references") or {}
    return {**declared, **({"references": references} if references else {})}


def dumped(whole: Document) -> list[str]:
    """A document as lines of YAML that can be compared one by one."""
    text: str = yaml.dump(whole, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=10_000)
    return text.splitlines()


class _Dumper(yaml.SafeDumper):
    """YAML with each text of several lines as a block, so that a prompt is compared line by line."""


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _block)
