"""`make bench-rollout`: plays rollouts under seeded weather, and says which of the goals hold.

The product is its own counting and engine: outcome rows, fold, decision. Rivals decide by rules of their own on the same seeds.
Exits with 1 when a goal is missed; with few runs only where chance alone would hardly do that. Runs are kept in a file:
what was played is not played again, so that the full mode can be stopped and goes on.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from penstock_bench import machine, verdict
from penstock_bench.rollouts import alone, cells, goals, good, play, record, rules
from penstock_bench.rollouts.cells import Played
from penstock_bench.rollouts.goals import Said, Verdict
from penstock_bench.rollouts.play import Cell, Run
from penstock_bench.rollouts.record import Record

_FILE = machine.REPOSITORY / ".bench" / "bench-rollout" / "runs.jsonl"
#: The cell in which a rival shows how fast the machine is, and its CPU-ms there on the quiet reference machine: worked out from 345 on
#: one on which a task of saq cost 3.2 times and the SDK's plain call 4.1 times what they do there.
_YARDSTICK = "as good, 10/s"
_ARGO_STYLE_CPU_MS = 95.0
_HEAD = (
    "cell", "rule", "runs", "rolled back %", "95 % of users %", "promoted %", "undecided %",
    "tasks until rolled back, median / p90", "of them failed or escalated", "min to 95 %, median",
    "CPU-ms a look",
)  # fmt: skip


def main() -> int:
    """Play what is missing, print both tables; the exit code."""
    how = _options()
    conditions = machine.Conditions()
    if how.alone:
        some = [(p.cell.name, p.cell.weather) for p in cells.every() if how.only in p.cell.name]
        alone.table(some, how.alone, how.processes)
        return 0
    kept = Record(how.file)
    if how.good is not None:
        print(good.go_on(kept, how.only, how.good, how.processes))
        return int(good.is_broken(kept, how.only) and not how.unjudged)
    wanted = [(p.cell, _seeds(p, how)) for p in cells.every() if how.only in p.cell.name]
    wanted = [(cell, seeds) for cell, seeds in wanted if seeds]
    said_at = time.monotonic()
    for number, run in enumerate(kept.play(wanted, processes=how.processes), 1):
        if time.monotonic() - said_at > 20:
            said_at = time.monotonic()
            print(f"bench: {number} runs, the last {run.cell}", file=sys.stderr, flush=True)
    played = [(cell, kept.runs(cell, play.PRODUCT)) for cell, _ in wanted]
    print(conditions.describe(f"bench-rollout, {'full' if how.full else 'quick'}"), "\n")
    print(_table(kept, [cell for cell, _ in wanted]), "\n")
    untimed = _why_untimed(how, conditions)
    told = [
        *goals.judged(played, full=how.full, times=not untimed),
        *_least_harm(kept, [cell for cell, _ in wanted], full=how.full),
        *_restarts(how),
    ]
    print(_goals(told))
    if untimed:
        print("\nCPU time is not judged here:", "; ".join(untimed))
    missed = [said for said in told if said.verdict is Verdict.MISSED]
    return int(bool(missed) and not how.unjudged)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="as many runs as tell rare things")
    parser.add_argument("--runs", type=float, default=1.0, help="so many times as many runs")
    parser.add_argument("--only", default="", help="cells with these words in their name")
    parser.add_argument(
        "--alone", type=int, default=0, help="so many runs of the comparison alone, in each cell"
    )
    parser.add_argument(
        "--good", type=float, metavar="MINUTES",
        help="for so long versions that are as good as stable; then, or with 0, what is known of them",
    )  # fmt: skip
    parser.add_argument("--file", type=Path, default=_FILE, help="where runs are kept")
    parser.add_argument("--processes", type=int, default=0, help="as many as cores by default")
    parser.add_argument(
        "--unjudged", action="store_true", help="exit with 0 also where a goal is missed"
    )
    return parser.parse_args()


def _why_untimed(how: argparse.Namespace, conditions: machine.Conditions) -> tuple[str, ...]:
    """Why no CPU time is judged; empty where it is."""
    if not how.full:
        return ("the quick mode plays too little for that",)
    return verdict.noise(conditions.others(), [_yardstick()])


def _yardstick() -> verdict.Yardstick:
    """How fast this machine is now: the same rollout of a rival, weather and all, in which the product has no part."""
    cell = next(p.cell for p in cells.every() if p.cell.name == _YARDSTICK)
    took = [play.play(cell, rules.Argo.name, seed).cpu_seconds for seed in range(3)]
    return verdict.Yardstick(
        "CPU-ms of a rollout of Argo-style", 1000 * statistics.median(took), _ARGO_STYLE_CPU_MS
    )


def _seeds(played: Played, how: argparse.Namespace) -> int:
    runs = played.full if how.full else played.quick
    return math.ceil(runs * float(how.runs))


# ---------------------------------------------------------------------------------------- printed


def _table(kept: Record, shown: Sequence[Cell]) -> str:
    lines = [_HEAD, *(_line(cell, rule, kept.runs(cell, rule)) for cell in shown for rule in record.rules_of(cell))]  # fmt: skip
    return _markdown(lines)


def _line(cell: Cell, rule: str, runs: Sequence[Run]) -> tuple[str, ...]:
    over = [run for run in runs if goals.condemned(run)]
    full = [goals.minutes(run) for run in runs if run.full is not None]
    return (
        cell.name,
        rule,
        str(len(runs)),
        _percent(len(over), runs),
        _percent(len(full), runs),
        _percent(sum(map(goals.promoted, runs)), runs),
        _percent(sum(not run.verdict for run in runs), runs),
        goals.medians([run.given for run in over]),
        goals.medians([run.harmed for run in over]),
        goals.medians(full).partition(" ")[0],
        f"{sum(run.look_ms[0] for run in runs) / max(len(runs), 1):.1f}" if rule == play.PRODUCT else "",
    )  # fmt: skip


def _percent(count: int, runs: Sequence[Run]) -> str:
    return f"{100 * count / len(runs):.1f}" if runs else "–"


def _goals(told: Sequence[Said]) -> str:
    head = ("goal", "cell", "what", "seen", "asked", "")
    return _markdown([head, *((s.goal, s.where, s.what, s.seen, s.asked, s.verdict.value) for s in told)])  # fmt: skip


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * len(lines[0]), *rows[1:]])


def _least_harm(kept: Record, played: Sequence[Cell], *, full: bool) -> list[Said]:
    """Of each bad version that rivals have played, and a good one at the same traffic."""
    return [
        goals.least_harm(bad, _of_rules(kept, bad), _of_rules(kept, good), full=full)
        for bad, good in cells.beside_rivals()
        if bad in played and good in played
    ]


def _of_rules(kept: Record, cell: Cell) -> dict[str, list[Run]]:
    return {rule: kept.runs(cell, rule) for rule in record.rules_of(cell)}


# --------------------------------------------------------------------------------------- restarts


def _restarts(how: argparse.Namespace) -> list[Said]:
    """An operator that starts anew at each look decides the same: one seed of some cells."""
    names = ("errors 2.0% -> 8%, 1/s", "cost x 2.5, 1/s")
    some = [p.cell for p in cells.every() if p.cell.name in names and how.only in p.cell.name]
    return [_restarted(cell) for cell in some]


def _restarted(cell: Cell) -> Said:
    seeds = (0, 1)
    same = sum(play.is_the_same_after_restarts(cell, seed) for seed in seeds)
    verdict = Verdict.HELD if same == len(seeds) else Verdict.MISSED
    what = "decides the same when it restarts at each look"
    return Said("G10", cell.name, what, f"{same}/{len(seeds)}", "all", verdict)


if __name__ == "__main__":
    sys.exit(main())
