"""`python -m tests.faults [--seed N] [--only NAME | --today] [--seconds S]`: plays faults, prints what they broke."""

import argparse
import asyncio
import logging
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from bench.report import console, report
from tests.faults.faults import FAULTS, of_the_day
from tests.faults.scenario import Run, play
from tools.kafka.jars import BrokerUnavailable

KINDS = ("lost", "contradictory", "reordered", "unexplained", "fell back", "unsettled")
TARGETS = {kind.replace(" ", "_"): 0.0 for kind in KINDS}
SHOWN = 10


def main() -> int:
    """Run what was asked for; the status is 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed plays the same load and faults")
    parser.add_argument("--only", choices=[*FAULTS], action="append", help="one fault; may be repeated")
    parser.add_argument("--today", action="store_true", help="three faults, chosen by today's date (UTC)")
    parser.add_argument("--seconds", type=float, default=20, help="how long each fault lasts")
    parser.add_argument("--keep", type=Path, help="folder in which logs and data stay")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of what the services log, `ends` and the checker tell
    began, runs = time.monotonic(), []
    today = datetime.now(UTC).date()
    chosen = arguments.only or (of_the_day(today) if arguments.today else [*FAULTS])
    if arguments.today:
        _say(f"the faults of {today:%A, %d %B %Y}: {', '.join(chosen)}")
    for name in chosen:
        keep = arguments.keep / name if arguments.keep else None
        try:
            runs.append(asyncio.run(play(name, [FAULTS[name]], arguments.seed, arguments.seconds, keep)))
        except BrokerUnavailable as error:
            _say(f"faults: {error}")
            return 2
        _tell(runs[-1])
    _summary(runs)
    if chosen == [*FAULTS]:
        _report(runs, arguments.seconds, time.monotonic() - began)
    return 1 if any(run.violations for run in runs) else 0


def _tell(run: Run) -> None:
    """One line a run; more only about what must be looked at."""
    _say(
        f"{run.name} seed {run.seed}: accepted {run.accepted}, decided {run.decided}, "
        + ", ".join(f"{kind} {run.count(kind)}" for kind in KINDS)
        + f", repeated on the wire {run.repeated}, writes refused {len(run.refused)} of stopped routers, "
        f"{run.fenced} in all, settled in {run.settled_seconds:.1f} s"
    )
    for line in [*run.refused[:SHOWN], *run.ends[:SHOWN]]:
        _say(f"  {line}")
    for violation in run.violations[:SHOWN]:
        _say(f"  VIOLATED {violation.kind}: {violation.what}")
    if run.violations:
        _say(f"  replay: python -m tests.faults --seed {run.seed} --only {run.name} --keep FOLDER")


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _summary(runs: list[Run]) -> None:
    table = Table(title="faults", title_justify="left")
    table.add_column("fault", no_wrap=True)
    for column in ("taken", "decided", "broken", "again", "fenced", "back s", "quiet s"):
        table.add_column(column, justify="right")
    for run in runs:
        after = max((recovery.after for recovery in run.recoveries), default=0.0)
        figures = [run.accepted, run.decided, len(run.violations), run.repeated, run.fenced]
        table.add_row(run.name, *map(str, figures), f"{after:.1f}", f"{run.settled_seconds:.1f}")
    console.print(table)


def _report(runs: list[Run], seconds: float, took: float) -> None:
    figures = {
        "runs": float(len(runs)),
        "accepted": float(sum(run.accepted for run in runs)),
        "decided": float(sum(run.decided for run in runs)),
        **{kind.replace(" ", "_"): float(sum(run.count(kind) for run in runs)) for kind in KINDS},
        "zombie_writes_refused": float(sum(len(run.refused) for run in runs)),
        "fenced": float(sum(run.fenced for run in runs)),
        "repeated_on_the_wire": float(sum(run.repeated for run in runs)),
        "seconds": round(took, 1),
    }
    settings = {
        "seed": runs[0].seed,
        "seconds_a_fault": seconds,
        "recovered_after_seconds": {run.name: [round(r.after, 2) for r in run.recoveries] for run in runs},
        "longest_wait_seconds": {run.name: max((round(r.wait, 2) for r in run.recoveries), default=0) for run in runs},
        "settled_seconds": {run.name: round(run.settled_seconds, 1) for run in runs},
    }
    report("faults", figures, TARGETS, settings)


if __name__ == "__main__":
    sys.exit(main())
