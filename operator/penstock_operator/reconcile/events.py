"""Kubernetes Events that the operator posts: one per transition, with numbers and a command."""

from datetime import datetime

from penstock.api.condition import timestamp
from penstock.api.reasons import EventReason
from penstock.rollout.situation import Happening
from penstock_operator.cluster import wire
from penstock_operator.cluster.kinds import EVENT, Object, name_of, namespace_of, uid_of

_LONGEST_NAME = 200  # of the object's own, so that all of it is a name


def event(about: Object, happening: Happening, *, now: datetime, suffix: str) -> Object:
    """An Event about an object.

    Args:
        suffix: makes its name unique, e.g. a few random hex digits.
    """
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {
            "name": f"{name_of(about)[:_LONGEST_NAME].rstrip('-.')}.{suffix}",
            "namespace": namespace_of(about),
        },
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": name_of(about),
            "namespace": namespace_of(about),
            "uid": uid_of(about),
        },
        "type": "Warning" if happening.warning else "Normal",
        "reason": happening.reason,
        "note": wire.cut_bytes(happening.message, wire.NOTE_BYTES),
        "action": "Reconcile",
        "reportingController": "penstock.dev/operator",
        "reportingInstance": "penstock-operator",
        "eventTime": timestamp(now)[:-1] + ".000000Z",
    }


def revision_created(name: str) -> Happening:
    """A new revision was cut from the template."""
    return Happening(EventReason.REVISION_CREATED, f"cut revision {name} from spec.template")


def revision_tampered(name: str) -> Happening:
    """A projection did not equal its record and was put back."""
    message = f"ConfigMap {name} was changed or removed; it was projected again from its record"
    return Happening(EventReason.REVISION_TAMPERED, message, warning=True)


def status_unreadable(lost: tuple[str, ...]) -> Happening:
    """Parts of a status were written by a newer Penstock, or by hand, and are written anew."""
    message = (
        f"this Penstock cannot read {', '.join(lost)}, written by a newer one or by hand; it goes "
        "on from what it can read"
    )
    return Happening(EventReason.STATUS_UNREADABLE, message, warning=True)


def released(name: str, version: int) -> Happening:
    """An Agent without an AgentRollout took a new revision."""
    return Happening(EventReason.RELEASED, f"{name} takes all traffic (route version {version})")


def name_conflict(kind: str, name: str) -> Happening:
    """A child's name is taken by an object of another owner."""
    message = f"{kind} {name} belongs to another owner; remove or rename it"
    return Happening(EventReason.NAME_CONFLICT, message, warning=True)
