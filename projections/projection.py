"""The declared tables of one file, and what a batch of events does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from projections.fold import assigned, closed, current, facts, fill
from projections.store import Carried, Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from domain.base import Event
    from projections.base import Shape


class Projection:
    """Writes what follows from events into the tables of one file.

    Nothing is visible to readers, nor survives a crash, before `settle`: all of it is one
    transaction, whatever the number of batches.
    """

    def __init__(self, store: Store, shapes: Sequence[Shape]) -> None:
        self.store = store
        self.position = store.position
        self._dimensions = [shape for shape in shapes if shape.table.kind == "dimension"]
        self._facts = [shape for shape in shapes if shape.table.kind == "fact"]
        self._carried = {
            shape.table.name: Carried(store, f"{shape.table.name}_current", shape.table.entity)
            for shape in self._dimensions
        }

    def carry(self, part: str, entity: Sequence[str]) -> Carried:
        """One more table with a row for each entity, settled together with the others."""
        self._carried[part] = Carried(self.store, part, entity)
        return self._carried[part]

    def take(self, frames: Mapping[type[Event], pl.DataFrame]) -> None:
        """Write what follows from these events, which are later than all before."""
        states: dict[str, pl.DataFrame] = {}
        for shape in self._dimensions:
            if not shape.sources.keys().isdisjoint(frames):
                states[shape.table.name] = self._versions(shape, frames)
        for shape in self._facts:
            if not shape.sources.keys().isdisjoint(frames):
                rows = facts(shape, assigned(shape, frames), states.get(shape.of))
                self.store.append(shape.table.name, rows)

    def _versions(self, shape: Shape, frames: Mapping[type[Event], pl.DataFrame]) -> pl.DataFrame:
        new = assigned(shape, frames)
        carried = self._carried[shape.table.name]
        rows = fill(shape, carried.of(new.select(shape.table.entity).unique()), new)
        self.store.append(f"{shape.table.name}_past", closed(shape, rows))
        carried.put(current(shape, rows))
        return rows

    def settle(self) -> None:
        """Write the rows carried in memory, move the bookmark, commit."""
        if self.position > self.store.position:
            for carried in self._carried.values():
                carried.settle()
            self.store.move(self.position)
        self.store.commit()

    def abandon(self) -> None:
        """Back to where the file stood at the last `settle`."""
        self.store.roll_back()
        self.position = self.store.position
        for carried in self._carried.values():
            carried.forget()
