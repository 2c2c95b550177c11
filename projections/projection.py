"""The tables of one file, and what a batch of events does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import polars as pl

from domain.subject import SubjectForgotten
from projections.batch import Batch
from projections.carried import Carried
from projections.fold import assigned, effective, facts, fill
from projections.log import event as event_table
from projections.log import poison_event, poison_value
from projections.log import stream as stream_table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from domain.base import Event
    from projections.shape import Shape
    from projections.store import Store

LAG_MAX = 50_000
"""By how many positions a bookmark may lag behind events that have nothing to say to its file."""


class Projection:
    """Writes what follows from events into the tables of one file.

    Nothing is visible to readers, nor survives a crash, before `settle`: all of it is one
    transaction, whatever the number of batches.
    """

    poison = poison_event.name

    def __init__(
        self, store: Store, shapes: Sequence[Shape], only: Collection[str] | None = None
    ) -> None:
        """`only` names the tables that follow the log, unless all do; the others stand `apart`."""
        self.store = store
        apart = [s.table for s in shapes if only is not None and s.table.name not in only]
        self.apart = [part for table in apart for part in table.parts()]
        shapes = [shape for shape in shapes if shape.table not in apart]
        self.position = self.settled = store.position
        self.poisoned = store.count(self.poison)
        self._dimensions = [shape for shape in shapes if shape.table.kind == "dimension"]
        self._facts = [shape for shape in shapes if shape.table.kind == "fact"]
        self._carried = {
            shape.table.name: Carried(store, f"{shape.table.name}_current", shape.table.entity)
            for shape in self._dimensions
        }

    def take(self, batch: Batch) -> None:
        """Write what follows from events; what was taken before is skipped."""
        if batch.last > self.position:
            self.write(batch.after(self.position))
            self.position = batch.last

    def write(self, batch: Batch) -> None:
        """Write what follows from events that are new here, and what could not be read."""
        self.fold(batch.frames)
        self.note(batch.faults)

    def fold(self, frames: Mapping[type[Event], pl.DataFrame]) -> None:
        """Write what the declarations say of these events."""
        states: dict[str, pl.DataFrame] = {}
        for shape in self._dimensions:
            if not shape.sources.keys().isdisjoint(frames):
                states[shape.table.name] = self._versions(shape, frames)
        for shape in self._facts:
            if not shape.sources.keys().isdisjoint(frames):
                rows = facts(shape, assigned(shape, frames), states.get(shape.of))
                self.store.append(shape.table.name, rows)

    def note(self, faults: pl.DataFrame) -> None:
        """Write down what could not be read."""
        self.store.append(self.poison, faults)
        self.poisoned += len(faults)

    def _versions(self, shape: Shape, frames: Mapping[type[Event], pl.DataFrame]) -> pl.DataFrame:
        new = assigned(shape, frames)
        carried = self._carried[shape.table.name]
        versions = fill(shape, carried.of(new), new)
        self.store.append(f"{shape.table.name}_past", versions.past())
        carried.put(versions.current())
        return versions.rows

    def keep(self) -> None:
        """Have what was taken wait for a later `settle`."""
        for carried in self._carried.values():
            carried.keep()

    def settle(self, *, fully: bool = False) -> None:
        """Write the rows carried in memory, move the bookmark, commit.

        When there is nothing to write the bookmark stays, but not too far behind; `fully` moves it
        all the same.
        """
        for carried in self._carried.values():
            carried.settle()
        lag = self.position - self.store.position
        if lag and (self.store.writing or fully or lag > LAG_MAX):
            self.store.move(self.position)
            self.store.commit()
        self.settled = self.position

    def begin_at(self, position: int) -> None:
        """Follow the log from here: the rows that were taken over are those at this position."""
        if position:
            self.store.move(position)
            self.store.commit()
        self.position = self.settled = position

    def abandon(self) -> None:
        """Back to where the file stood at the last `settle`."""
        self.store.roll_back()
        self.position = self.settled
        self.poisoned = self.store.count(self.poison)
        for carried in self._carried.values():
            carried.forget()


class MainProjection(Projection):
    """The file that everybody may read; it keeps the envelope of every event too."""

    def __init__(
        self, store: Store, shapes: Sequence[Shape], only: Collection[str] | None = None
    ) -> None:
        super().__init__(store, shapes, only)
        self._streams = self._carried[stream_table.name] = Carried(store, stream_table.name, ["id"])

    def take(self, batch: Batch) -> None:
        """Write what follows from events, and their envelopes."""
        self.store.append(event_table.name, batch.after(self.position).events)
        super().take(batch)

    def dated(self, batch: Batch) -> Batch:
        """The batch with the time from which each event counts; the streams are noted."""
        new = batch.after(self.position).events
        new = effective(new, self._streams.of(new))
        aggregate = pl.col("type").str.extract(r"^([^.]*)").alias("aggregate")
        last = new.lazy().unique("id", keep="last", maintain_order=True).with_columns(aggregate)
        self._streams.put(last.collect())
        if len(new) == len(batch.events):
            return batch.dated(new)
        known = batch.events.filter(pl.col("position") <= self.position)
        between = f"WHERE position BETWEEN {known['position'][0]} AND {known['position'][-1]}"
        dates = self.store.read(event_table.name, between).select("position", "effective_at")
        dated = known.join(dates, on="position", maintain_order="left")
        return batch.dated(pl.concat([dated, new]))


class PersonalProjection(Projection):
    """The file with the personal columns."""

    poison = poison_value.name

    def __init__(
        self, store: Store, shapes: Sequence[Shape], only: Collection[str] | None = None
    ) -> None:
        super().__init__(store, shapes, only)
        self._personal = [
            (part, tuple(c.digest_of for c in shape.table.columns if c.digest_of))
            for shape in shapes
            for part in shape.table.parts()
        ]

    def write(self, batch: Batch) -> None:
        """Write what the declarations say of what was opened, and what could not be.

        What was opened before its key was destroyed is not shown a moment longer.
        """
        opened, unopened = batch.opened()
        self.fold(opened)
        self.note(unopened)
        if SubjectForgotten in batch.frames:
            for carried in self._carried.values():
                carried.settle()
            records = batch.frames[SubjectForgotten]["record_ids"]
            self.store.erase(self._personal, [id for ids in records for id in orjson.loads(ids)])
            for carried in self._carried.values():
                carried.forget()
