"""Rebuilding every table from the log, beside copying it as it is, and beside an event at a time.

python -m benchmarks.rebuild DIRECTORY URL POSITION [BACKUP]      one rebuild, up to there
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.base import Must, Options, Report, median_ratio
from benchmarks.company import found, multiply
from benchmarks.contest import ROOT, Ground, ready
from eventstore.notes import SigningKeys
from eventstore.workspace import Workspace
from replay.apart import FROM_DATABASE, Apart
from replay.backup import Backup, write
from replay.segments import Segments
from replay.tables import catch_up, new_generation, open_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from replay.apart import Source

REBUILDING = "rebuilding all tables"
FROM_SEGMENTS = "rebuilding all tables from segments"
COPYING = "copying the log as it is"
LIBRARY = "the library's ProjectionRunner, one table"
EVENTS = 1_000_000
OURS = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
"""What rebuilds, and what reads for it; memory that both see is counted twice."""
SAMPLE_EVENTS = 4_000
"""How many events the peer gets: it does as many each second whatever their number."""


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Rounds of all contestants over one log, each in a process of its own."""
    report = Report("rebuild")
    rates: dict[str, list[float]] = {
        COPYING: [], REBUILDING: [], FROM_SEGMENTS: [], LIBRARY: [],
    }  # fmt: skip
    with Ground.prepared(options) as ground:
        folder, url = ground.folder(), ground.database()
        with Workspace.open(folder, url) as workspace:
            events = options.events or EVENTS
            say(f"writing {events:,} events")
            found(workspace, events)
            events = multiply(workspace, events)
            last, schema = workspace.log.last_position(), workspace.log.schema
            say("writing them as segments")
            segments = write(workspace, ground.folder()).folder
        whole: dict[str, float] = {}
        for number in range(1, options.rounds + 1):
            say(f"round {number} of {options.rounds}")
            whole = rebuilt(folder, url, last)
            rates[REBUILDING].append(whole["events"] / whole["seconds"])
            other = rebuilt(folder, url, last, segments)
            rates[FROM_SEGMENTS].append(other["events"] / other["seconds"])
            copy = ground.folder() / "copy.duckdb"
            rates[COPYING].append(told("peers.raw_copy", folder, url, copy))
            copy.unlink()
            rates[LIBRARY].append(told("peers.library_projection", url, schema, SAMPLE_EVENTS))
        say("memory at half the length")
        half = rebuilt(folder, url, last // 2)
    report.figures = {name: {"events_per_second": median(each)} for name, each in rates.items()}
    report.figures[REBUILDING] |= {
        f"{unit}_per_event": whole[unit] * scale / whole["events"]
        for unit, scale in (("cpu_us", 1e6), ("file_bytes", 1.0))
    }
    report.figures["memory, whole log"] = {"peak_mb": whole["peak_mb"]}
    report.figures["memory, half of it"] = {"peak_mb": half["peak_mb"]}
    report.notes.append(
        f"{events:,} events; the library had the first {SAMPLE_EVENTS:,} events of leads among "
        "them: it does as many each second whatever their number"
    )
    report.must = [
        Must(f"rebuild / {LIBRARY}", median_ratio(rates[REBUILDING], rates[LIBRARY]), at_least=60),
        Must(
            f"rebuild / {COPYING}", median_ratio(rates[REBUILDING], rates[COPYING]), at_least=0.25
        ),
        Must(
            "rebuild from segments / rebuild",
            median_ratio(rates[FROM_SEGMENTS], rates[REBUILDING]),
            at_least=0.9,
        ),
        Must("memory, whole log / half of it", whole["peak_mb"] / half["peak_mb"], at_most=1.25),
    ]
    return report


def told(module: str, *arguments: object) -> Any:
    """What a process of its own prints as it ends."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    return json.loads(done.stdout)


def rebuilt(folder: Path, url: str, position: int, *backup: Path) -> dict[str, float]:
    """What one rebuild took."""
    answer: dict[str, float] = told("rebuild", folder, url, position, *backup)
    return answer


def segments_of(folder: Path, workspace: Workspace) -> Source:
    """What reads the log from a backup."""
    backup = Backup.open(folder, SigningKeys.of(workspace.directory).verifiers)
    return partial(Segments, backup)


def cpu_seconds() -> float:
    """What this process has used, and those it had that have ended."""
    return sum(sum(resource.getrusage(which)[:2]) for which in OURS)


def main() -> None:
    """See above: all tables, those with personal columns too, from an empty folder."""
    directory, url, until, *backup = sys.argv[1:]
    with Workspace.open(Path(directory), url) as workspace:
        generation = new_generation(workspace.directory)
        apart = Apart(
            workspace, segments_of(Path(backup[0]), workspace) if backup else FROM_DATABASE
        )
        ready()
        began, used = time.perf_counter(), cpu_seconds()
        with closing(open_tables(workspace, generation)) as tables:
            catch_up(tables, workspace.log, int(until), apart=apart)
            assert tables.position == int(until)
            assert tables.poisoned == 0
            events = tables.database.query("SELECT count(*) FROM event").item()
        seconds, used = time.perf_counter() - began, cpu_seconds() - used
        files = sum(file.stat().st_size for file in generation.iterdir())
        for file in generation.iterdir():
            file.unlink()
    peak = sum(resource.getrusage(which).ru_maxrss for which in OURS) / 1024
    answer = {"events": events, "seconds": seconds, "cpu_us": used, "file_bytes": files}
    print(json.dumps(answer | {"peak_mb": peak}))


if __name__ == "__main__":
    main()
