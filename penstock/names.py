"""Names that more than one part of Penstock must spell alike: labels, annotations, conditions."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

GROUP: Final = "penstock.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGER: Final = "penstock"  # field manager of everything the operator builds
VERDICT_MANAGER: Final = "penstock-verdict"  # of its own: a re-apply of the record keeps verdicts
DECISIONS_MANAGER: Final = "penstock-decisions"  # of the record of decisions and its chain's end
EFFECTS_MANAGER: Final = "penstock-effects"  # of what is told there of calls

LABEL_MANAGED: Final = "app.kubernetes.io/managed-by"
LABEL_AGENT: Final = f"{GROUP}/agent"
LABEL_REVISION: Final = f"{GROUP}/revision"  # value: the hash alone

ANNOTATION_REQUEST: Final = f"{GROUP}/request"
ANNOTATION_REQUESTED_BY: Final = f"{GROUP}/requested-by"
ANNOTATION_VERDICT: Final = f"{GROUP}/verdict"
ANNOTATION_PROMOTED: Final = f"{GROUP}/promoted-sequence"
ANNOTATION_ATTEMPT: Final = f"{GROUP}/attempt"
ANNOTATION_DECISIONS: Final = f"{GROUP}/decisions"  # number and digest of the last one
ANNOTATION_EFFECTS: Final = f"{GROUP}/effects"  # what its calls have done, as JSON

REVISION_FILE: Final = "revision.json"  # key in the ConfigMap that workers mount
PRICES_FILE: Final = "prices.json"  # key in the ConfigMap of the installation's own prices
HASH_LENGTH: Final = 8
_HASH: Final = rf"[0-9a-f]{{{HASH_LENGTH}}}"
_HASH_AT_END: Final = re.compile(rf"(?:.*-)?({_HASH})", re.ASCII)
MAX_AGENT_NAME: Final = 63
_MAX_CHILD: Final = 63


@dataclass(frozen=True, order=True)
class AgentKey:
    """Which agent: the namespace and name of its Agent resource."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "AgentKey":
        """Read ``namespace/name``. Raises ValueError when the slash is missing."""
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name):
            raise ValueError(f"{text!r} is not namespace/name")
        return cls(namespace, name)


def revision_name(agent: str, revision_hash: str) -> str:
    """Name of a revision's record, ConfigMap and Deployment: ``<agent>-<hash>``, at most 63 long."""
    room = _MAX_CHILD - len(revision_hash) - 1
    if len(agent) > room:
        digest = hashlib.sha256(agent.encode()).hexdigest()[:6]
        agent = f"{agent[: room - 7].rstrip('-.')}-{digest}"
    return f"{agent}-{revision_hash}"


def decisions_name(revision: str) -> str:
    """Name of the ConfigMap with the decisions on a revision."""
    return f"{revision}-decisions"


def prices_name(agent: str) -> str:
    """Name of the ConfigMap from which an agent's workers read the installation's own prices."""
    return f"penstock-prices-{agent}"


def is_hash(text: str) -> bool:
    """Whether it is the whole hash of a revision."""
    return re.fullmatch(_HASH, text, re.ASCII) is not None


def hash_named(revision: str) -> str:
    """The hash that a person means by a revision's name, or by the hash alone.

    Raises:
        ValueError: it ends with no whole hash.
    """
    if found := _HASH_AT_END.fullmatch(revision):
        return found[1]
    raise ValueError(f"must be the name of a revision, or its hash of {HASH_LENGTH} digits")


def hash_of(revision: str) -> str:
    """The hash in a revision's name; an empty name has an empty hash."""
    return revision[-HASH_LENGTH:]
