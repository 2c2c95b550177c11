"""Rebuilding every table from the log, beside reading it alone, and beside an event at a time."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.base import Must, Options, Report, median_ratio
from benchmarks.company import found, multiply
from benchmarks.contest import ROOT, Ground
from eventstore.workspace import Workspace
from projections.catch_up import BATCH_ROWS, catch_up
from replay.tables import new_generation, open_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstore.log import Log

READING, REBUILDING = "reading the log alone", "rebuilding all tables"
LIBRARY = "the library's ProjectionRunner"
EVENTS = 300_000
SAMPLE_EVENTS = 1_000
"""How many events the peer gets: it does as many each second whatever their number."""


def run(options: Options, say: Callable[[str], None]) -> Report:
    """The median of several rebuilds of one log."""
    report = Report("rebuild")
    wanted = options.events or EVENTS
    sample = min(SAMPLE_EVENTS, wanted)
    rates: dict[str, list[float]] = {READING: [], REBUILDING: [], LIBRARY: []}
    with (
        Ground.prepared(options) as ground,
        Workspace.open(ground.folder(), ground.database()) as workspace,
    ):
        say(f"writing {wanted:,} events")
        found(workspace, wanted)
        events = multiply(workspace, wanted)
        for number in range(1, options.rounds + 1):
            say(f"round {number} of {options.rounds}")
            rates[READING].append(events / seconds_of(read, workspace))
            rates[REBUILDING].append(events / seconds_of(rebuild, workspace))
            rates[LIBRARY].append(library(ground, sample))
    report.figures = {name: {"events_per_second": median(each)} for name, each in rates.items()}
    report.notes.append(f"{events:,} events; the library had {sample:,} events of two types")
    ratio = median_ratio(rates[REBUILDING], rates[LIBRARY])
    report.must = [Must(f"{REBUILDING} / {LIBRARY}", ratio, at_least=20)]
    return report


def seconds_of(work: Callable[[Workspace], None], workspace: Workspace) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work(workspace)
    return time.perf_counter() - began


def read(workspace: Workspace) -> None:
    """Read the whole log as projections do, and do nothing with it."""
    log: Log = workspace.log
    after = 0
    while len(table := log.read_arrow(after, BATCH_ROWS)):
        after = table["position"][-1].as_py()


def rebuild(workspace: Workspace) -> None:
    """Build all tables, those with personal columns too, from an empty folder."""
    with closing(open_tables(workspace, new_generation(workspace.directory))) as tables:
        for _ in catch_up(tables, workspace.log.read_arrow):
            pass
        assert tables.position == workspace.log.last_position()
        assert tables.poisoned == 0


def library(ground: Ground, events: int) -> float:
    """Events per second of the library's own machinery."""
    command = [sys.executable, "-m", "benchmarks.peers.library_projection", ground.database()]
    file = ground.folder() / "leads.duckdb"
    done = subprocess.run(
        [*command, str(file), str(events)], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True
    )
    return float(done.stdout)
