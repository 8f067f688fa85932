"""Every Redis key, by function. All keys of an agent share one hash tag, and so one slot.

``T`` stands for the tag ``{<namespace>/<agent>}``::

    T:route                 hash    the route record: uid epoch version stable canary percent …
    T:revisions, T:stale    set     revision hashes with keys; those with tasks of a former uid
    T:rev:<hash>            hash    standing, limits, turns of the lanes, tasks ever routed
    T:q:<hash>:<lane>       stream  task ids, consumer group ``w``
    T:bell:<hash>           list    rings when a task was queued
    T:pins:<hash>           zset    sessions pinned to the revision, by the ms at which the pin ends
    T:users:<hash>          HLL     users, sessions or tasks ever routed to it
    T:task:<id>             hash    a task, expires after its end
    T:ev:<id>               stream  its events, expire with it
    T:idem:<tenant>:<digest>  hash  the task of an idempotency key and the digest of its content
    T:sess:<tenant>:<id>    hash    pin, unfinished task and conversation of a session
    T:wait:<tenant>:<id>    list    tasks of a session that wait for the one before
    T:outcomes              stream  outcome rows
    T:rings                 hash    who goes first, by digest, with the number of the ring
    T:recent                list    the last parts of the newest tasks' ids, newest first
    T:waits                 zset    sessions in which tasks wait for an earlier one
    T:sessions:<tenant>     zset    a tenant's sessions, by the ms at which each ends
    T:esc:<id>, T:parked, T:schema:<digest>, T:approving   calls that wait for a person, see ``shared/parking.lua``
    T:told, T:outbox:<target>, T:undelivered:<target>   what webhooks are told of them, see ``outbox.lua``
    T:effects…              what calls of tools have done, see ``shared/effects.lua`` and ``undoing.lua``
    T:shadow:…              copies of stable's tasks for a canary, see ``shared/shadow.lua``
    T:answer:<digest>       hash    what a model answered to a request, for requests that come again
    T:answers               zset    their digests, by the ms at which each ends
    T:tail                  hash    what workers have written last, and what Redis may have lost of it
    T:spend:<day>           hash    micro-USD that a day's ended tasks have cost, by revision
    T:spend:models:<window>:<begin>  hash  the same of a day or month by model
    T:budget, T:led:…, T:call:<id>, T:open, T:line:…, T:refusals   the ledger, see ``shared/places.lua`` and ``ledger.lua``
    T:bell:ledger:<process> list    rings for calls that waited for others of the ledger
    T:news                  channel the id of each task that something happened to
    {<installation>}:agents, {<installation>}:agents:complete   the operator's index, ms of its stamp
    {<installation>}:sender hash    which gateway sends to webhooks, and until when
    {<namespace>/pool/<digest>}:breaker   hash    outages in a row of an address and a model
    {<namespace>/pool/<digest>}:pool:<account>  hash  what may be asked of it in a minute with one credential

Scripts build the keys that depend on what they read from the tag, in ``scripts/*.lua``.
"""

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from penstock.names import AgentKey
from penstock.task import LANES

GROUP: Final = "w"
_POOL_DIGITS: Final = 16
_SLOTS: Final = 16384
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def slot(key: str) -> int:
    """The cluster slot of a key: CRC16 (XMODEM) of its hash tag, modulo 16384."""
    start = key.find("{")
    end = key.find("}", start + 1)
    tagged = key[start + 1 : end] if start >= 0 and start + 1 < end else key
    return binascii.crc_hqx(tagged.encode(), 0) % _SLOTS


def well_named(agent: AgentKey) -> bool:
    """Whether both names are such as Kubernetes allows; others could leave their hash tag."""
    return bool(_NAME.fullmatch(agent.namespace) and _NAME.fullmatch(agent.name))


def session_part(tenant: str, session: str) -> str:
    """``<tenant>:<session>`` with the tenant quoted, so that no two pairs meet; "" without one."""
    return f"{quote(tenant, safe='')}:{session}" if session else ""


def idempotency_part(tenant: str, key: str) -> str:
    """What the key of an idempotency key ends with: the tenant and the digest of what it chose."""
    return f"{quote(tenant, safe='')}:{hashlib.sha256(key.encode()).hexdigest()}"


@dataclass(frozen=True)
class AgentKeys:
    """The keys of one agent.

    Raises:
        ValueError: the agent's names are not such as Kubernetes allows.
    """

    agent: AgentKey

    def __post_init__(self) -> None:
        if not well_named(self.agent):
            raise ValueError(f"{str(self.agent)!r} is no agent's namespace/name")

    @property
    def tag(self) -> str:
        """The hash tag, with its braces: what every key of the agent begins with."""
        return f"{{{self.agent}}}"

    @property
    def route(self) -> str:
        """The route record."""
        return f"{self.tag}:route"

    @property
    def outcomes(self) -> str:
        """The outcome log."""
        return f"{self.tag}:outcomes"

    @property
    def recent(self) -> str:
        """The index of the newest tasks."""
        return f"{self.tag}:recent"

    @property
    def versions(self) -> str:
        """Which version each revision of the route declares; an older operator writes none."""
        return f"{self.tag}:versions"

    @property
    def news(self) -> str:
        """The channel that names each task to which something happened."""
        return f"{self.tag}:news"

    def revision(self, revision: str) -> str:
        """Standing and limits of a revision."""
        return f"{self.tag}:rev:{revision}"

    def queue(self, revision: str, lane: str) -> str:
        """One lane of a revision's queue."""
        return f"{self.tag}:q:{revision}:{lane}"

    def queues(self, revision: str) -> list[str]:
        """Every lane of a revision's queue, in the order of ``LANES``."""
        return [self.queue(revision, lane) for lane in LANES]

    def bell(self, revision: str) -> str:
        """The doorbell of a revision."""
        return f"{self.tag}:bell:{revision}"

    def ledger_bell(self, process: str) -> str:
        """The bell that rings when a process need wait no longer for what others hold of a budget."""
        return f"{self.tag}:bell:ledger:{process}"

    @property
    def budget(self) -> str:
        """The budget in force."""
        return f"{self.tag}:budget"

    def spend(self, day: int) -> str:
        """What a day's ended tasks have cost, by revision; the day is counted since 1970."""
        return f"{self.tag}:spend:{day}"

    def pins(self, revision: str) -> str:
        """The sessions pinned to a revision."""
        return f"{self.tag}:pins:{revision}"

    def users(self, revision: str) -> str:
        """Who was ever routed to a revision."""
        return f"{self.tag}:users:{revision}"

    def task(self, identifier: str) -> str:
        """A task."""
        return f"{self.tag}:task:{identifier}"

    def escalation(self, identifier: str) -> str:
        """A call that waits for a person."""
        return f"{self.tag}:esc:{identifier}"

    def schema(self, digest: str) -> str:
        """A tool's schema, by which changed arguments are checked."""
        return f"{self.tag}:schema:{digest}"

    def answer(self, digest: str) -> str:
        """What a model answered to the request with this digest."""
        return f"{self.tag}:answer:{digest}"

    @property
    def tail(self) -> str:
        """What workers have written last, and what Redis may have lost of it."""
        return f"{self.tag}:tail"

    def effects_of(self, revision: str) -> str:
        """What a revision's calls have done, summed up."""
        return f"{self.tag}:effects:of:{revision}"

    def effect_users(self, revision: str) -> str:
        """For whom they were."""
        return f"{self.tag}:effects:users:{revision}"

    def copies_waiting(self, revision: str) -> str:
        """The names of copies that wait for a revision."""
        return f"{self.tag}:shadow:{revision}"

    def events(self, identifier: str) -> str:
        """The events of a task."""
        return f"{self.tag}:ev:{identifier}"

    def idempotency(self, tenant: str, key: str) -> str:
        """The memory of a caller's idempotency key."""
        return f"{self.tag}:idem:{idempotency_part(tenant, key)}"

    def session(self, tenant: str, session: str) -> str:
        """A session."""
        return f"{self.tag}:sess:{session_part(tenant, session)}"

    def sessions(self, tenant: str) -> str:
        """The sessions of a tenant."""
        return f"{self.tag}:sessions:{quote(tenant, safe='')}"

    def waiting(self, tenant: str, session: str) -> str:
        """The tasks of a session that wait for the one before."""
        return f"{self.tag}:wait:{session_part(tenant, session)}"


def endpoint_mark(address: str, model: str) -> str:
    """What tells a model at an address from others, in keys and in what tasks have used."""
    return hashlib.sha256(f"{address}\n{model}".encode()).hexdigest()[:_POOL_DIGITS]


def endpoint_label(address: str, model: str) -> str:
    """By what tasks say what a model at an address has cost them: its mark, a space, its name."""
    return f"{endpoint_mark(address, model)} {model}"


def breaker(namespace: str, address: str, model: str) -> str:
    """What the workers of a namespace know together of a model at an address.

    No agent has a tag like it: a name has no slash.

    Raises:
        ValueError: it is no namespace's name.
    """
    return marked_breaker(namespace, endpoint_mark(address, model))


def marked_breaker(namespace: str, mark: str) -> str:
    """The same of the mark of a model at an address.

    Raises:
        ValueError: it is no namespace's name.
    """
    return f"{_of_endpoint(namespace, mark)}:breaker"


def pool(namespace: str, address: str, model: str, account: str) -> str:
    """What the workers of a namespace may ask of a model at an address with one credential together.

    Args:
        account: the digest of the credential.

    Raises:
        ValueError: it is no namespace's name.
    """
    return marked_pool(namespace, endpoint_mark(address, model), account)


def marked_pool(namespace: str, mark: str, account: str) -> str:
    """The same of the mark of a model at an address.

    Raises:
        ValueError: it is no namespace's name.
    """
    return f"{_of_endpoint(namespace, mark)}:pool:{account}"


def _of_endpoint(namespace: str, mark: str) -> str:
    if not _NAME.fullmatch(namespace):
        raise ValueError(f"{namespace!r} is no namespace's name")
    return f"{{{namespace}/pool/{mark}}}"


def index(installation: str) -> str:
    """The operator's index of agents: ``namespace/name`` to uid."""
    return f"{{{installation}}}:agents"


def index_complete(installation: str) -> str:
    """When the operator last wrote a complete index, ms."""
    return f"{index(installation)}:complete"


def sender(installation: str) -> str:
    """Which gateway sends to webhooks."""
    return f"{{{installation}}}:sender"
