"""Following the log to its end, by batches."""

from __future__ import annotations

import sys
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

SETTLE_ROWS = 400_000
"""How many events may wait for one commit, in memory; what a crash then costs to do again."""

TURN_SECONDS = 0.0002
"""How long whoever wants the lock of the interpreter waits before it asks for it. DuckDB and Polars
give it back some 500 times a batch; with the usual 5 milliseconds one core would wait for it."""

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
    sys.setswitchinterval(TURN_SECONDS)
    writing: Future[Taken] | None = None
    try:
        for batch, settle in _coming(tables, read, until):
            if writing is not None:
                yield writing.result()
            writing = tables.later(partial(_take, tables, batch, settle=settle))
        if writing is not None:
            yield writing.result()
    finally:
        if writing is not None:
            wait([writing])


def _coming(
    tables: Tables, read: ReadArrow, until: int | None
) -> Iterator[tuple[Future[Batch], bool]]:
    """Batches that are being decoded, and whether to settle after them; one is read ahead."""
    after, waiting, more = tables.taken, 0, True
    rows = min(FIRST_ROWS, BATCH_ROWS)
    ahead: Future[Batch] | None = None
    while more:
        table = _up_to(until, read(after, rows))
        more, rows = len(table) == rows, min(2 * rows, BATCH_ROWS)
        coming = tables.later(partial(tables.read, table)) if len(table) else None
        if ahead is not None:
            settle = coming is None or waiting >= SETTLE_ROWS
            yield ahead, settle
            waiting *= not settle
        if coming is not None:
            after, waiting = table["position"][-1].as_py(), waiting + len(table)
        ahead = coming
    if ahead is not None:
        yield ahead, True


def _take(tables: Tables, coming: Future[Batch], *, settle: bool) -> Taken:
    batch = coming.result()
    began = time.monotonic()
    tables.apply(batch, settle=settle)
    seconds = round(time.monotonic() - began, 4)
    return Taken(len(batch.events), tables.taken, settle, seconds)


def _up_to(position: int | None, table: pa.Table) -> pa.Table:
    if position is None or not len(table) or table["position"][-1].as_py() <= position:
        return table  # not filtered, for that copies it
    return table.filter(pc.field("position") <= position)
