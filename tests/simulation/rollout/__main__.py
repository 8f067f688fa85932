"""Plays the cells of the simulation that a file lacks, and prints the table of all.

``python -m tests.simulation.rollout FILE [WORDS]``: only cells with WORDS in their name. It can be
stopped at any time, and goes on where it was.
"""

from __future__ import annotations

import statistics
import sys

from tests.simulation.rollout.record import Record
from tests.simulation.rollout.scenarios import EVERY

_HEAD = "| cell | runs | condemned | promoted | tasks given, median | CPU-s a run |\n|---|---|---|---|---|---|"


def line(cell, runs):
    """One row of the table."""
    given = statistics.median(run.given for run in runs)
    cpu = statistics.mean(run.cpu_seconds for run in runs)
    condemned = sum(run.condemned for run in runs)
    promoted = sum(run.result == "Promoted" for run in runs)
    return f"| {cell.name} | {len(runs)} | {condemned} | {promoted} | {given:g} | {cpu:.2f} |"


def main(path, words="", *, play=True):
    """Play what is missing, cell by cell, and print each row as soon as it is known."""
    record = Record(path)
    print(_HEAD)
    for cell in EVERY:
        if words in cell.name and (runs := record.play(cell) if play else record.known(cell)):
            print(line(cell, runs), flush=True)


if __name__ == "__main__":
    shown = "--known" in sys.argv
    main(*[given for given in sys.argv[1:] if given != "--known"], play=not shown)
