"""Runs of the simulation, kept as JSON lines: what was played already is not played again.

A line holds for the engine and the simulation that wrote it: another version of either plays anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import penstock.analysis
import penstock.rollout
from tests.simulation.rollout.scenarios import Cell

_SOURCES = tuple(
    Path(file).parent for file in (penstock.analysis.__file__, penstock.rollout.__file__, __file__)
)


@dataclass(frozen=True)
class Run:
    """One seed of a cell, played: the verdict, if there was one, and what led to it.

    ``given``: tasks that the canary got. ``begun``: the second in which what the cell is about
    began; None where nothing does. ``told``: reasons of events, each once.
    """

    cell: str
    seed: int
    code: str
    result: str
    reason: str
    message: str
    given: int
    begun: float | None
    told: tuple[str, ...]
    seconds: float
    cpu_seconds: float

    @property
    def condemned(self) -> bool:
        """Whether the canary was rejected."""
        return self.result == "Rejected"


class Record:
    """The runs in a file; without a file they are kept in memory only."""

    def __init__(self, path: str = "") -> None:
        """The runs of this code in a file, which may not be there yet."""
        self._path = Path(path) if path else None
        self._code = code()
        lines = self._path.read_text().splitlines() if self._path and self._path.exists() else ()
        found = (run for line in lines if (run := _read(line)) and run.code == self._code)
        self._runs = {(run.cell, run.seed): run for run in found}

    def known(self, cell: Cell) -> list[Run]:
        """The runs of a cell so far, by seed."""
        found = (self._runs.get((cell.name, seed)) for seed in range(cell.runs))
        return [run for run in found if run]

    def play(self, cell: Cell, runs: int | None = None) -> list[Run]:
        """So many seeds of a cell, of which those not known yet are played now."""
        return [self._run(cell, seed) for seed in range(cell.runs if runs is None else runs)]

    def _run(self, cell: Cell, seed: int) -> Run:
        known = self._runs.get((cell.name, seed))
        if known:
            return known
        begun = time.process_time()
        played = cell.play(seed)
        run = _run_of(cell, seed, self._code, played, time.process_time() - begun)
        self._runs[cell.name, seed] = run
        if self._path:
            self._append(self._path, json.dumps(asdict(run)))
        return run

    def _append(self, path: Path, line: str) -> None:
        """A line of its own, also after one that was cut off."""
        torn = path.exists() and not path.read_bytes().endswith(b"\n")
        with path.open("a") as file:
            file.write("\n" * torn + line + "\n")


def _run_of(cell, seed, written_by, played, cpu_seconds):
    verdict = played.verdict
    return Run(
        cell=cell.name,
        seed=seed,
        code=written_by,
        result=verdict.result.value if verdict else "",
        reason=verdict.reason.value if verdict else "",
        message=verdict.message if verdict else "",
        given=played.given["C"],
        begun=getattr(played, "begun", None),
        told=tuple(dict.fromkeys(played.told)),
        seconds=played.seconds,
        cpu_seconds=round(cpu_seconds, 3),
    )


def _read(line: str) -> Run | None:
    """A line of the file; one that was cut off as it was written is none."""
    try:
        fields = json.loads(line)
        return Run(**{**fields, "told": tuple(fields["told"])})
    except (ValueError, TypeError, KeyError):
        return None


def code() -> str:
    """Which engine and which simulation this is: a digest of their sources."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in _SOURCES for path in folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
