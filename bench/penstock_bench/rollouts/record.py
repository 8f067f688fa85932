"""Runs kept as JSON lines, so that a bench that was stopped goes on; another version of the engine plays anew."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import penstock
from penstock_bench.rollouts.play import HOLD, NAMES, PRODUCT, Cell, Run, play

_SOURCES = ("analysis", "rollout", "api", "traffic.py", "outcomes.py")


def code() -> str:
    """Tells versions of the engine and of the bench apart."""
    root = Path(penstock.__file__).parent
    files = [f for name in _SOURCES for f in _python(root / name)] + _python(Path(__file__).parent)
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _python(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


class Record:
    """The runs of one file."""

    def __init__(self, file: Path) -> None:
        self._file, self._code = file, code()
        self._known: dict[tuple[str, str, int], Run] = {}
        for line in file.read_text().splitlines() if file.exists() else ():
            kept = json.loads(line)
            if kept.pop("code") == self._code:
                kept["look_ms"] = tuple(kept["look_ms"])
                self._note(Run(**kept))

    def _note(self, run: Run) -> None:
        self._known[run.cell, run.rule, run.seed] = run

    def runs(self, cell: Cell, rule: str) -> list[Run]:
        """What is known of a rule in a cell."""
        return [
            run for (name, who, _), run in self._known.items() if (name, who) == (cell.name, rule)
        ]

    def play_rounds(
        self, rounds: Iterable[tuple[int, Sequence[Cell]]], *, processes: int = 0
    ) -> Iterator[Run]:
        """Play what is missing of the product, of each seed all its cells, on all cores; one that is not waited for is lost."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with multiprocessing.Pool(processes or os.cpu_count()) as pool:
            for seed, cells in rounds:
                jobs = [(cell, PRODUCT, seed) for cell in cells]
                missing = [job for job in jobs if (job[0].name, *job[1:]) not in self._known]
                for run in pool.imap_unordered(_job, missing):
                    self._keep(run)
                    yield run

    def _keep(self, run: Run) -> None:
        with self._file.open("a") as kept:
            kept.write(json.dumps({**run.wire(), "code": self._code}) + "\n")
        self._note(run)

    def play(self, wanted: Iterable[tuple[Cell, int]], *, processes: int = 0) -> Iterator[Run]:
        """Play what is missing, on all cores; each run is kept as soon as it is known."""
        jobs = [
            (cell, rule, seed)
            for cell, seeds in wanted
            for rule in rules_of(cell)
            for seed in range(seeds)
            if (cell.name, rule, seed) not in self._known
        ]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with multiprocessing.Pool(processes or os.cpu_count()) as pool:
            for run in pool.imap_unordered(_job, jobs):
                self._keep(run)
                yield run


def rules_of(cell: Cell) -> list[str]:
    """Who plays a cell."""
    rivals = [name for name in NAMES if name not in (PRODUCT, HOLD)] if cell.rivals else []
    return [PRODUCT, *rivals, *([HOLD] if cell.hold else [])]


def _job(job: tuple[Cell, str, int]) -> Run:
    return play(*job)
