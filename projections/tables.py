"""The tables: batches of the log in, rows and bookmarks out, in two files."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from domain import EVENTS
from domain.custom_fields import CustomFieldsDeclared
from projections import DIMENSIONS, FACTS
from projections.base import Dimension, FactTable, declarations_hash
from projections.batch import Batch
from projections.decode import Decoder
from projections.log import MAIN_TABLES, PERSONAL_TABLES
from projections.personal import Opener, Unseal
from projections.projection import MainProjection, PersonalProjection, Projection
from projections.store import Store
from readmodels.base import PERSONAL, Database

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from domain.base import Event

T = TypeVar("T")

EDITION = 1
"""Raised when the machinery writes other rows for the same declarations."""


class Tables:
    """The tables of a workspace, in two files named by a hash of their declarations.

    The second file holds the personal columns; without `unseal` it is neither opened nor made.
    Each file has its own bookmark and skips what it has. One thread may write; any may read.
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
        declared: list[Dimension | FactTable] = [*dimensions, *facts]
        shapes = [shape for each in declared for shape in each.shapes]
        plain = [shape for shape in shapes if not shape.table.personal]
        sealed = [shape for shape in shapes if shape.table.personal]
        name = declarations_hash(shapes, EDITION)
        self.paths = (directory / f"tables-{name}.duckdb", directory / f"personal-{name}.duckdb")
        self.database = database = Database(*self.paths) if unseal else Database(self.paths[0])
        self._decoder = Decoder(events.values())
        self._declared = False
        tables = [*MAIN_TABLES, *(shape.table for shape in plain)]
        store = Store(database.connection(), database.catalog, tables)
        self._main = MainProjection(store, plain)
        self._projections: list[Projection] = [self._main]
        database.show(tables)
        if unseal:
            tables = [*PERSONAL_TABLES, *(shape.table for shape in sealed)]
            store = Store(database.connection(), PERSONAL, tables)
            self._projections.append(PersonalProjection(store, sealed, Opener(sealed, unseal)))
            database.show(tables, PERSONAL)
        database.refresh()
        self._threads = ThreadPoolExecutor(len(self._projections) + 2, "tables")
        self.position = self.taken

    @property
    def taken(self) -> int:
        """The position up to which events were taken, committed or not."""
        return min(projection.position for projection in self._projections)

    @property
    def poisoned(self) -> int:
        """How many events or values could not be read."""
        return sum(projection.poisoned for projection in self._projections)

    def read(self, table: pa.Table) -> Batch:
        """The first half of `apply`, which changes nothing: it may run ahead of another batch."""
        return Batch.read(table, self._decoder.another())

    def later(self, do: Callable[[], T]) -> Future[T]:
        """Do something in a thread of the tables, such as reading a batch ahead."""
        return self._threads.submit(do)

    def apply(self, batch: pa.Table | Batch, *, settle: bool = True) -> None:
        """Take the events of a batch that are new here.

        With `settle=False` they wait for a later `settle`, which commits all that waits at once:
        a rebuild writes the current row of each record once, not once a batch.
        """
        try:
            if isinstance(batch, pa.Table):
                batch = Batch.read(batch.filter(pc.field("position") > self.taken), self._decoder)
            if len(batch.events) and batch.last > self.taken:
                self._take(batch)
            if settle:
                self.settle()
        except BaseException:
            for projection in self._projections:
                projection.abandon()
            raise

    def _take(self, batch: Batch) -> None:
        dated = self._main.dated(batch)
        self._each(lambda projection: projection.take(dated))
        self._declared |= CustomFieldsDeclared in batch.frames

    def settle(self, *, fully: bool = False) -> None:
        """Commit what waits: rows and bookmark, in each file in one transaction."""
        self._each(lambda projection: projection.settle(fully=fully))
        if self._declared:
            self.database.refresh()
            self._declared = False
        self.position = self.taken

    def _each(self, do: Callable[[Projection], None]) -> None:
        """Both files at once: DuckDB and Polars work outside the lock of the interpreter."""
        doing = [self._threads.submit(do, projection) for projection in self._projections]
        wait(doing)
        for done in doing:
            done.result()

    def digests(self) -> dict[str, str]:
        """A digest of each table: equal rows, equal digest."""
        return self.database.digests()

    def close(self) -> None:
        """Close the files; what waits is undone."""
        for projection in self._projections:
            projection.abandon()
        self.settle(fully=True)
        self._threads.shutdown()
        for projection in self._projections:
            projection.store.close()
        self.database.close()
