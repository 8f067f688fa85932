"""Taking stock: which revisions an agent has, which is its latest, who was stable, who rejected."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from penstock import names, revision
from penstock.api import budgets, mentions, validation
from penstock.api.analysis import Reason, Result, Verdict
from penstock.api.rollout import AgentRolloutStatus
from penstock.errors import InvalidResource, RevisionTampered, UnknownSchema
from penstock.revision import Revision
from penstock.rollout import requests
from penstock.rollout.situation import RevisionRecord, who_is_stable
from penstock_operator.cluster import reading
from penstock_operator.cluster.kinds import Object, annotations_of, controller_uid, name_of
from penstock_operator.reconcile import decisions, remembered, runtimes
from penstock_operator.reconcile.memory import Cuts, Found, object_version
from penstock_operator.reconcile.world import World

_COLLISION: Final = (
    "another template became revision {}, and this one would get the very same name: change "
    "anything in spec.template, its version for instance"
)


@dataclass(frozen=True)
class Known:
    """A revision that has a record, or gets one in this pass (``record`` is None).

    ``doubts`` are the places of what is noted on its record that could not be read. ``restored``:
    its verdict or its promotion is known from a status, and is not noted on the record.
    """

    cut: Revision
    record: Object | None
    sequence: int
    verdict: Verdict | None = None
    promoted_sequence: int = 0
    doubts: tuple[str, ...] = ()
    restored: bool = False

    @property
    def name(self) -> str:
        """The revision's name."""
        return self.cut.name

    @property
    def rejected(self) -> bool:
        """Whether its last verdict was a rejection."""
        return self.verdict is not None and self.verdict.result is Result.REJECTED

    @property
    def superseded(self) -> bool:
        """Whether its last verdict says that another one was declared."""
        return self.verdict is not None and self.verdict.result is Result.SUPERSEDED

    @property
    def overtaken(self) -> bool:
        """Whether its last verdict is another than a promotion."""
        return self.verdict is not None and self.verdict.result is not Result.PROMOTED

    @property
    def told(self) -> RevisionRecord:
        """What its record tells, for the decision engine."""
        return RevisionRecord(
            name=self.name,
            version=self.cut.template.version,
            verdict=self.verdict,
            promoted_sequence=self.promoted_sequence,
            served_sequence=self.promoted_sequence,
            decided=decisions.last_of(self.record) if self.record else (0, ""),
        )


@dataclass(frozen=True)
class Unread:
    """A record that cannot be read, and why; ``newer``: a newer Penstock can, so it is left alone."""

    record: Object
    why: str
    newer: bool


@dataclass(frozen=True)
class Stock:
    """All revisions of an agent by name, and the roles that do not depend on traffic.

    ``latest`` is the revision of the present template, or the last one that could be cut.
    ``problem`` (reason, sentence) says why the present template has none. ``stable`` may name a
    revision that is not known any more: it serves while its workers live, but nothing can be built
    for it. ``gone`` was stable and nothing is left of it, nor can another serve. ``decided`` is the decision in force of the AgentRollout.
    ``settling``: the present template is new and its inputs have not been quiet for long enough.
    ``unread`` are records that cannot be read, by name; some of them are known by other means.
    """

    known: Mapping[str, Known] = field(default_factory=dict)
    latest: str = ""
    stable: str = ""
    problem: tuple[str, str] | None = None
    settling: bool = False
    unread: Mapping[str, Unread] = field(default_factory=dict)
    decided: AgentRolloutStatus = field(default_factory=AgentRolloutStatus)
    gone: str = ""

    def get(self, name: str) -> Known | None:
        """A revision by name."""
        return self.known.get(name)

    @property
    def lost(self) -> str:
        """The stable revision's name when neither its record nor its projection can be read."""
        return self.stable if self.stable and self.stable not in self.known else self.gone

    @property
    def records(self) -> dict[str, RevisionRecord]:
        """What the records tell, by name, as far as the decision engine may go by it.

        A promotion counts for another than stable only if nothing came after it. Nor does it while
        stable's own place is not known: then nobody is promoted later than stable.
        """
        known = self.stable in self.known or not self.stable
        counting = {name for name, item in self.known.items() if known and not item.overtaken}
        return {
            name: item.told
            if name == self.stable or name in counting
            else replace(item.told, promoted_sequence=0)
            for name, item in self.known.items()
        }

    @property
    def next_promotion(self) -> int:
        """The promoted-sequence that the next promotion gets."""
        return 1 + max((item.promoted_sequence for item in self.known.values()), default=0)

    @property
    def unreadable(self) -> tuple[bool, str, str]:
        """Records, and verdicts on records, that this Penstock cannot read: the words of the condition."""
        told = [f"{name}: {found.why}" for name, found in sorted(self.unread.items())]
        told += [
            f"{item.name}: {', '.join(item.doubts)} cannot be read"
            + ("; it counts as rejected" if item.rejected else "")
            for item in self.known.values()
            if item.doubts
        ]
        return bool(told), "Unreadable", "; ".join(told)


def take_stock(world: World) -> Stock:
    """Read the records, cut the present template, and find out who is stable."""
    known, unread = _read_all(_own_records(world), world.cuts)
    known |= _rebuilt(world, known, unread)
    recorded = known.keys() | unread.keys()
    latest, problem = _latest(world, known, unread)
    if latest and latest.name not in known:
        known[latest.name] = latest
    known = _with_verdicts(world, known)
    name = latest.name if latest else _previous(world, known)
    settling = latest is None and problem is None and world.spec is not None
    decided = remembered.decision(world, recorded)
    stable = _stable(world, known, decided, recorded)
    known = _with_release(world, known, stable)
    alone = not world.rollouts and not world.unread_rollouts
    known = _with_promotion(known, stable, alone=alone)
    served = world.status.stable_revision or ""
    gone = served if not stable and (name not in known or known[name].rejected) else ""
    return Stock(known, name, stable, problem, settling, unread, decided, gone)


def _own_records(world: World) -> list[Object]:
    return [record for record in world.records if controller_uid(record) == world.uid]


def _read_all(records: list[Object], cuts: Cuts) -> tuple[dict[str, Known], dict[str, Unread]]:
    """The records, each read once in its life; what is not there any more is forgotten."""
    known, unread = {}, {}
    held = {object_version(record): record for record in records}
    for place in cuts.keys() - held.keys():
        del cuts[place]
    for place, record in held.items():
        if place not in cuts:
            cuts[place] = _cut_of(record.get("data"), name_of(record))
        match cuts[place]:
            case Revision() as cut:
                known[cut.name] = _noted(cut, record)
            case (why, newer):
                unread[name_of(record)] = Unread(record, why, newer)
    return known, unread


def _cut_of(document: Any, name: str) -> Found:
    """The revision in a document; else why there is none, and whether a newer Penstock has one."""
    try:
        return revision.read(document, name)
    except UnknownSchema as error:
        schema = document.get("schemaVersion")
        return str(error), isinstance(schema, int) and schema > revision.SCHEMA_VERSION
    except RevisionTampered as error:
        return str(error), False
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return f"what stands under {name} is no revision", False


def _noted(cut: Revision, record: Object) -> Known:
    """A revision with what is noted on its record, read as far as it can be."""
    notes = annotations_of(record)
    attempt = reading.whole(notes.get(names.ANNOTATION_ATTEMPT))
    told = reading.verdict(notes.get(names.ANNOTATION_VERDICT, ""), cut.name, attempt)
    promoted = notes.get(names.ANNOTATION_PROMOTED, "")
    sequence = reading.whole(promoted)
    doubts = told.lost if told else ()
    if promoted and str(sequence) != promoted:
        doubts = (*doubts, "promoted-sequence")
    place = reading.whole(record.get("revision"))
    return Known(cut, record, place, told.value if told else None, sequence, doubts)


def _rebuilt(
    world: World, known: Mapping[str, Known], unread: Mapping[str, Unread]
) -> dict[str, Known]:
    """Revisions whose record is gone or unreadable but whose projection holds the document."""
    sequence = max((item.sequence for item in known.values()), default=0)
    found = {}
    for name, projection in world.configmaps.items():
        text = (projection.get("data") or {}).get(names.REVISION_FILE)
        theirs = name in unread and unread[name].newer
        cut = None if theirs or name in known else _cut_of(reading.parsed(text), name)
        if not isinstance(cut, Revision):
            continue  # known, a newer Penstock's, or not what its name promises: leave it alone
        sequence += 1
        found[name] = (
            _noted(cut, unread[name].record) if name in unread else Known(cut, None, sequence)
        )
    return found


def _with_verdicts(world: World, known: Mapping[str, Known]) -> dict[str, Known]:
    """The revisions with verdicts that their records do not tell yet, or not any more."""
    told = remembered.verdicts(world)
    return {name: _judged_again(item, told.get(name, ())) for name, item in known.items()}


def _judged_again(item: Known, told: Sequence[Verdict]) -> Known:
    """The last of the verdicts that the statuses tell holds, unless the record's is later."""
    if not told or told[-1] == item.verdict:
        return item
    noted, last = item.verdict, told[-1]
    rejects = last.result is Result.REJECTED
    later = noted is None or noted in told or last.at > noted.at or (rejects and item.superseded)
    readable = rejects or not item.doubts
    return replace(item, verdict=last, restored=True) if later and readable else item


def _with_release(world: World, known: dict[str, Known], stable: str) -> dict[str, Known]:
    """Who was released by request without an AgentRollout, where its record does not say so yet."""
    item, last = known.get(stable), world.status.last_request
    if item is None or item.verdict is None or not item.rejected or item.doubts or not last:
        return known
    request = requests.parse(last.value)
    if request is None or request.verb is not requests.Verb.RETRY or last.result != "Accepted":
        return known
    versions = {name: one.cut.template.version for name, one in known.items()}
    if requests.named(request.revision, versions) != [stable] or last.at < item.verdict.at:
        return known
    verdict = released(stable, item.verdict.attempt + 1, last.at)
    return known | {stable: replace(item, verdict=verdict, restored=True)}


def released(name: str, attempt: int, at: str) -> Verdict:
    """The verdict on a rejected revision that serves again without an AgentRollout."""
    return Verdict(
        revision=name,
        attempt=attempt,
        result=Result.PROMOTED,
        reason=Reason.REQUESTED,
        message="released again, by request",
        at=at,
    )


def _with_promotion(known: dict[str, Known], stable: str, *, alone: bool) -> dict[str, Known]:
    """Who is stable was promoted last: where its record does not tell that, it gets the note.

    Args:
        alone: no AgentRollout has verdicts that tell who was promoted.
    """
    item = known.get(stable)
    if item is None:
        return known
    last = max(other.promoted_sequence for other in known.values())
    told = alone or (item.restored and not item.rejected)
    if item.promoted_sequence and (item.promoted_sequence == last or not told):
        return known
    return known | {stable: replace(item, promoted_sequence=last + 1, restored=True)}


def verdict_annotations(known: Known, verdict: Verdict | None, promoted: int) -> dict[str, str]:
    """All annotations of the verdict manager: an apply carries every one it wants to keep.

    A rejection outlives a retry that was superseded.
    """
    superseded = verdict is not None and verdict.result is Result.SUPERSEDED
    kept = known.verdict if superseded and known.rejected else verdict or known.verdict
    notes = {}
    if known.record is not None and known.doubts and verdict is None:
        written = annotations_of(known.record)  # a newer Penstock may read what we cannot
        kinds = (names.ANNOTATION_VERDICT, names.ANNOTATION_ATTEMPT)
        notes = {kind: written[kind] for kind in kinds if kind in written}
    elif kept:
        notes[names.ANNOTATION_VERDICT] = json.dumps(kept.wire(), separators=(",", ":"))
        notes[names.ANNOTATION_ATTEMPT] = str(kept.attempt)
    if promoted:
        notes[names.ANNOTATION_PROMOTED] = str(promoted)
    return notes


def _latest(
    world: World, known: dict[str, Known], unread: Mapping[str, Unread]
) -> tuple[Known | None, tuple[str, str] | None]:
    if world.spec is None:
        return None, world.problem
    if told := budgets.unkept(world.spec.budgets, has_tiers=bool(world.spec.template.tiers)):
        return None, ("Invalid", told)
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
    return _as_cut(world, cut, known, unread)


def _as_cut(
    world: World, cut: Revision, known: dict[str, Known], unread: Mapping[str, Unread]
) -> tuple[Known | None, tuple[str, str] | None]:
    """The revision that has the name of what was cut just now, or a new one."""
    if same := known.get(cut.name):
        if (same.cut.declared, same.cut.references) != (cut.declared, cut.references):
            return None, ("HashCollision", _COLLISION.format(cut.name))
        return same, None
    if found := unread.get(cut.name):
        if found.newer:
            return None, ("RecordUnreadable", found.why)
        return _noted(cut, found.record), None
    if not world.settled:
        return None, None
    if told := runtimes.refusal(world, cut, (item.cut for item in known.values())):
        return None, ("RuntimeTooOld", told)
    harm = world.rollout.spec.analysis.harm if world.rollout else None
    if told := mentions.unpriced(harm, cut.template):
        return None, (validation.Reason.INVALID_TOOL.value, told)
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


def _stable(
    world: World, known: dict[str, Known], decided: AgentRolloutStatus, recorded: Collection[str]
) -> str:
    """Who is stable: the decision in force, else the Agent's word, else the last promotion.

    One of whom nothing is left serves nobody: the last promotion comes before it.
    """
    said = decided.stable_revision or world.status.stable_revision or ""
    serves = "" if remembered.gone(world, said, recorded) else said
    return who_is_stable(serves, (item.told for item in known.values()))
