"""The tables: batches of the log in, rows and bookmarks out, in two files."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from domain import EVENTS
from domain.custom_fields import CustomFieldsDeclared
from projections import DIMENSIONS, FACTS
from projections.base import Dimension, FactTable, declarations_hash, declared_hashes
from projections.batch import Batch
from projections.log import MAIN_TABLES, PERSONAL_TABLES
from projections.merger import merger
from projections.personal import Unseal
from projections.projection import MainProjection, PersonalProjection, Projection
from projections.reader import Reader
from projections.shape import Shape
from projections.store import Store, declared_in
from readmodels.base import PERSONAL, Database
from readmodels.past import stored_at
from readmodels.schema import Table, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from domain.base import Event

T = TypeVar("T")

EDITION = 3
"""Raised when the machinery writes other rows for the same declarations: then all are outdated."""


TAKEN_ROWS = 100_000

USUAL_TURN_SECONDS = sys.getswitchinterval()
TURN_SECONDS = 0.0002
"""How long a thread waits for the lock of the interpreter before it asks for it, while tables are
filled. DuckDB and Polars give it back some 500 times a batch; with the usual 5 milliseconds one
core would wait for it. Beside commands it is the other way round: threads that take turns so often
cost a sixth of them."""

MERGERS = frozenset(merger.shapes[0].sources)
"""The events from the first of which on views follow merged records."""


def declared_name() -> str:
    """By what name files with the tables of today's declarations are opened."""
    declared: list[Dimension | FactTable] = [*DIMENSIONS, *FACTS]
    return _named([shape for each in declared for shape in each.shapes])


def _named(shapes: Sequence[Shape]) -> str:
    return f"{EDITION}-{declarations_hash(shapes)}"


def _last(connection: DuckDBPyConnection, tables: Tables, position: int) -> int:
    """The position of the last event up to one."""
    events = f"{quoted(tables.database.catalog)}.stored.event"
    [(last,)] = connection.execute(
        f"SELECT coalesce(max(position), 0) FROM {events} WHERE position <= ?", [position]
    ).fetchall()
    return int(last)


def _name_kept(directory: Path, today: str) -> str:
    """By what name the files of a directory are to be opened."""
    if (directory / f"tables-{today}.duckdb").exists():
        return today
    others = directory.glob(f"tables-{EDITION}-*.duckdb")
    newest = max(others, key=lambda path: path.stat().st_mtime, default=None)
    return newest.stem.removeprefix("tables-") if newest else today


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
        only: Collection[str] | None = None,
        kept: bool = False,
    ) -> None:
        """`only` names the tables that follow the log, unless all do.

        With `kept`, files of other declarations are opened too, where there are none of today's:
        tables that are declared today as they were then follow the log, the `outdated` ones stay
        as they are.
        """
        declared: list[Dimension | FactTable] = [*dimensions, *facts]
        shapes = [shape for each in declared for shape in each.shapes]
        self._hashes = declared_hashes(
            [shape for shape in shapes if unseal or not shape.table.personal]
        )
        today = _named(shapes)
        name = _name_kept(directory, today) if kept else today
        self.paths = (directory / f"tables-{name}.duckdb", directory / f"personal-{name}.duckdb")
        self._database = Database(*self.paths) if unseal else Database(self.paths[0])
        self.outdated = self._outdated() if name != today else frozenset()
        states = {s.of for s in shapes if s.of and s.table.name in self.outdated}
        self.needed = self.outdated | states
        shapes = [shape for shape in shapes if shape.table.name not in self.outdated]
        self._turn = threading.RLock()
        self._outgrown = False
        """Whether views have to be made anew for what was written."""
        plain = [shape for shape in shapes if not shape.table.personal]
        sealed = [shape for shape in shapes if shape.table.personal]
        store = self._store(self._database.catalog, MAIN_TABLES, plain)
        self._main = MainProjection(store, plain, only)
        self._reader = Reader(events.values(), sealed, unseal)
        self.sealed = sealed if unseal else None
        self._projections: list[Projection] = [self._main]
        if unseal:
            store = self._store(PERSONAL, PERSONAL_TABLES, sealed)
            self._projections.append(PersonalProjection(store, sealed, only))
        self._threads = ThreadPoolExecutor(len(self._projections) + 3, "tables")
        self._shown: Future[None] | None = None
        self.position = self._database.position = self.taken

    @property
    def database(self) -> Database:
        """The tables as readers see them.

        Half a second in a new file, for there are 1,600 things to say to readers. They wait for
        that; who writes does not.
        """
        self._show().result()
        return self._database

    def _show(self) -> Future[None]:
        if (shown := self._shown) is None:
            with self._turn:
                shown = self._shown or self._threads.submit(self._database.refresh)
                self._shown = shown
        return shown

    @contextmanager
    def filling(self) -> Iterator[None]:
        """See `Database.filling`; for the time of it, threads of this process take short turns."""
        sys.setswitchinterval(TURN_SECONDS)
        try:
            with self._database.filling():
                yield
        finally:
            sys.setswitchinterval(USUAL_TURN_SECONDS)

    def _outdated(self) -> frozenset[str]:
        """The tables whose rows would be others today, and those that are not there yet."""
        found: dict[str, str] = {}
        with self._database.connection() as connection:
            for catalog in self._database.catalogs:
                found |= declared_in(connection, f"{quoted(catalog)}.stored")
        return frozenset(name for name, hash_ in self._hashes.items() if found.get(name) != hash_)

    def _store(self, catalog: str, own: Sequence[Table], shapes: Sequence[Shape]) -> Store:
        """The tables of one file."""
        tables = [*own, *(shape.table for shape in shapes)]
        store = Store(self._database.connection(), catalog, tables)
        store.declare({shape.table.name: self._hashes[shape.table.name] for shape in shapes})
        self._database.show(tables, catalog)
        return store

    @property
    def taken(self) -> int:
        """The position up to which events were taken, committed or not."""
        return min(projection.position for projection in self._projections)

    @property
    def poisoned(self) -> int:
        """How many events or values could not be read."""
        return sum(projection.poisoned for projection in self._projections)

    @property
    def leftovers(self) -> bool:
        """Whether a file may still hold values of somebody who was forgotten."""
        return any(projection.store.leftovers for projection in self._projections)

    def read(self, table: pa.Table) -> Batch:
        """The first half of `apply`, which changes nothing: it may run ahead of another batch."""
        batch = self._reader.read(table)
        opening = self.later(partial(self._reader.open, batch))
        return replace(batch, opening=opening.result)

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
                batch = self.read(batch.filter(pc.field("position") > self.taken))
            if len(batch.events) and batch.last > self.taken:
                self._take(batch)
            if settle:
                self.settle()
            else:
                self._each(Projection.keep)
        except BaseException:
            for projection in self._projections:
                projection.abandon()
            raise

    def _take(self, batch: Batch) -> None:
        dated = self._main.dated(batch)
        self._each(lambda projection: projection.take(dated))
        self._outgrown |= CustomFieldsDeclared in batch.frames
        self._outgrown |= not self._database.merged and not MERGERS.isdisjoint(batch.frames)

    def settle(self, *, fully: bool = False) -> None:
        """Commit what waits: rows and bookmark, in each file in one transaction."""
        with self._turn, self._database.moving:
            self._each(lambda projection: projection.settle(fully=fully))
            if self._outgrown and self._shown is not None:
                self.database.refresh()
            self._outgrown = False
            self.position = self._database.position = self.taken
            self._show()

    def _each(self, do: Callable[[Projection], None]) -> None:
        """Both files at once: DuckDB and Polars work outside the lock of the interpreter."""
        first, *others = self._projections
        doing = [self._threads.submit(do, projection) for projection in others]
        try:
            do(first)
        finally:
            wait(doing)
        for done in doing:
            done.result()

    @contextmanager
    def snapshot(self) -> Iterator[tuple[int, DuckDBPyConnection]]:
        """A position, and a connection on which both files stay as they are there."""
        with self.database.connection() as connection:
            with self._turn:
                connection.begin()
                for projection in self._projections:
                    connection.execute(f"FROM {projection.store.named('bookmark')}").fetchall()
                position = self.position
            yield position, connection
            connection.rollback()

    def take_over(self, old: Tables) -> int:
        """Take the rows of the tables that do not follow the log here from where they do.

        Returns their position: those that follow the log have to come to it too.
        """
        with old.snapshot() as (position, connection):
            for ours, theirs in zip(self._projections, old._projections, strict=True):
                for part in ours.apart:
                    rows = connection.execute(f"FROM {theirs.store.named(part)}")
                    ours.store.take_over(part, rows.to_arrow_reader(TAKEN_ROWS))
        self._outgrown = True
        return position

    def copy(
        self, old: Tables, *, as_of: datetime | None = None, known_at: int | None = None
    ) -> int:
        """Fill tables that are empty from others, with what was so at a moment; the position."""
        with old.snapshot() as (reached, connection):
            position = _last(connection, old, reached if known_at is None else known_at)
            for ours, theirs in zip(self._projections, old.database.catalogs, strict=False):
                for table in self.database.shown(ours.store.catalog):
                    for part, rows in stored_at(theirs, table, as_of, known_at).items():
                        found = connection.execute(rows).to_arrow_reader(TAKEN_ROWS)
                        ours.store.take_over(part, found)
                ours.begin_at(position)
        self.position = self._database.position = self.taken
        self.database.refresh()
        return position

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
        self._database.close()
