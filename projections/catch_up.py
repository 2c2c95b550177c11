"""Following the log to its end, by batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from concurrent.futures import Future

    from projections.batch import Batch
    from projections.tables import Tables

BATCH_ROWS = 50_000
FIRST_ROWS = 12_500
"""The first batch is small, and each is twice the one before it until they are whole: decoding and
writing begin the sooner."""

SETTLE_ROWS = 500_000
"""How many events may wait for one commit, in memory; what a crash then costs to do again."""

ReadArrow = Callable[[int, int], pa.Table]
"""(after, limit) -> events after a position, as `Log.read_arrow` gives them."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch the tables have taken; `settled` says that readers see it."""

    events: int
    position: int
    settled: bool
    seconds: float


def catch_up(tables: Tables, read: ReadArrow, until: int | None = None) -> Iterator[Taken]:
    """Take the events that are new, up to a position or the end of the log; settle at the end.

    Three batches are under way at once: one is read, the one before it is decoded, and the one
    before that is written.
    """
    return take(tables, coming(tables, read, until))


def take(tables: Tables, batches: Iterator[Future[Batch]]) -> Iterator[Taken]:
    """Take batches as they come; settle at the end."""
    waiting = 0

    def taken(batch: Future[Batch], *, last: bool) -> Taken:
        nonlocal waiting
        events = batch.result()
        began = time.monotonic()
        settle = last or waiting + len(events.events) >= SETTLE_ROWS
        tables.apply(events, settle=settle)
        waiting = 0 if settle else waiting + len(events.events)
        seconds = round(time.monotonic() - began, 4)
        return Taken(len(events.events), tables.taken, settle, seconds)

    writing: Future[Taken] | None = None
    try:
        batch = next(batches, None)
        while batch is not None:
            following = next(batches, None)
            if writing is not None:
                yield writing.result()
            writing = tables.later(partial(taken, batch, last=following is None))
            batch = following
        if writing is not None:
            yield writing.result()
    finally:
        if writing is not None:
            wait([writing])


def coming(tables: Tables, read: ReadArrow, until: int | None) -> Iterator[Future[Batch]]:
    """The batches of a log that are new to tables, being decoded."""
    for page in pages(read, tables.taken, until, min(FIRST_ROWS, BATCH_ROWS)):
        yield tables.later(partial(tables.read, page))


def pages(read: ReadArrow, after: int, until: int | None, rows: int) -> Iterator[pa.Table]:
    """The events after a position up to another one; `rows` of them at first."""
    more = True
    while more:
        page = _up_to(until, read(after, rows))
        more, rows = len(page) == rows, max(rows, min(2 * rows, BATCH_ROWS))
        if len(page):
            yield page
            after = page["position"][-1].as_py()


def _up_to(position: int | None, table: pa.Table) -> pa.Table:
    if position is None or not len(table) or table["position"][-1].as_py() <= position:
        return table  # not filtered, for that copies it
    return table.filter(pc.field("position") <= position)
