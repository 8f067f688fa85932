"""Tasks as callers see them: admitted, read, cancelled, looked for."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from penstock import protocol
from penstock import task as tasks
from penstock.api import budgets
from penstock.errors import AdmissionRefused
from penstock.names import LABEL_AGENT, LABEL_REVISION, AgentKey, revision_name
from penstock.task import Submission, Task, TaskStatus
from penstock.traffic import Arm, WayBack
from penstock_store import codec, keys, listing, money
from penstock_store.agent_scripts import AgentScripts
from penstock_store.listing import Place, TaskPage, Wanted
from penstock_store.records import Admission
from penstock_store.routes import Routes

_BEGINNING: Final = Place()
_ADMITTED: Final = 6  # parts of the answer of a task that was admitted before
_RETRY_SECONDS: Final = 5
#: What is refused because nobody serves the caller now: the words, and when to try again. A step lasts for minutes.
_NOT_SERVED: Final = {
    "agent-suspended": ("agent {} is suspended", 30),
    "not-assigned": (
        "the first revision of agent {} does not serve this user: it is given out step by step, or was taken off, and no other one serves",
        60,
    ),
}
#: What does not fit a task or a session that was there before.
_CONFLICTS: Final = {
    "idempotency-key-reused": "this idempotency key was used for a task with another content",
    "session-of-another-user": "this session was begun for another user; begin one of your own, or begin "
    "sessions for several users with sharedSession",
}
#: What is refused because a bound is reached: the words, and when to try again.
_FULL: Final = {
    "queue-full": ("{} tasks of agent {} wait for a worker already", 5),
    "session-queue-full": ("{} tasks of this session wait for the one before already", 5),
    "too-many-sessions": ("this tenant has {} sessions with agent {} already", 60),
}


class Tasks:
    """Tasks as callers see them. ``routes`` says which agents are known to be absent."""

    def __init__(self, scripts: AgentScripts, routes: Routes) -> None:
        self._scripts = scripts
        self._routes = routes

    async def admit(self, agent: AgentKey, task: str, submission: Submission) -> Admission:
        """Route, pin, store and queue a task in one step, or return the one of the same key.

        The same call again (same ``task``) returns the task as it is now.

        Args:
            task: the id the task gets if it is new (``penstock.task.task_id``).

        Raises:
            AdmissionRefused: problem is one of agent-not-found, no-route, not-assigned, agent-suspended,
                idempotency-key-reused, input-too-long, session-of-another-user, queue-full,
                session-queue-full, too-many-sessions, rate-exceeded, budget-exceeded, preview-unavailable,
                session-of-another-revision.
        """
        if not keys.well_named(agent):
            raise not_found(agent)
        keyed, arguments = _admission(agent, task, submission)
        said, *rest = await self._scripts.run("admit", agent, *keyed, arguments=arguments)
        if said not in (b"new", b"old"):
            raise await self._refusal(agent, said.decode(), rest)
        with codec.reading("the task of this submission"):
            *texts, created_ms = rest[:_ADMITTED]
            identifier, revision, arm, version, status = (part.decode() for part in texts)
            over = "".join(part.decode() for part in rest[_ADMITTED:])
            follows, _, whose = over.partition(" ")
            return Admission(
                task=identifier,
                revision=revision,
                arm=Arm(arm),
                route_version=int(version),
                status=TaskStatus(status),
                existed=said == b"old",
                created_ms=int(created_ms),
                over_rate=whose,
                escalates=follows == "escalated",
            )

    async def get(self, identifier: str, tenant: str | None) -> Task | None:
        """The task of that id, if it is this tenant's; None: whosever it is."""
        agent = agent_of(identifier)
        if agent is None:
            return None
        key = keys.AgentKeys(agent).task(identifier)
        values = await self._scripts.connection.read("HMGET", key, *codec.TASK_FIELDS)
        stored = {
            name: value
            for name, value in zip(codec.TASK_FIELDS, values, strict=True)
            if value is not None
        }
        if not stored or (tenant is not None and stored.get("tenant") != tenant.encode()):
            return None
        return codec.task(agent, identifier, stored)

    async def has_acted(self, identifier: str) -> bool:
        """Whether a task has made calls that change something, or was about to; one of a version before does not tell."""
        agent = agent_of(identifier)
        if agent is None:
            return False
        key = keys.AgentKeys(agent).task(identifier)
        (word,) = await self._scripts.connection.read("HMGET", key, "effected")
        return bool(word)

    async def cancel(
        self, identifier: str, tenant: str, taken_by: str = "", why: str = ""
    ) -> Task | None:
        """Cancel a task: a queued one ends at once, a running one at its next step.

        ``taken_by`` takes it over: it ends Escalated then.

        Returns the task as it is afterwards (an ended one as it ended), None when this tenant
        has no such task.
        """
        agent = agent_of(identifier)
        if agent is None:
            return None
        key = keys.AgentKeys(agent).task(identifier)
        await self._scripts.run("cancel", agent, key, arguments=(identifier, tenant, taken_by, why))
        return await self.get(identifier, tenant)

    async def recent(
        self, agent: AgentKey, wanted: Wanted, place: Place = _BEGINNING, most: int = 50
    ) -> TaskPage:
        """The newest tasks of an agent that fit, after a place.

        A page reads at most ``listing.MOST_READ`` tasks, so it may be empty though more follow. Ids of tasks
        that are kept no longer are passed over.

        Raises:
            AdmissionRefused: agent-not-found.
        """
        if not keys.well_named(agent):
            raise not_found(agent)
        index = keys.AgentKeys(agent).recent
        bounds = (listing.MOST_READ, most, listing.MOST_FIELD_BYTES)
        asked = (place.number, place.digest, *bounds, wanted.document(agent), *listing.SHOWN)
        answer = await self._scripts.run("recent", agent, index, arguments=asked)
        page, is_empty = listing.page(agent, answer)
        if is_empty and not place.digest and await self._routes.knows_absent(agent):
            raise not_found(agent)
        return page

    async def _refusal(self, agent: AgentKey, problem: str, rest: list[Any]) -> AdmissionRefused:
        match problem:
            case "no-route" if await self._routes.knows_absent(agent):
                return not_found(agent)
            case problem if closed := _NOT_SERVED.get(problem):
                told, seconds = closed
                return AdmissionRefused(problem, told.format(agent), seconds)
            case problem if words := _CONFLICTS.get(problem):
                return AdmissionRefused(problem, words)
            case "input-too-long":
                return AdmissionRefused(problem, f"input has more than {rest[0]} characters")
            case problem if why := _OF_PREVIEWS.get(problem):
                return AdmissionRefused(problem, why(agent, *rest))
            case "budget-exceeded" | "rate-exceeded":
                spent = _used_up if problem == "budget-exceeded" else _too_fast
                return spent(agent, *rest)
            case problem if full := _FULL.get(problem):
                told, seconds = full
                return AdmissionRefused(problem, told.format(rest[0], agent), seconds)
            case _:
                return AdmissionRefused(
                    "no-route", f"agent {agent} has no route yet", _RETRY_SECONDS
                )


def agent_of(identifier: str) -> AgentKey | None:
    """The agent that a task id names, None when it cannot be an id of ours."""
    agent = tasks.agent_of(identifier)
    return agent if agent and keys.well_named(agent) else None


def not_found(agent: AgentKey) -> AdmissionRefused:
    """The refusal of an agent that is not there."""
    return AdmissionRefused("agent-not-found", f"there is no agent {agent}")


_RETRY: Final = "penstock retry {agent.name} --revision {name} -n {agent.namespace}"
#: How a revision that takes no work may come back.
_WAYS_BACK: Final = {
    WayBack.RETRY: f"give it another attempt with {_RETRY}",
    WayBack.DECLARE_AND_RETRY: f"apply its template again, then give it another attempt with {_RETRY}",
    WayBack.UNDO: "apply its template again, or have it serve everybody with "
    "penstock undo {agent.name} --to {name} -n {agent.namespace}",
    WayBack.DECLARE: "apply its template again",
    WayBack.UNKNOWN: f"apply its template again; where it was rejected before, {_RETRY} gives it another attempt then",
}
_REJECTED: Final = (WayBack.RETRY, WayBack.DECLARE_AND_RETRY)
#: Why a revision takes no preview, and what helps.
_NO_PREVIEW: Final = {
    "closed": "revision {name} {was}has no workers any more: {way_back}",
    "rejected": "revision {name} was rejected, and its workers take no work: {way_back}",
    "bounded": "revision {name} has done as much as analysis.harm lets a canary do: raise that first",
    "no-workers": "no worker of {name} was heard in the last minute: kubectl get pods -n {agent.namespace} "
    "-l {label}={agent.name},{of_revision}={hash} shows them; one that sleeps (scaling.minReplicas 0) has none",
    "older-workers": "the workers of {name} are of a release that does not keep previews apart: leave "
    "spec.template.worker.image empty, or set a newer image",
}


def _no_preview(agent: AgentKey, revision: bytes, why: bytes, way_back: bytes) -> str:
    """Why a revision takes no preview, and how it may come back, in words."""
    hash_ = codec.word(revision)
    known = {"name": revision_name(agent.name, hash_), "agent": agent, "hash": hash_}
    way = _way_back(way_back)
    told = {
        "label": LABEL_AGENT,
        "of_revision": LABEL_REVISION,
        "was": "was rejected, and " if way in _REJECTED else "",
        "way_back": _WAYS_BACK[way].format(**known),
    }
    return _NO_PREVIEW[codec.word(why)].format(**known, **told)


def _way_back(said: bytes) -> WayBack:
    """As the route has it; what another hand or a later release has written is not known."""
    try:
        return WayBack(codec.word(said))
    except ValueError:
        return WayBack.UNKNOWN


def _other_session(agent: AgentKey, revision: bytes) -> str:
    """Why a preview cannot go on with a session, in words."""
    name = revision_name(agent.name, codec.word(revision))
    return f"this session is on {name}: leave it out, or begin another one"


_OF_PREVIEWS: Final[Mapping[str, Callable[..., str]]] = {
    "preview-unavailable": _no_preview,
    "session-of-another-revision": _other_session,
}


def _too_fast(agent: AgentKey, scope: bytes, most: bytes, left_ms: int) -> AdmissionRefused:
    """The refusal of a task more than a user or tenant may submit in this minute."""
    whose = scope.decode()
    seconds = -(-left_ms // 1000)
    detail = (
        f"this {whose} has submitted {most.decode()} tasks to agent {agent} in this minute, as many as "
        f"budgets.per{whose.capitalize()}.requestsPerMinute allows; the minute ends in {seconds} s"
    )
    return AdmissionRefused("rate-exceeded", detail, seconds, scope=whose)


def _in_words(seconds: int) -> str:
    """How long it is, as somebody who waits reads it."""
    minutes, hours = -(-seconds // 60), -(-seconds // 3600)
    if seconds < 120:
        return f"{seconds} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h" if hours < 48 else f"{-(-hours // 24)} days"


def _used_up(agent: AgentKey, text: bytes, spent: int, left_ms: int) -> AdmissionRefused:
    """The refusal of a task for whose model calls a budget has nothing left."""
    limit = money.limit(text)
    if limit is None:
        raise codec.Unreadable(f"what is stored of the budget of agent {agent} cannot be read")
    seconds = -(-left_ms // 1000)
    detail = (
        f"the budget {budgets.field_of(limit)} of agent {agent} is {budgets.shown(limit, limit.most)}, "
        f"and {budgets.shown(limit, spent)} are spent; it is reset in {_in_words(seconds)}"
    )
    return AdmissionRefused("budget-exceeded", detail, seconds, scope=limit.scope.value)


def _admission(
    agent: AgentKey, task: str, submission: Submission
) -> tuple[list[str], list[str | int]]:
    own = keys.AgentKeys(agent)
    tenant, session, key = submission.tenant, submission.session, submission.idempotency_key
    keyed = [
        own.task(task),
        own.events(task),
        own.idempotency(tenant, key) if key else own.tag,
        own.session(tenant, session) if session else own.tag,
        own.waiting(tenant, session) if session else own.tag,
        own.sessions(tenant) if session else own.tag,
    ]
    arguments: list[str | int] = [
        task,
        codec.digest(submission) if key else "",
        int(bool(key)),
        keys.session_part(tenant, session),
        submission.user,
        session,
        submission.priority.value,
        len(submission.input),
        tenant,
        int(submission.shared_session),
        keys.idempotency_part(tenant, key) if key else "",
        submission.revision,
        protocol.PREVIEWS,
        *codec.submission_fields(submission),
    ]
    return keyed, arguments
