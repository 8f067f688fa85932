"""The record of decisions as the API server has it: a ConfigMap beside the record of a revision.

It belongs to the revision's ControllerRevision and goes with it. The operator keeps none in its
cache: it is read where a decision is added, which is seldom.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from penstock import names
from penstock.rollout.situation import Entry
from penstock_operator.cluster.client import Cluster
from penstock_operator.cluster.kinds import (
    CONFIGMAP,
    RECORD,
    Object,
    annotations_of,
    name_of,
    namespace_of,
    uid_of,
)

#: What a record holds at most: etcd takes objects of 1.5 MiB, and a ConfigMap has at most 1 MiB.
MOST_ENTRIES: Final = 64
MOST_BYTES: Final = 512 * 1024
#: Under which key stands what the revision's calls have done; a field manager of its own keeps it.
EFFECTS: Final = "effects.json"


def key(number: int) -> str:
    """Under which key a decision stands."""
    return f"{number:06d}.json"


def merged(kept: Mapping[str, str], entries: Iterable[Entry]) -> dict[str, str]:
    """The decisions with new ones: a number that is there already is decided anew.

    What must go to make room is the oldest after the first one: the numbers show the gap.
    """
    data = {**kept, **{key(entry.number): entry.text for entry in entries}}
    order = sorted(data)
    while len(order) > 2 and (len(order) > MOST_ENTRIES or _size(data) > MOST_BYTES):
        del data[order.pop(1)]
    return data


async def keep_effects(cluster: Cluster, record: Object, text: str) -> Object:
    """Write what a revision's calls have done beside the decisions on it, then onto its record; the record as written.

    It is no decision: it has no number, and may be written again while calls end.

    Args:
        record: the ControllerRevision, as it is in the API server.
        text: JSON.
    Raises:
        ClusterError: something could not be written; doing it again does no harm.
    """
    name = names.decisions_name(name_of(record))
    beside = _configmap(record, name, {EFFECTS: text})
    await cluster.apply(CONFIGMAP, beside, names.EFFECTS_MANAGER)
    note = _note(record, {names.ANNOTATION_EFFECTS: text})
    return await cluster.apply(RECORD, note, names.EFFECTS_MANAGER)


def _note(record: Object, annotations: Mapping[str, str]) -> Object:
    told = {"name": name_of(record), "namespace": namespace_of(record), "uid": uid_of(record)}
    return {
        "apiVersion": RECORD.api_version,
        "kind": RECORD.kind,
        "metadata": {**told, "annotations": dict(annotations)},
    }


def _size(data: Mapping[str, str]) -> int:
    return sum(len(name) + len(text.encode()) for name, text in data.items())


def last_of(record: Object) -> tuple[int, str]:
    """Number and digest of the last decision, as the annotation of a record has them; 0 where it has none."""
    number, _, digest = annotations_of(record).get(names.ANNOTATION_DECISIONS, "").partition(" ")
    known = number.isascii() and number.isdigit() and len(number) <= 9 and len(digest) == 64
    return (int(number), digest) if known else (0, "")


async def keep(cluster: Cluster, record: Object, entries: tuple[Entry, ...]) -> Object:
    """Write decisions on a revision, then the end of their chain onto its record; the record as written.

    Args:
        record: the ControllerRevision, as it is in the API server.
        entries: those on this revision, in their order.
    Raises:
        ClusterError: something could not be written; doing it again does no harm.
    """
    name = names.decisions_name(name_of(record))
    there = await cluster.get(CONFIGMAP, namespace_of(record), name)
    decided = {
        name: text for name, text in ((there or {}).get("data") or {}).items() if name != EFFECTS
    }
    data = merged(decided, entries)
    await cluster.apply(CONFIGMAP, _configmap(record, name, data), names.DECISIONS_MANAGER)
    last = entries[-1]
    head = {names.ANNOTATION_DECISIONS: f"{last.number} {last.digest}"}
    return await cluster.apply(RECORD, _note(record, head), names.DECISIONS_MANAGER)


def _configmap(record: Object, name: str, data: Mapping[str, str]) -> Object:
    """Not labelled as managed: what is so labelled is watched, and kept in memory by every operator."""
    labels = record["metadata"].get("labels") or {}
    told = {
        label: labels[label]
        for label in (names.LABEL_AGENT, names.LABEL_REVISION)
        if label in labels
    }
    owner = {
        "apiVersion": RECORD.api_version,
        "kind": RECORD.kind,
        "name": name_of(record),
        "uid": uid_of(record),
    }
    return {
        "apiVersion": CONFIGMAP.api_version,
        "kind": CONFIGMAP.kind,
        "metadata": {
            "name": name,
            "namespace": namespace_of(record),
            "labels": told,
            "ownerReferences": [owner],
        },
        "data": dict(data),
    }
