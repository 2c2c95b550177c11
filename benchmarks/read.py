"""Questions about the past, asked of a long history: they must cost about what today costs.

Before the history is made so long, every report is asked of two years of a company.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.base import Must, Options, Report, percentile
from benchmarks.company import END, found, lengthen
from benchmarks.contest import Ground
from eventstore.workspace import Workspace
from projections.deal import deal
from readmodels.catalog import queries
from readmodels.lead import lead_board
from readmodels.pipeline import deal_pipeline
from readmodels.query import Moment, page, records
from replay.tables import catch_up, open_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from readmodels.base import Database
    from readmodels.query import Query

ROWS = 50
HISTORY_ROWS = 1_000_000
LONG = ("deal", "lead")
"""The dimensions with so many versions."""
DAYS = 700
REPORT_MS_MAX = 50.0
"""Of processor time, for the processor may be busy with somebody else's work."""
TRIES = 5
QUESTIONS = {
    "a page of deals": records(deal.shapes[0].table)[0],
    "the pipeline": deal_pipeline,
    "the lead board": lead_board,
}


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Each question about now and about days in the past, in turn."""
    report = Report("read")
    with (
        Ground.prepared(options) as ground,
        Workspace.open(ground.folder(), ground.database()) as workspace,
    ):
        say("telling two years of a company")
        found(workspace, options.events)
        with closing(open_tables(workspace)) as tables:
            catch_up(tables, workspace.log, workspace.log.last_position())
            wanted = 10 * options.events if options.events else HISTORY_ROWS
            say("every report")
            slowest = reported(tables.database, tables.position, report)
            report.must.append(
                Must("slowest report in ms of processor time", slowest, at_most=REPORT_MS_MAX)
            )
            for dimension in LONG:
                say(f"{wanted:,} versions of {dimension}s")
                rows = lengthen(tables.database, dimension, wanted)
                report.notes.append(f"{rows[0]:,} versions and {rows[1]:,} {dimension}s of now")
            for name, query in QUESTIONS.items():
                say(name)
                now, past = asked(tables.database, query, tables.position, options)
                report.figures[f"{name}, now"] = spread(now)
                report.figures[f"{name}, in the past"] = spread(past)
                ratio = percentile(past, 0.5) / percentile(now, 0.5)
                report.must += [
                    Must(f"{name}: the past / now", ratio, at_most=2.0),
                    Must(f"{name}: p99 in seconds", percentile(past, 0.99), at_most=1.0),
                ]
    return report


def reported(database: Database, position: int, report: Report) -> float:
    """Processor time of each report, about now and about the past; the most, in milliseconds."""
    customer = database.query(
        "SELECT customer_id FROM customer_profile() ORDER BY interactions DESC, customer_id LIMIT 1"
    ).item()
    contact = database.query("SELECT min(id) FROM contact").item()
    took: dict[str, list[float]] = {}
    for name, query in queries().items():
        key = contact if name.startswith("contact_") else customer
        for moment in (Moment(None, position), Moment(END - timedelta(days=DAYS // 2), position)):
            used = [
                seconds_of(database, query, moment, time.process_time, id=key, subject_id=key)
                for _ in range(TRIES)
            ]
            took.setdefault(name, []).append(min(used) * 1000)
    slowest = max(took, key=lambda name: max(took[name]))
    for name in took:
        report.figures[f"report {name}"] = {
            "now_cpu_ms": took[name][0],
            "past_cpu_ms": took[name][1],
        }
    report.notes.append(f"the slowest report is {slowest}")
    return max(took[slowest])


def asked(
    database: Database, query: Query, position: int, options: Options
) -> tuple[list[float], list[float]]:
    """How long answers took, about now and about one day after the other, alternating."""
    now: list[float] = []
    past: list[float] = []
    deadline = time.perf_counter() + options.seconds
    while not past or time.perf_counter() < deadline:
        day = END - timedelta(days=len(past) * 37 % DAYS, hours=1)
        now.append(seconds_of(database, query, Moment(None, position)))
        past.append(seconds_of(database, query, Moment(day, position)))
    return now, past


def seconds_of(
    database: Database,
    query: Query,
    moment: Moment,
    clock: Callable[[], float] = time.perf_counter,
    **keys: Any,
) -> float:
    """How long the first page of an answer takes."""
    given = {name: keys.get(name) for name in query.parameters}
    began = clock()
    page(database, query, moment, given, limit=ROWS)
    return clock() - began


def spread(waits: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, and how many there were."""
    return {f"p{share}_ms": percentile(waits, share / 100) * 1000 for share in (50, 99)} | {
        "answers": len(waits)
    }
