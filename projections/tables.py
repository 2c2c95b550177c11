"""The tables: batches of the log in, rows and bookmark out, in two files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from domain import EVENTS
from domain.custom_fields import CustomFieldsDeclared
from projections import DIMENSIONS, FACTS
from projections.base import Dimension, FactTable, Shape, declarations_hash
from projections.decode import Decoder
from projections.fold import AT, effective
from projections.log import event as event_table
from projections.log import poison_event, poison_value
from projections.log import stream as stream_table
from projections.personal import Opener, Unseal
from projections.projection import Projection
from projections.store import Store
from readmodels.base import PERSONAL, Database

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from domain.base import Event

EDITION = 1
"""Raised when the machinery writes other rows for the same declarations."""

POISON = (poison_event.name, poison_value.name)
POSITION = pl.col("position")


class Tables:
    """The tables of a workspace, in two files named by a hash of their declarations.

    The second file holds the personal columns; without `unseal` it is neither opened nor made.
    Each file has its own bookmark and skips what it has. One thread may `apply`; any may read.
    """

    def __init__(
        self,
        directory: Path,
        unseal: Unseal | None = None,
        *,
        dimensions: Sequence[Dimension] = DIMENSIONS,
        facts: Sequence[FactTable] = FACTS,
        events: Mapping[str, type[Event]] = EVENTS,
    ) -> None:
        shapes = [shape for declared in (*dimensions, *facts) for shape in declared.shapes]
        name = declarations_hash(shapes, EDITION)
        self.paths = (directory / f"tables-{name}.duckdb", directory / f"personal-{name}.duckdb")
        self.database = Database(*self.paths) if unseal else Database(self.paths[0])
        self._decoder = Decoder(events.values())
        self._open_main([shape for shape in shapes if not shape.table.personal])
        if unseal:
            self._open_personal([shape for shape in shapes if shape.table.personal], unseal)
        self._declared = False
        self._note()

    def _open_main(self, shapes: list[Shape]) -> None:
        tables = [event_table, stream_table, poison_event, *(shape.table for shape in shapes)]
        store = Store(self.database.connection(), self.database.catalog, tables)
        self._main = Projection(store, shapes)
        self._streams = self._main.carry(stream_table.name, ["id"])
        self._sides = [self._main]
        self.database.show(tables)

    def _open_personal(self, shapes: list[Shape], unseal: Unseal) -> None:
        tables = [poison_value, *(shape.table for shape in shapes)]
        store = Store(self.database.connection(), PERSONAL, tables)
        self._personal = Projection(store, shapes)
        self._opener = Opener(shapes, unseal)
        self._sides.append(self._personal)
        self.database.show(tables, PERSONAL)

    @property
    def taken(self) -> int:
        """The position up to which events were taken, committed or waiting."""
        return min(side.position for side in self._sides)

    def apply(self, batch: pa.Table, *, settle: bool = True) -> None:
        """Take the events of a batch that are new here.

        With `settle=False` they wait for a later `settle`, which commits all that waits at once:
        a rebuild writes the current row of each record once, not once a batch.
        """
        try:
            batch = batch.filter(pc.field("position") > self.taken)
            if len(batch):
                self._take(batch)
            if settle:
                self.settle()
        except BaseException:
            for side in self._sides:
                side.abandon()
            raise

    def settle(self) -> None:
        """Commit what waits: rows and bookmark, in each file in one transaction."""
        for side in self._sides:
            side.settle()
        if self._declared:
            self.database.refresh()
            self._declared = False
        self._note()

    def close(self) -> None:
        """Close the files; what waits is undone."""
        for side in self._sides:
            side.abandon()
        self.database.close()

    def _take(self, batch: pa.Table) -> None:
        decoded = self._decoder.decode(batch)
        events = self._dated(batch)
        last = int(events["position"][-1])
        frames = {
            event: frame.drop("row").hstack(events[frame["row"]].rename(AT.__add__))
            for event, frame in decoded.frames.items()
        }
        faults = events[decoded.faults["row"]].select(
            POSITION, pl.col("id").alias("stream_id"), "type", decoded.faults["error"]
        )
        self._declared |= CustomFieldsDeclared in frames
        for side in self._sides:
            self._take_in(side, events, _later(frames, side.position), faults)
            side.position = max(side.position, last)

    def _take_in(self, side: Projection, events: pl.DataFrame, frames: Mapping[type[Event], pl.DataFrame], faults: pl.DataFrame) -> None:
        if side is self._main:
            side.store.append("event", events.filter(POSITION > side.position))
            side.store.append("poison_event", faults.filter(POSITION > side.position))
        else:
            frames, faults = self._opener.open(frames)
            side.store.append("poison_value", faults)
        side.take(frames)

    def _dated(self, batch: pa.Table) -> pl.DataFrame:
        """The envelopes of a batch, with `effective_at`; streams are noted."""
        moment = pl.Datetime("us", "UTC")
        events = pl.DataFrame(batch.drop_columns(["data"])).rename({"stream_id": "id"})
        events = events.cast({"recorded_at": moment, "occurred_at": moment})
        known = events.filter(POSITION <= self._main.position)
        new = events.filter(POSITION > self._main.position)
        new = effective(new, self._streams.of(new.select("id").unique()))
        self._streams.put(
            new.unique("id", keep="last", maintain_order=True).with_columns(
                pl.col("type").str.extract(r"^([^.]*)").alias("aggregate")
            )
        )
        if known.is_empty():
            return new
        dated = self._main.store.read("event", f"WHERE position BETWEEN {known['position'][0]} AND {known['position'][-1]}")
        known = known.join(dated.select("position", "effective_at"), on="position", maintain_order="left")
        return pl.concat([known, new])

    def _note(self) -> None:
        """Tell other threads how far the files are."""
        self.poisoned = sum(side.store.count(name) for side, name in zip(self._sides, POISON, strict=False))
        self.position = min(side.store.position for side in self._sides)


def _later(
    frames: Mapping[type[Event], pl.DataFrame], position: int
) -> dict[type[Event], pl.DataFrame]:
    """What of these events is later than a position."""
    later = {event: frame.filter(pl.col(f"{AT}position") > position) for event, frame in frames.items()}
    return {event: frame for event, frame in later.items() if not frame.is_empty()}
