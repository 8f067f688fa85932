"""Taking stock: which revisions an agent has, which is its latest, who was stable, who rejected."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from penstock import names, revision
from penstock.api.rollout import Result, Verdict
from penstock.errors import InvalidResource, PenstockError
from penstock.revision import Revision
from penstock.rollout.situation import RevisionRecord
from penstock_operator.resources import Object, annotations_of, controller_uid, name_of
from penstock_operator.world import World


@dataclass(frozen=True)
class Known:
    """A revision that has a record, or gets one in this pass (``record`` is None)."""

    cut: Revision
    record: Object | None
    sequence: int
    verdict: Verdict | None = None
    promoted_sequence: int = 0

    @property
    def name(self) -> str:
        """The revision's name."""
        return self.cut.name

    @property
    def rejected(self) -> bool:
        """Whether its last verdict was a rejection."""
        return self.verdict is not None and self.verdict.result is Result.REJECTED

    @property
    def facts(self) -> RevisionRecord:
        """What the decision engine must know of it."""
        last = self.verdict if self.rejected else None
        return RevisionRecord(
            name=self.name,
            version=self.cut.template.version,
            rejected_attempt=last.attempt if last else 0,
            rejected_reason=last.reason.value if last else "",
            rejected_message=last.message if last else "",
            promoted_sequence=self.promoted_sequence,
        )


@dataclass(frozen=True)
class Stock:
    """All revisions of an agent by name, and the roles that do not depend on traffic.

    ``latest`` is the revision of the present template, or the last one that could be cut.
    ``problem`` (reason, sentence) says why the present template has none. ``stable`` may name a
    revision that is not known any more: it goes on serving, but nothing can be built for it.
    ``settling``: the present template is new and its inputs have not been quiet for long enough.
    """

    known: Mapping[str, Known] = field(default_factory=dict)
    latest: str = ""
    stable: str = ""
    problem: tuple[str, str] | None = None
    settling: bool = False

    def get(self, name: str) -> Known | None:
        """A revision by name."""
        return self.known.get(name)

    @property
    def lost(self) -> str:
        """The stable revision's name when neither its record nor its projection can be read."""
        return self.stable if self.stable and self.stable not in self.known else ""

    @property
    def next_promotion(self) -> int:
        """The promoted-sequence that the next promotion gets."""
        return 1 + max((item.promoted_sequence for item in self.known.values()), default=0)


def take_stock(world: World) -> Stock:
    """Read the records, cut the present template, and find out who is stable."""
    known = {item.name: item for item in map(_read, _own_records(world)) if item}
    known |= _rebuilt(world, known)
    latest, problem = _latest(world, known)
    if latest and latest.name not in known:
        known[latest.name] = latest
    name = latest.name if latest else _previous(world, known)
    settling = latest is None and problem is None and world.spec is not None
    return Stock(known, name, _stable(world, known), problem, settling)


def _own_records(world: World) -> list[Object]:
    return [record for record in world.records if controller_uid(record) == world.uid]


def _read(record: Object) -> Known | None:
    try:
        cut = revision.read(record["data"], name_of(record))
    except (PenstockError, KeyError, ValidationError):
        return None  # of a newer Penstock, or not a record of ours: never act on it
    notes = annotations_of(record)
    return Known(
        cut,
        record,
        int(record.get("revision", 0)),
        read_verdict(notes.get(names.ANNOTATION_VERDICT, "")),
        int(notes.get(names.ANNOTATION_PROMOTED, "0") or 0),
    )


def _rebuilt(world: World, known: Mapping[str, Known]) -> dict[str, Known]:
    """Revisions whose record is gone but whose projection holds the same document."""
    records = {name_of(record) for record in world.records}
    sequence = max((item.sequence for item in known.values()), default=0)
    found = {}
    for name, projection in world.configmaps.items():
        if name in records:
            continue
        try:
            document = json.loads(projection["data"][names.REVISION_FILE])
            cut = revision.read(document, name)
        except (PenstockError, KeyError, TypeError, ValueError):
            continue  # not what its name promises: never act on it
        sequence += 1
        found[name] = Known(cut, None, sequence)
    return found


def read_verdict(text: str) -> Verdict | None:
    """A verdict as kept on the record; None when there is none that can be read."""
    try:
        return Verdict.model_validate_json(text) if text else None
    except ValidationError:
        return None


def verdict_annotations(known: Known, verdict: Verdict | None, promoted: int) -> dict[str, str]:
    """All annotations of the verdict manager: an apply carries every one it wants to keep."""
    kept = verdict or known.verdict
    notes = {}
    if kept:
        notes[names.ANNOTATION_VERDICT] = json.dumps(kept.wire(), separators=(",", ":"))
        notes[names.ANNOTATION_ATTEMPT] = str(kept.attempt)
    if promoted:
        notes[names.ANNOTATION_PROMOTED] = str(promoted)
    return notes


def _latest(world: World, known: dict[str, Known]) -> tuple[Known | None, tuple[str, str] | None]:
    if world.spec is None:
        return None, world.problem
    if world.problem:
        before = _cut_before(world, known)
        return (before, None) if before else (None, world.problem)
    if world.missing:
        return None, ("ReferenceMissing", world.missing)
    declared = world.agent["spec"]["template"]
    try:
        cut = revision.cut(
            world.name, declared, dict(world.references), world.installation.runtime_image
        )
    except InvalidResource as error:
        return None, ("Invalid", str(error))
    if cut.name in known:
        return known[cut.name], None
    if not world.settled:
        return None, None
    sequence = 1 + max((item.sequence for item in known.values()), default=0)
    return Known(cut, None, sequence), None


def _cut_before(world: World, known: Mapping[str, Known]) -> Known | None:
    """The revision that this very template became when less was refused: it goes on serving."""
    declared, references = world.agent["spec"]["template"], dict(world.references)
    return next(
        (
            item
            for item in known.values()
            if item.cut.declared == declared and item.cut.references == references
        ),
        None,
    )


def _previous(world: World, known: dict[str, Known]) -> str:
    last = world.status.latest_revision or ""
    if last in known:
        return last
    newest = max(known.values(), key=lambda item: item.sequence, default=None)
    return newest.name if newest else ""


def _stable(world: World, known: dict[str, Known]) -> str:
    """Who is stable: the decision in force, else the Agent's word, else the last promotion."""
    decided = (world.rollout or {}).get("status", {}).get("stableRevision", "")
    said: str = decided or world.status.stable_revision or ""
    if said:
        return said
    promoted = [item for item in known.values() if item.promoted_sequence]
    last = max(promoted, key=lambda item: item.promoted_sequence, default=None)
    return last.name if last else ""
