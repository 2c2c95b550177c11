"""Following the log to its end: one batch is decoded while the one before it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from concurrent.futures import Future

    from projections.batch import Batch
    from projections.tables import Tables

BATCH_ROWS = 100_000
SETTLE_ROWS = 1_000_000
"""How many events may wait for one commit; what a crash then costs to do again."""

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
    """Take the events that are new, up to a position or the end of the log; settle at the end."""
    after, waiting, more = tables.taken, 0, True
    ahead: Future[Batch] | None = None
    while more or ahead is not None:
        table = _up_to(until, read(after, BATCH_ROWS)) if more else None
        more = table is not None and len(table) == BATCH_ROWS
        coming = tables.read(table) if table is not None and len(table) else None
        if table is not None and len(table):
            after = table["position"][-1].as_py()
        if ahead is not None:
            began, batch = time.monotonic(), ahead.result()
            waiting += len(batch.events)
            settled = coming is None or waiting >= SETTLE_ROWS
            tables.apply(batch, settle=settled)
            waiting *= not settled
            seconds = round(time.monotonic() - began, 4)
            yield Taken(len(batch.events), tables.taken, settled, seconds)
        ahead = coming


def _up_to(position: int | None, table: pa.Table) -> pa.Table:
    return table if position is None else table.filter(pc.field("position") <= position)
