"""Live traffic for an agent: requests at a fixed rate from users whose names never change.

    penstock dev traffic support --rate 20 --users 1000 --seconds 60

Requests leave on time whether or not earlier ones were answered (an open loop), so a slow revision
is seen as slow and does not thin its own load out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

SUCCEEDED = "Succeeded"
#: In place of a status: nobody answered, or not with a task.
NO_ANSWER = "NoAnswer"
REFUSED = "Refused"
QUESTIONS = (
    "Where is my order {order}?",
    "Has order {order} left your warehouse?",
    "Is there any news about order {order}?",
    "I am still waiting for order {order}.",
)
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class Pattern:
    """Who asks, how often and for how long. `seconds` None: until it is cancelled.

    Request number i comes from user i modulo `users`, the same in every run. `wait_seconds` is how
    long the gateway may keep a request until its task has ended.
    """

    rate_per_second: float = 20.0
    users: int = 1000
    seconds: float | None = None
    wait_seconds: float = 60.0
    questions: tuple[str, ...] = QUESTIONS

    def user(self, index: int) -> str:
        """Who sends request `index`, counted from 0: user-0001 and so on."""
        return f"user-{index % self.users + 1:04d}"

    def question(self, index: int) -> str:
        """What request `index` asks."""
        text = self.questions[index % len(self.questions)]
        return text.format(order=1001 + index % self.users)

    def requests(self) -> int | None:
        """How many requests there are in all, None for no end."""
        return None if self.seconds is None else round(self.seconds * self.rate_per_second)


@dataclass(frozen=True)
class Answer:
    """One request and what came back. Times in seconds: `sent_at` on the monotonic clock.

    `status` is the task's, or NO_ANSWER or REFUSED; `message` says why it did not succeed, `problem`
    what it was refused for in short, such as "503 not-assigned". `processing_seconds` is the time the task was worked on, `waited_seconds` what the user saw.
    """

    user: str
    question: str
    sent_at: float
    waited_seconds: float
    status: str
    task: str = ""
    revision: str = ""
    output: str = ""
    message: str = ""
    problem: str = ""
    processing_seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether the task succeeded."""
        return self.status == SUCCEEDED

    @property
    def is_task(self) -> bool:
        """Whether a task came of it, however that ended."""
        return self.status not in (REFUSED, NO_ANSWER)


@dataclass(frozen=True)
class Tally:
    """What one revision did; tallies subtract, for what happened since.

    ``tasks`` are those that were admitted; ``statuses`` counts what was refused or not answered, too.
    """

    tasks: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)
    processing_seconds: float = 0.0

    def __sub__(self, earlier: Tally) -> Tally:
        return Tally(
            self.tasks - earlier.tasks,
            Counter(self.statuses) - Counter(earlier.statuses),
            self.processing_seconds - earlier.processing_seconds,
        )

    def plus(self, answer: Answer) -> Tally:
        """With one answer more."""
        return Tally(
            self.tasks + answer.is_task,
            {**self.statuses, answer.status: self.statuses.get(answer.status, 0) + 1},
            self.processing_seconds + answer.processing_seconds,
        )

    @property
    def good(self) -> int:
        """Tasks that succeeded."""
        return self.statuses.get(SUCCEEDED, 0)

    @property
    def bad(self) -> int:
        """Tasks that did not succeed."""
        return self.tasks - self.good


@dataclass
class Ledger:
    """All answers in the order they came, and a tally per revision ("" for no revision)."""

    answers: list[Answer] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    sent: int = 0

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers.append(answer)
        self.tallies[answer.revision] = self.tally(answer.revision).plus(answer)

    def tally(self, revision: str) -> Tally:
        """What a revision did so far, zeros when nothing."""
        return self.tallies.get(revision, Tally())

    def refusals(self) -> Counter[str]:
        """How many requests were refused, by what they were refused for."""
        return Counter(answer.problem for answer in self.answers if answer.status == REFUSED)

    @property
    def unanswered(self) -> int:
        """Requests that nobody answered, or not with a task."""
        return sum(answer.status == NO_ANSWER for answer in self.answers)

    def sent_since(self, moment: float) -> list[Answer]:
        """The answers to requests sent at or after a moment of the monotonic clock."""
        return [answer for answer in self.answers if answer.sent_at >= moment]


def users_by_revision(answers: Iterable[Answer]) -> dict[str, set[str]]:
    """Which users each revision answered; a user who saw two is in both."""
    found: dict[str, set[str]] = {}
    for answer in answers:
        if answer.revision:
            found.setdefault(answer.revision, set()).add(answer.user)
    return found


def share_percent(answers: Iterable[Answer], revision: str) -> float | None:
    """The share of users whom a revision answered, in percent; None without any user."""
    users = users_by_revision(answers)
    everybody = set().union(*users.values())
    return 100 * len(users.get(revision, ())) / len(everybody) if everybody else None


# ------------------------------------------------------------------------------------- sending


@dataclass(frozen=True)
class Target:
    """The agent that is asked: the gateway's URL without a trailing slash, and a bearer token."""

    gateway_url: str
    token: str
    agent: str
    namespace: str = "default"

    @property
    def path(self) -> str:
        """Where tasks are posted."""
        return f"/v1/namespaces/{self.namespace}/agents/{self.agent}/tasks"

    def client(self) -> httpx.AsyncClient:
        """A client for many requests at once; nothing of the shell's proxy settings counts."""
        return httpx.AsyncClient(
            base_url=self.gateway_url,
            headers={"Authorization": f"Bearer {self.token}"},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            trust_env=False,
        )


@dataclass(frozen=True)
class _Sender:
    client: httpx.AsyncClient
    target: Target
    pattern: Pattern
    ledger: Ledger
    tell: Callable[[Answer], None] | None

    async def send(self, index: int) -> None:
        pattern = self.pattern
        answer = await ask(
            self.client,
            self.target,
            pattern.user(index),
            pattern.question(index),
            pattern.wait_seconds,
        )
        self.ledger.add(answer)
        if self.tell:
            self.tell(answer)


async def send(
    target: Target, pattern: Pattern, ledger: Ledger, tell: Callable[[Answer], None] | None = None
) -> None:
    """Send what the pattern says; each answer goes into the ledger and to `tell`.

    Returns when the last request is answered. Cancelled, it waits for no answer.
    """
    total = pattern.requests()
    begun = time.monotonic()
    async with target.client() as client, asyncio.TaskGroup() as requests:
        sender = _Sender(client, target, pattern, ledger, tell)
        for index in itertools.count() if total is None else range(total):
            await asyncio.sleep(begun + index / pattern.rate_per_second - time.monotonic())
            ledger.sent += 1
            requests.create_task(sender.send(index))


async def ask(
    client: httpx.AsyncClient, target: Target, user: str, question: str, wait_seconds: float
) -> Answer:
    """One request; whatever happens to it is an answer."""
    body = {"input": question, "user": user, "wait": wait_seconds}
    sent_at = time.monotonic()
    try:
        response = await client.post(target.path, json=body, timeout=wait_seconds + _GRACE_SECONDS)
        found = _read(response)
    except (httpx.HTTPError, ValueError) as error:
        found = {"status": NO_ANSWER, "message": f"{type(error).__name__}: {error}"}
    return Answer(user, question, sent_at, time.monotonic() - sent_at, **found)


def _read(response: httpx.Response) -> dict[str, Any]:
    document = response.json()
    if response.is_error:
        detail = document.get("detail") or document.get("title")
        kind = str(document.get("type") or "").rpartition("/")[2]
        problem = f"{response.status_code} {kind}".strip()
        message = f"{response.status_code} {detail}"
        return {"status": REFUSED, "message": message, "problem": problem}
    outcome = document.get("outcome") or {}
    return {
        "status": document["status"],
        "task": document["id"],
        "revision": document["revision"],
        "output": document.get("output") or "",
        "message": outcome.get("message") or outcome.get("reason") or "",
        "processing_seconds": document["usage"]["wallSeconds"],
    }


# ------------------------------------------------------------------------------ in a terminal


async def run(
    target: Target,
    pattern: Pattern,
    ledger: Ledger,
    say: Callable[[str], None] = print,
    every_seconds: float = 5.0,
) -> None:
    """Send traffic and say every few seconds, and at the end, what each revision did."""
    begun = time.monotonic()

    async def report() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            say(progress(ledger, time.monotonic() - begun))

    reporting = asyncio.create_task(report())
    try:
        await send(target, pattern, ledger)
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting
        say(summary(ledger))


def progress(ledger: Ledger, seconds: float) -> str:
    """One line: how long, how many, each revision's part of the tasks, and what came to no task."""
    tasks = sum(tally.tasks for tally in ledger.tallies.values())
    parts = [
        f"{revision or 'no revision'} {tally.tasks} ({100 * tally.tasks / tasks:.0f} %"
        + (f", {tally.bad} failed)" if tally.bad else ")")
        for revision, tally in ledger.tallies.items()
        if tally.tasks
    ]
    told = ", ".join([*parts, *no_tasks(ledger)]) or "-"
    return f"{seconds:5.0f} s  {ledger.sent} sent, {len(ledger.answers)} answered: {told}"


def no_tasks(ledger: Ledger) -> list[str]:
    """What was refused, and for what; what nobody answered."""
    refusals = ledger.refusals()
    why = ", ".join(f"{count} × {problem}" for problem, count in sorted(refusals.items()))
    told = [f"{refusals.total()} refused ({why})"] if refusals else []
    return [*told, *([f"{ledger.unanswered} without an answer"] if ledger.unanswered else [])]


def complaint(ledger: Ledger) -> str:
    """Why no revision answered, in the words of the last answer."""
    if not ledger.answers:
        return "no request was answered"
    last = ledger.answers[-1]
    return f"no revision answered; the last answer: {last.status}: {last.message}"


def summary(ledger: Ledger) -> str:
    """A line per revision: tasks, users, and how the tasks ended; then what came to no task."""
    users = users_by_revision(ledger.answers)
    lines = [f"{ledger.sent} requests, {len(ledger.answers)} answers"]
    for revision, tally in ledger.tallies.items():
        if not tally.tasks:
            continue
        ended = ", ".join(f"{count} {status}" for status, count in sorted(tally.statuses.items()))
        seen = len(users.get(revision, ()))
        lines.append(f"  {revision or 'no revision'}: {tally.tasks} tasks of {seen} users: {ended}")
    return "\n".join([*lines, *(f"  {one}" for one in no_tasks(ledger))])
