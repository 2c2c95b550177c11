"""How long a command takes when the log is short, and when it is long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from benchmarks.base import Must, Options, Report
from benchmarks.contest import Contestant, Ground, alternate, medians
from benchmarks.leads import QUALIFY, capture
from commands.base import handle
from commands.lead import CaptureLead, QualifyLead
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from uuid import UUID

SHORT_EVENTS, LONG_EVENTS = 10_000, 10_000_000
WINDOWS = 5
CALLERS = 64
FILL_LEADS = 100_000
ASKED_AT_ONCE = 500

# Ids of events follow from commands and so lie anywhere in their index, as they do here.
FILL = """
    INSERT INTO backstory_default.log_events (originator_id, originator_version, topic, state,
        event_id, recorded_at, occurred_at, actor, correlation_id)
    SELECT lead, originator_version, topic, state, gen_random_uuid(), recorded_at, recorded_at,
        actor, uuidv7()
    FROM (SELECT uuidv7() AS lead FROM generate_series(1, %s)) AS leads,
        (SELECT * FROM backstory_default.log_events WHERE originator_id = %s
         ORDER BY originator_version) AS original
"""


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Windows on a short log and on a long one, in turn."""
    report = Report("length")
    long = options.events or LONG_EVENTS
    with Ground.prepared(options) as ground:
        contestants = [
            Contestant(f"{events:,} events in the log", prepared(ground, events, say), alone=True)
            for events in (min(SHORT_EVENTS, long), long)
        ]
        short, long_ = (contestant.name for contestant in contestants)
        samples = alternate(contestants, ground, WINDOWS, say)
    report.figures = {name: medians(runs) for name, runs in samples.items()}
    report.notes.append(f"medians of {WINDOWS} windows, {CALLERS} callers, a third on old leads")
    ratio = report.figures[long_]["p99_ms"] / report.figures[short]["p99_ms"]
    report.must = [Must(f"p99 of a command: {long_} / {short}", ratio, at_most=1.5)]
    return report


def prepared(
    ground: Ground, events: int, say: Callable[[str], None]
) -> Callable[[Ground, str], AbstractContextManager[list[str]]]:
    """A log of so many events about leads; commands on some of them are measured."""
    folder, url = ground.folder(), ground.database()
    first = tell(folder, url, min(SHORT_EVENTS, events))
    with psycopg.connect(url, autocommit=True) as connection:
        for filled in range(min(SHORT_EVENTS, events), events, 2 * FILL_LEADS):
            say(f"a log of {filled:,} of {events:,} events")
            leads = min(FILL_LEADS, (events - filled + 1) // 2)
            connection.execute(FILL, (leads, first))
        connection.execute("VACUUM ANALYZE backstory_default.log_events")
        connection.execute("CHECKPOINT")

    @contextmanager
    def stage(_: Ground, __: str) -> Iterator[list[str]]:
        calling = [sys.executable, "-m", "benchmarks.callers", str(folder), url, str(CALLERS)]
        yield [*calling, "--old"]

    return stage


def tell(folder: Path, url: str, events: int) -> UUID:
    """Capture and qualify leads by commands; the id of the first one."""
    leads = [uuid7() for _ in range((events + 1) // 2)]
    qualify = QualifyLead.model_validate(QUALIFY)
    with Workspace.open(folder, url) as workspace, Writer(workspace.log) as writer:
        for number, lead in enumerate(leads):
            captured = CaptureLead.model_validate(capture(f"old.{number:08}"))
            handle(writer, captured, lead, Context(SYSTEM, uuid7()))
            answer = handle(writer, qualify, lead, Context(SYSTEM, uuid7()))
            if not number % ASKED_AT_ONCE or lead == leads[-1]:
                answer.result()
    return leads[0]
