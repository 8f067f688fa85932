"""The Lua scripts: one file each, with the shared pieces they name put before them."""

import hashlib
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from penstock.money import spend
from penstock.task import Counting, Outcome, OutcomeReason, TaskStatus

_FOLDER: Final = Path(__file__).parent
#: Which reader a task's hash needs: one that knows at least this version. New fields do not raise it.
TASK_VERSION: Final = 1
#: Of a task that undoes a call: who does not know it fails it, and asks no model.
COMPENSATION_VERSION: Final = 2
_UNGUARDED: Final = re.compile(r"^-- unguarded: .+$", re.MULTILINE)
_USES: Final = re.compile(r"^-- uses: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Retention:
    """How much is kept and for how long, how much is taken on, and when a task is given up.

    An idempotency key is kept from its task's end on, never shorter than the task.
    """

    outcome_rows: int = 500_000  # about; per agent
    evidence_rows: int = (
        1_000_000  # instead, while a canary is tried and for evidence_seconds after
    )
    evidence_seconds: int = 86_400
    event_rows: int = 1000  # about; per task
    event_bytes_kept: int = 4096  # of a task's events, the newest, once it has ended
    event_stream_seconds: int = 30  # how long the whole stream is kept besides
    ended_task_seconds: int = 3600
    idempotency_seconds: int = 3600
    idempotency_open_seconds: int = (
        86_400  # at least, while its task has not ended; anew with each worker
    )
    recent_tasks: int = 10_000  # in the index of an agent's tasks
    parked_tasks: int = 20_000  # of an agent, that wait for a person
    longest_wait_seconds: int = 604_800  # for one
    effect_rows: int = 400_000  # about, per agent; a call takes two
    effect_seconds: int = 2_592_000
    answers_per_agent: int = 10_000  # in the response cache
    longest_answer_seconds: int = 604_800
    session_seconds: int = 3600  # sliding
    session_max_seconds: int = 86_400  # of a pin, from its first task
    sessions_per_tenant: int = 100_000  # of one agent
    waiting_per_session: int = 100  # behind the task that runs
    queued_tasks: int = 50_000  # of an agent that declares no scaling.maxQueuedTasks
    most_lists_counted: int = 1000  # sessions with waiting tasks that a look counts
    most_parted: int = 5000  # of one silent worker, in one lane
    most_suspects: int = 250  # in one group
    max_deaths_alone: int = 2  # after which a task is given up; one that its parent saw is enough
    orphan_idle_ms: int = 15_000  # without a heartbeat for so long, a worker is gone
    copies_waiting: int = 32  # of an agent, that wait for its canary or run
    copy_bytes: int = 262_144  # of one
    copies_found: int = 50  # that went another way
    users_per_agent: int = 1_000_000  # that the ledger counts in one window
    quiet_ms: int = 15_000  # after a break of Redis, for workers to write again what may be lost
    idle_consumer_ms: int = 3_600_000  # a worker that holds nothing is forgotten after this

    def __post_init__(self) -> None:
        longest = max(self.idempotency_seconds, self.ended_task_seconds)
        object.__setattr__(self, "idempotency_seconds", longest)
        object.__setattr__(self, "evidence_rows", max(self.evidence_rows, self.outcome_rows))


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it."""

    name: str
    text: str
    sha: str
    guarded: bool = True  # unless a line of its own says why not


class Scripts:
    """All scripts, composed for one set of retention figures."""

    def __init__(self, retention: Retention) -> None:
        self._head = _figures(retention) + _endings()

    @cache  # noqa: B019 - lives as long as its store
    def __getitem__(self, name: str) -> Script:
        body = _read(name)
        pieces = [_read(piece) for piece in _uses(body)]
        text = "\n".join([self._head, *pieces, body])
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return Script(name, text, sha, guarded=not _UNGUARDED.search(body))


def names() -> list[str]:
    """The names of all scripts, without the shared pieces."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


def _figures(retention: Retention) -> str:
    figures = asdict(retention).items()
    return "".join(f"local {name.upper()} = {value}\n" for name, value in figures)


def _endings() -> str:
    """The ends that a task finds without a worker, as Lua: what counts as what has one home."""
    died = "its worker died each time it ran, at last when it ran alone"
    waited = "limits.queueSeconds is %s, no worker was free before"
    unknown = (
        "the result of %s is unknown: its worker was lost while it made the call, and then: %s; "
        "it is not called again"
    )
    nobody = "its revision was taken off, and no other serves that could take it over"
    preview = (
        "a preview goes on with no other revision than its own, which was taken off, has no workers, or may "
        "do no more"
    )
    bounded = (
        "what its revision may spend or do is used up, and no other serves that could take it over"
    )
    endings = {
        "dead": Outcome(TaskStatus.FAILED, OutcomeReason.INTERNAL, died),
        "expired": Outcome(TaskStatus.EXPIRED, OutcomeReason.LIMIT_QUEUE_SECONDS, waited),
        "unknown": Outcome(TaskStatus.ESCALATED, OutcomeReason.TOOL_ERROR, unknown),
        "cancelled": Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON, "cancelled by the caller"),
        "taken": Outcome(TaskStatus.ESCALATED, OutcomeReason.PERSON, "%s takes it over%s"),
        "nobody": Outcome(TaskStatus.CANCELLED, OutcomeReason.NONE, nobody),
        "bounded": Outcome(TaskStatus.LIMIT_EXCEEDED, OutcomeReason.BUDGET, bounded, left_out=True),
        "preview": Outcome(TaskStatus.CANCELLED, OutcomeReason.NONE, preview),
        "deleted": Outcome(TaskStatus.CANCELLED, OutcomeReason.NONE, "the agent was deleted"),
    }
    marks = ", ".join(str(mark) for mark in spend.MARKS if mark < spend.WHOLE)
    lines = [f"  {name} = {_lua(outcome)},\n" for name, outcome in endings.items()]
    counts = f'local LEFT_OUT = "{Counting.LEFT_OUT}"\nlocal ESCALATION = "{Counting.ESCALATION}"\n'
    head = f"local TASK_VERSION = {TASK_VERSION}\nlocal PERCENT_MARKS = {{{marks}}}\n{counts}"
    return f"{head}local ENDINGS = {{\n{''.join(lines)}}}\n"


def _lua(outcome: Outcome) -> str:
    counts = outcome.counting
    return (
        f'{{status = "{outcome.status}", reason = "{outcome.reason}", '
        f'message = "{outcome.message}", counting = "{counts}"}}'
    )


def _uses(body: str) -> list[str]:
    found = _USES.search(body)
    return [f"shared/{piece}" for piece in found.group(1).split()] if found else []


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
