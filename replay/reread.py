"""The log read with other rules: some events told otherwise, or left out, and all else as it is.

What a fold makes of it goes into tables of its own; the log is only read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from eventstore.envelope import StoredEnvelope
from eventstore.mapper import EventMapper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventstore.envelope import RecordedEvent
    from projections.catch_up import ReadArrow

PAGE_ROWS = 50_000
UNSEEN = EventMapper(None)
"""Opens nothing: what is personal is hidden."""


class Row(NamedTuple):
    """An event as it is stored, as `Log.read_arrow` gives it; personal values stay sealed."""

    position: int
    event_id: bytes
    stream_id: bytes
    version: int
    type: str
    recorded_at: datetime
    occurred_at: datetime
    actor: bytes
    correlation_id: bytes
    causation_id: bytes | None
    data: bytes

    def opened(self) -> RecordedEvent:
        """The event, all that is personal hidden."""
        stored = StoredEnvelope(
            originator_id=UUID(bytes=self.stream_id),
            originator_version=self.version,
            topic=self.type,
            state=self.data,
            event_id=UUID(bytes=self.event_id),
            occurred_at=self.occurred_at,
            actor=UUID(bytes=self.actor),
            correlation_id=UUID(bytes=self.correlation_id),
            causation_id=UUID(bytes=self.causation_id) if self.causation_id else None,
            position=self.position,
            recorded_at=self.recorded_at,
        )
        return UNSEEN.to_domain_event(stored)


Retell = Callable[[Row], Row | None]
"""An event as it would be by other rules: the same row, another one, or None if there were none."""


@dataclass(slots=True)
class Retold:
    """How often an event of each type was told otherwise, or left out."""

    otherwise: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Force:
    """From when on rules are in force: after a position, or after a time of each stream."""

    after: int | datetime | None
    _begun: set[bytes | UUID] = field(default_factory=set)

    def holds(self, event: Row | RecordedEvent) -> bool:
        """Whether they are in force for an event; those of a stream have to come in order."""
        if self.after is None or isinstance(self.after, int):
            return self.after is None or event.position > self.after
        if event.occurred_at > self.after:
            self._begun.add(event.stream_id)
        return event.stream_id in self._begun


def pages(read: ReadArrow, until: int) -> Iterator[pa.Table]:
    """The log up to a position, a page in memory at a time."""
    after = 0
    while True:
        page = read(after, PAGE_ROWS)
        full = len(page) == PAGE_ROWS
        page = page.filter(pc.field("position") <= until)
        if len(page):
            yield page
            after = page["position"][-1].as_py()
        if not full or after >= until:
            return


def retold(page: pa.Table, retells: Mapping[str, Retell], counted: Retold) -> pa.Table:
    """A page of the log; `retells` has for an aggregate who tells its events otherwise."""
    if not retells:
        return page
    types = page["type"].to_pylist()
    places = [at for at, type_ in enumerate(types) if type_.partition(".")[0] in retells]
    if not places:
        return page
    rows = page.select(Row._fields).take(places).to_pylist()
    stored, kept = None, [True] * len(types)
    for at, named in zip(places, rows, strict=True):
        row = Row(**named)
        told = retells[row.type.partition(".")[0]](row)
        if told is row:
            continue
        if told is None:
            kept[at] = False
            counted.left_out[row.type] += 1
            continue
        stored = stored or page["data"].to_pylist()
        types[at], stored[at] = told.type, told.data
        counted.otherwise[row.type] += 1
    if stored is not None:
        page = _with(_with(page, "type", types), "data", stored)
    return page if all(kept) else page.filter(pa.array(kept))


def _with(page: pa.Table, name: str, values: list[object]) -> pa.Table:
    at = page.schema.get_field_index(name)
    return page.set_column(at, page.schema.field(at), pa.array(values, page.schema.field(at).type))


def reader(coming: Iterator[pa.Table]) -> ReadArrow:
    """Pages as `Log.read_arrow` gives them: in order, once, so many at a time."""
    waiting: list[pa.Table] = []

    def read(_after: int, limit: int) -> pa.Table:
        nonlocal waiting
        while sum(map(len, waiting)) < limit and (page := next(coming, None)) is not None:
            waiting.append(page)
        table = pa.concat_tables(waiting) if waiting else NOTHING
        waiting = [table.slice(limit)] if len(table) > limit else []
        return table.slice(0, limit)

    return read


NOTHING = pa.table({"position": pa.array([], pa.int64())})
"""What is read of a log that has ended."""
