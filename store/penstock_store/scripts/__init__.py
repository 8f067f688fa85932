"""The Lua scripts: one file each, with the shared pieces they name put before them."""

import hashlib
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Final

from penstock.task import Counting, Outcome, OutcomeReason, TaskStatus, counting

_FOLDER: Final = Path(__file__).parent
_USES: Final = re.compile(r"^-- uses: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Retention:
    """How much is kept and for how long, and when a dead worker's task is given up."""

    outcome_rows: int = 500_000  # about; per agent
    event_rows: int = 1000  # about; per task
    ended_task_seconds: int = 86_400
    idempotency_seconds: int = 86_400
    session_seconds: int = 3600  # sliding
    session_max_seconds: int = 86_400  # of a pin, from its first task
    max_deliveries: int = 5
    orphan_idle_ms: int = 15_000  # without a heartbeat for so long, a worker is gone
    idle_consumer_ms: int = 3_600_000  # and forgotten after this, when it holds nothing


@dataclass(frozen=True)
class Script:
    """A script as Redis gets it."""

    name: str
    text: str
    sha: str


class Scripts:
    """All scripts, composed for one set of retention figures."""

    def __init__(self, retention: Retention) -> None:
        self._head = _figures(retention) + _endings(retention)

    @cache  # noqa: B019 - lives as long as its store
    def __getitem__(self, name: str) -> Script:
        body = _read(name)
        pieces = [_read(piece) for piece in _uses(body)]
        text = "\n".join([self._head, *pieces, body])
        return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def names() -> list[str]:
    """The names of all scripts, without the shared pieces."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


def _figures(retention: Retention) -> str:
    figures = asdict(retention).items()
    return "".join(f"local {name.upper()} = {value}\n" for name, value in figures)


def _endings(retention: Retention) -> str:
    """The ends that a task finds without a worker, as Lua: what counts as what has one home."""
    died = f"its worker died {retention.max_deliveries} times"
    endings = {
        "dead": Outcome(TaskStatus.FAILED, OutcomeReason.INTERNAL, died),
        "cancelled": Outcome(TaskStatus.CANCELLED, OutcomeReason.PERSON, "cancelled by the caller"),
        "deleted": Outcome(TaskStatus.CANCELLED, OutcomeReason.NONE, "the agent was deleted"),
    }
    lines = [f"  {name} = {_lua(outcome)},\n" for name, outcome in endings.items()]
    return f'local LEFT_OUT = "{Counting.LEFT_OUT}"\nlocal ENDINGS = {{\n{"".join(lines)}}}\n'


def _lua(outcome: Outcome) -> str:
    counts = counting(outcome.status, outcome.reason)
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
