"""What an object declares otherwise than before: whether, which fields, and as a unified diff. Pure."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from penstock_cli import fieldpaths, history
from penstock_cli.plan.drafts import Around, Draft
from penstock_cli.seen import Document

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def is_changed(draft: Draft, around: Around) -> bool:
    """Whether an object that is there, or what it refers to, would be another."""
    other = around.references != around.referred and draft.live is not None
    return draft.live is not None and (_shown(draft.live) != _shown(draft.after) or other)


def _shown(document: Document | None) -> dict[str, Any]:
    """What people declare of an object: labels, annotations, spec; of a ConfigMap its texts."""
    whole = document or {}
    metadata = whole.get("metadata") or {}
    notes = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key != _LAST_APPLIED
    }
    declared = {"labels": metadata.get("labels") or {}, "annotations": notes}
    kept = {key: value for key, value in declared.items() if value}
    body = {field: whole[field] for field in ("spec", "data") if whole.get(field)}
    return {**({"metadata": kept} if kept else {}), **body}


def acts(draft: Draft) -> tuple[str, ...]:
    """The fields that act at once; of an object that is new, none is another."""
    if draft.live is None:
        return ()
    before, after = _shown(draft.live), _shown(draft.after)
    notes = fieldpaths.paths(before.get("metadata", {}), after.get("metadata", {}), "metadata")
    return (*fieldpaths.paths(_beside_template(before), _beside_template(after)), *notes)


def _beside_template(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in shown.get("spec", {}).items() if key != "template"}


def unified(draft: Draft, around: Around) -> tuple[str, ...]:
    """What an object and what is referred to have otherwise, as a unified diff; of a new one all is added."""
    if not draft.compared:
        return ()
    before = _text(draft.live, around.referred) if draft.live else []
    after = _text(draft.after, around.references)
    place = f"{draft.kind}/{draft.namespace}/{draft.name}"
    titles = f"live/{place}", f"planned/{place}"
    return tuple(difflib.unified_diff(before, after, *titles, lineterm=""))


def _text(document: Document, references: Mapping[str, str]) -> list[str]:
    told = {"references": dict(references)} if references else {}
    return history.dumped({**_shown(document), **told})


def other_texts(around: Around) -> Iterator[str]:
    """What is referred to and has another content than before."""
    for key, text in around.references.items():
        if around.referred.get(key) != text:
            _, name, field = key.split("/", 2)
            yield f"ConfigMap {name}, key {field}"
